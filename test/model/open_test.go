package model

import (
	"slices"
	"strings"
)

// avoid changes requests that meet a known defect of the server, so that others are found. What stands here goes with the
// defect.
func (w *walk) avoid(r request) request {
	u := r.upload
	method, _ := r.effective()
	if sum, given := r.one("Upload-Checksum"); given && sum == "" {
		r = r.without("Upload-Checksum") // an empty one is taken for none
	}
	if !there(u) {
		return r
	}
	answered := func(o outcome) bool { return o.then != nil }
	if method == "PATCH" && u.length == deferred && !slices.ContainsFunc(w.m.answers(r), answered) {
		r = r.without("Upload-Length") // a PATCH that is refused declares its length nevertheless
	}
	if method == "PATCH" && u.state == ready && len(r.body.bytes) == 0 {
		r = r.without("Upload-Checksum") // nobody looks at the checksum of no bytes for a complete upload
		r.body.trailer, r.body.announced = "", false
	}
	if method == "GET" && len(u.content) == 0 {
		r = r.without("Range") // a suffix of nothing is answered with "bytes 0--1/0"
	}
	return r
}

func (r request) without(key string) request {
	r.header = slices.DeleteFunc(slices.Clone(r.header), func(line string) bool { return strings.HasPrefix(line, key+":") })
	return r
}
