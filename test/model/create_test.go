package model

import (
	"encoding/base64"
	"regexp"
	"strconv"
	"strings"
)

// create: "The request MUST include one of ... Upload-Length ... Upload-Defer-Length: 1", "413" if the length exceeds the
// maximum, "201 ... The Server MUST set the Location header".
func (m *model) create(r request) []outcome {
	kind, _ := r.one("Upload-Concat")
	if m.can("concatenation") && strings.HasPrefix(kind, "final") {
		return m.join(r)
	}
	length, faults := r.newLength()
	faults = append(faults, r.chunkFaults()...)
	faults = append(faults, r.metadataFaults()...)
	if kind != "" && !m.can("concatenation") {
		faults = append(faults, refuse(400, "concatenation_unsupported"))
	} else if kind != "" && kind != "partial" {
		faults = append(faults, refuse(400, anything))
	}
	if len(faults) > 0 {
		if r.announces(length) {
			faults = append(faults, refuse(413, "too_large"))
		}
		return faults
	}
	u := &upload{number: len(m.uploads) + 1, profile: r.profile, length: length, state: receiving, concat: kind}
	u.metadata, _ = r.one("Upload-Metadata")
	if length == 0 { // "considered finished" as soon as it is there, whatever follows
		u.state = ready
		if u.refuses(nil, 0) {
			u.state, u.reason = rejected, "unsupported_media_type"
		}
	}
	return m.created(u, m.receive(u, r, length, 201))
}

// created are the outcomes of a POST whose header is right: the upload is made, and the client is told where, also if its
// bytes are refused. Bytes that are too many may be refused before anything is made.
func (m *model) created(u *upload, received []outcome) (all []outcome) {
	for _, o := range received {
		if o.status == 413 {
			all = append(all, refuse(413, o.code))
		}
		all = append(all, o.with("Location", something).and(func(a answer) {
			u.location = a.header.Get("Location")
			m.uploads = append(m.uploads, u)
		}))
	}
	return all
}

// announces tells that r's Content-Length is more than an upload of that length can take.
func (r request) announces(length int64) bool {
	return r.body.declared() > (&upload{profile: r.profile}).most(length)
}

// newLength is the length that a POST declares.
func (r request) newLength() (int64, []outcome) {
	known, later := r.values("Upload-Length"), r.values("Upload-Defer-Length")
	switch {
	case len(known) > 1 || len(later) > 1:
		return 0, []outcome{refuse(400, "repeated_header")}
	case len(known)+len(later) == 0:
		return 0, []outcome{refuse(400, "missing_length")}
	case len(known)+len(later) == 2:
		return 0, []outcome{refuse(400, "ambiguous_length")}
	case len(later) == 1 && later[0] == "1":
		return deferred, nil
	case len(later) == 1:
		return 0, []outcome{refuse(400, "bad_length")}
	}
	return parseLength(known[0], r.profile.max)
}

// parseLength: "MUST be a non-negative integer"; "413" if larger than the maximum.
func parseLength(text string, most int64) (int64, []outcome) {
	n, ok := parseNumber(text)
	switch {
	case !ok:
		return 0, []outcome{refuse(400, "bad_length")}
	case n > most:
		return 0, []outcome{refuse(413, "too_large")}
	}
	return n, nil
}

// parseNumber reads 1*DIGIT. What is too large for any file is the largest number.
func parseNumber(text string) (int64, bool) {
	if !regexp.MustCompile(`^[0-9]+$`).MatchString(text) {
		return 0, false
	}
	n, _ := strconv.ParseInt(text, 10, 64) // out of range is the largest
	return n, true
}

func number[N int | int64](n N) string { return strconv.FormatInt(int64(n), 10) }

// metadataFaults: "comma-separated key-value pairs. The key and value MUST be separated by a space. The key ... MUST NOT be
// empty ... the value MUST be Base64 encoded. All keys MUST be unique. The value MAY be empty". The README adds no limit; the
// server's is 16 KiB.
func (r request) metadataFaults() []outcome {
	text, there := r.one("Upload-Metadata")
	switch {
	case !there || text == "":
		return nil
	case len(r.values("Upload-Metadata")) > 1:
		return []outcome{refuse(400, "repeated_header")}
	}
	keys := make(map[string]bool)
	for pair := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(pair, " ")
		if _, err := base64.StdEncoding.DecodeString(value); err != nil || key == "" || keys[key] {
			return []outcome{refuse(400, "bad_metadata")}
		}
		keys[key] = true
	}
	if len(text) > 16<<10 {
		return []outcome{refuse(400, "bad_metadata")}
	}
	return nil
}
