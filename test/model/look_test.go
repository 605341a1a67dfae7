package model

import (
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// What a step may need of an upload.

func exists(*upload) bool { return true }

func isOpen(u *upload) bool { return u.state == receiving && !u.isFinal() }

// isFree tells that u is neither a final upload that waits, nor what one waits for: no text says what becomes of those if one is
// deleted.
func (w *walk) isFree(u *upload) bool {
	for _, final := range w.m.uploads {
		if final.state == receiving && final.isFinal() && (u == final || slices.Contains(final.parts, u)) {
			return false
		}
	}
	return true
}

func (w *walk) canJoin(u *upload) bool { return u.isPartial() && there(u) && !u.joined && w.isFree(u) }

// some is an upload, one that is preferred where there are any. It is counted from the newest back, in a draw that is the same
// however many there are: so a sequence still means the same when steps are taken out of it.
func (w *walk) some(t *rapid.T, preferred func(*upload) bool) *upload {
	from := slices.DeleteFunc(slices.Clone(w.m.uploads), func(u *upload) bool { return !preferred(u) })
	if len(from) == 0 {
		from = w.m.uploads
	}
	back := rapid.IntRange(0, 255).Draw(t, "")
	return from[len(from)-1-back%len(from)]
}

// look asks about an upload, or for it.
func (w *walk) look(t *rapid.T) request {
	u := w.some(t, there)
	r := plain("HEAD", u, single)
	switch pick(t, "standing", "status", "content header", "content") {
	case "status":
		return plain(pick(t, "GET", "HEAD"), u, status)
	case "content header":
		return r.without("Tus-Resumable")
	case "content":
		return w.read(t)
	}
	return w.disturb(t, r)
}

// read makes a GET of content, or of a part of it.
func (w *walk) read(t *rapid.T) request {
	u := w.some(t, func(u *upload) bool { return u.state == ready })
	r := plain("GET", u, single)
	r.header = nil
	if oneIn(t, 2) {
		n := int64(len(u.content))
		at := pick[int64](t, 0, n, n-1, n/2, n+1, rapid.Int64Range(0, n).Draw(t, ""))
		first, last := number(max(0, at)), number(max(0, at)+pick[int64](t, 0, 1, n))
		r.header = append(r.header, "Range: bytes="+pick(t, first+"-"+last, first+"-", "-"+first))
	}
	return r
}

// remove makes a DELETE; but of what a final upload waits for, a HEAD.
func (w *walk) remove(t *rapid.T) request {
	u := w.some(t, func(u *upload) bool { return there(u) && w.isFree(u) })
	if !w.isFree(u) {
		return plain("HEAD", u, single)
	}
	return w.disturb(t, plain("DELETE", u, single))
}

// stray makes a request that is at a wrong address, or of a wrong method, or removes an upload.
func (w *walk) stray(t *rapid.T) request {
	if len(w.m.uploads) > 0 && oneIn(t, 4) {
		return w.remove(t)
	}
	p := pick(t, w.profiles...)
	r := request{method: pick(t, "HEAD", "GET", "PATCH", "DELETE", "POST", "OPTIONS"), profile: p, place: single, body: body{none: true}}
	switch pick(t, "address", "collection", "below") {
	case "collection":
		r.target, r.place = p.path, collection
	case "below":
		r.target, r.place = p.path+pick(t, "unknown/status", "a%2fb", "..%2F..%2Fetc%2Fpasswd", "unknown/512"), below
		if !strings.HasSuffix(r.target, "/status") && len(w.m.uploads) > 0 && oneIn(t, 2) {
			r.upload = pick(t, w.m.uploads...)
			r.target, r.profile = r.upload.name()+"/nothing", r.upload.profile
		}
	default:
		r.target = p.path + pick(t, "unknown", strings.Repeat("0", 32), strings.Repeat("x", 200), "%2e%2e", "a.info", "%00", "%C3%A9", "a%20b", ".sluice", "{0}")
	}
	r.header = []string{version, "Upload-Offset: 0", "Content-Type: " + chunkType}
	if r.method == "POST" && r.place == collection {
		r.header = append(r.header, "Upload-Length: 5")
	}
	if !r.isOf("HEAD", "GET", "OPTIONS") {
		r.body = body{bytes: filling(0, pick[int64](t, 0, 5), 0, true)}
	}
	return w.disturb(t, r)
}

func (r request) isOf(methods ...string) bool {
	return strings.Contains(strings.Join(methods, " "), r.method)
}

func extensionsOf(a answer) []string { return strings.Split(a.header.Get("Tus-Extension"), ",") }

// concat makes some uploads partial, where that is possible, and gives a few an Upload-Concat that is none.
func (w *walk) concat(t *rapid.T) []string {
	switch {
	case w.m.can("concatenation") && oneIn(t, 3):
		return []string{"Upload-Concat: partial"}
	case oneIn(t, 12):
		return []string{"Upload-Concat: " + pick(t, "partial", "part", "Partial", "partial;", "final")}
	}
	return nil
}

// join makes a final upload of some that are there.
func (w *walk) join(t *rapid.T) request {
	first := w.some(t, w.canJoin)
	p := first.profile
	if oneIn(t, 10) {
		p = pick(t, w.profiles...)
	}
	r := request{method: "POST", target: p.path, place: collection, profile: p, body: body{none: true}}
	names := []string{first.name()}
	for range pick(t, 0, 1, 2) {
		names = append(names, w.partName(t, p))
	}
	r.header = append(metadata(t), "Upload-Concat: final;"+strings.Join(names, " "))
	if oneIn(t, 10) {
		r.header = append(r.header, pick(t, "Upload-Length: 5", "Upload-Defer-Length: 1"))
	}
	return w.disturb(t, r)
}

// partName names an upload for a final one: mostly a partial one that nothing waits for yet.
func (w *walk) partName(t *rapid.T, p profile) string {
	anyOne := oneIn(t, 12)
	u := w.some(t, func(u *upload) bool { return w.isFree(u) && (anyOne || w.canJoin(u) && u.profile == p) })
	switch {
	case !w.isFree(u) || oneIn(t, 20):
		return p.path + "unknown"
	case oneIn(t, 3):
		return "http://test" + u.name()
	}
	return u.name()
}
