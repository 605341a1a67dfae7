package model

import (
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// How requests are made up. Most are as they should be, with one fault now and then; what comes first in a list is what a
// failing sequence is reduced to.

func pick[T any](t *rapid.T, from ...T) T { return rapid.SampledFrom(from).Draw(t, "") }

// oneIn is true about once in n times.
func oneIn(t *rapid.T, n int) bool { return rapid.IntRange(1, n).Draw(t, "") == n }

// filling is n bytes of an upload from offset at: a picture if asked so, else what is no media type at all. Salt makes bytes
// that are sent again different, so that those which should have been dropped are found.
func filling(at, n int64, salt int, asPicture bool) []byte {
	b := make([]byte, max(0, n))
	for i := range b {
		k := at + int64(i)
		b[i] = 'a' + byte((k*7+k/251+int64(salt)*5)%26)
		if asPicture && k < int64(len(picture)) {
			b[i] = picture[k]
		}
	}
	return b
}

// create makes a POST.
func (w *walk) create(t *rapid.T) request {
	p := pick(t, w.profiles...)
	r := request{method: "POST", target: p.path, place: collection, profile: p, body: body{none: true}}
	room := p.max
	if oneIn(t, 4) {
		r.header = pick(t, oddLengths()...)
	} else if oneIn(t, 3) {
		r.header = []string{"Upload-Defer-Length: 1"}
	} else {
		room = pick[int64](t, 10, 0, 1, judged-1, judged, judged+1, p.max-1, p.max, rapid.Int64Range(0, p.max).Draw(t, ""))
		r.header = []string{"Upload-Length: " + number(room)}
	}
	r.header = append(r.header, w.concat(t)...)
	r.header = append(r.header, metadata(t)...)
	if oneIn(t, 2) {
		r = w.withBytes(t, r, 0, room)
	} else if oneIn(t, 3) {
		r.header = append(r.header, pick(t, "Content-Type: text/plain", "Upload-Checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="))
	}
	return w.disturb(t, r)
}

// oddLengths are lengths of a POST that are none, or hard to read.
func oddLengths() [][]string {
	odd := [][]string{nil, {"Upload-Length: 5", "Upload-Defer-Length: 1"}, {"Upload-Length: 5", "Upload-Length: 5"},
		{"Upload-Length: 5", "Upload-Length: 6"}, {"Upload-Length: 5", "Upload-Defer-Length:"}, {"Upload-Length: 007"}, {"Upload-Length:\t5 "}}
	for _, length := range []string{"+5", "-5", "", "5 5", "5,5", "0x5", "5.0", "1e1", "five", "99999999999999999999", "9223372036854775807", "-0"} {
		odd = append(odd, []string{"Upload-Length: " + length})
	}
	for _, later := range []string{"0", "2", "", "true", "1,1", "01"} {
		odd = append(odd, []string{"Upload-Defer-Length: " + later})
	}
	return odd
}

func metadata(t *rapid.T) []string {
	if !oneIn(t, 2) {
		return nil
	}
	if oneIn(t, 10) {
		return []string{"Upload-Metadata: a MQ==", "Upload-Metadata: b Mg=="}
	}
	long := "k " + strings.Repeat("QUFB", 16<<10/4)
	return []string{"Upload-Metadata: " + pick(t, "filename aGVsbG8=", "flag", "z MQ==,flag,a Mg==", "empty ,b Mg==", "path Li4vLi4veA==",
		"a MQ==,a Mg==", "a !!", "a MQ", " ,a MQ==", "", ",", "a MQ== Mg==", long[:16<<10], long)}
}

// append makes a PATCH with anything that can be wrong with one.
func (w *walk) append(t *rapid.T) request {
	anyOne := oneIn(t, 8)
	u := w.some(t, func(u *upload) bool { return anyOne || u.state == receiving })
	r := plain("PATCH", u, single)
	at := int64(len(u.content))
	r.header = nil
	if oneIn(t, 4) {
		r.header = append(r.header, pick(t, oddOffsets(at)...)...)
	} else {
		r.header = append(r.header, "Upload-Offset: "+number(at))
	}
	most := u.most(u.length)
	if u.length == deferred && oneIn(t, 2) || oneIn(t, 8) {
		most = pick(t, at+10, at, at+1, judged, u.length, max(0, at-1), u.profile.max, u.profile.max+1, u.length+1)
		r.header = append(r.header, "Upload-Length: "+pick(t, number(most), number(most), number(most), "+"+number(most), "", "99999999999999999999"))
	}
	r = w.withBytes(t, r, at, most-at)
	r.body.cut = r.body.cut && u.state == receiving // nothing else is at stake
	return w.disturb(t, r)
}

func oddOffsets(at int64) [][]string {
	here := number(at)
	odd := [][]string{nil, {"Upload-Offset: " + here, "Upload-Offset: " + here}, {"Upload-Offset: " + number(at+1)}, {"Upload-Offset: " + number(at-1)}}
	for _, text := range []string{"+" + here, "0" + here, "\t" + here + " ", "", "-" + here, here + "," + here, here + ".0", "0x" + here, "99999999999999999999", "9223372036854775807", "٣"} {
		odd = append(odd, []string{"Upload-Offset: " + text})
	}
	return odd
}

// goOn makes a PATCH as it should be.
func (w *walk) goOn(t *rapid.T) request {
	u := w.some(t, isOpen)
	at := int64(len(u.content))
	r := plain("PATCH", u, single)
	r.header = append(r.header, "Upload-Offset: "+number(at), "Content-Type: "+chunkType)
	most := u.most(u.length)
	if u.length == deferred && oneIn(t, 3) {
		most = pick(t, min(at+10, most), at, most)
		r.header = append(r.header, "Upload-Length: "+number(most))
	}
	n := rapid.Int64Range(0, most-at).Draw(t, "")
	if oneIn(t, 3) {
		n = most - at
	}
	r.body = body{bytes: filling(at, n, 0, true), chunked: oneIn(t, 3)}
	return r
}

// withBytes gives r a body at offset at, where room is left, as long as the bounds and one beside them.
func (w *walk) withBytes(t *rapid.T, r request, at, room int64) request {
	n := pick[int64](t, 1, 0, room, room-1, room+1, judged-at, judged-at-1, judged-at+1, rapid.Int64Range(0, max(1, room)).Draw(t, ""))
	n = min(max(0, n), r.profile.max+1)
	r.body = body{bytes: filling(at, n, pick(t, 0, 1, 2, 3), !oneIn(t, 4)), chunked: oneIn(t, 3), cut: oneIn(t, 6)}
	if n == 0 && oneIn(t, 3) {
		r.body = body{none: true}
	}
	kind := "Content-Type: " + chunkType
	if oneIn(t, 8) {
		kind = pick(t, "", "Content-Type: text/plain", "Content-Type: Application/Offset+Octet-Stream", "Content-Type: application/octet-stream")
	}
	if kind != "" {
		r.header = append(r.header, kind)
	}
	if !oneIn(t, 2) {
		return r
	}
	sum := w.checksum(t, r.body.bytes)
	if r.body.chunked && oneIn(t, 2) {
		r.body.trailer, r.body.announced = sum, !oneIn(t, 3)
		return r
	}
	r.header = append(r.header, "Upload-Checksum: "+sum)
	return r
}

// checksum is one of b, or of something else, or none at all.
func (w *walk) checksum(t *rapid.T, b []byte) string {
	a := pick(t, algorithms()...)
	right := a.sum(b)
	if !oneIn(t, 2) {
		return right
	}
	other := slices.Concat(b, []byte("x"))
	return pick(t, a.sum(other), "sha0 "+strings.Fields(right)[1], strings.ToUpper(a.name)+" AAAA", a.name, a.name+" !", a.name+" AAAA", a.name+"  "+strings.Fields(right)[1], "nonsense", "")
}

// disturb lets r be in another version of the protocol, or come under another method.
func (w *walk) disturb(t *rapid.T, r request) request {
	r.header = slices.DeleteFunc(slices.Clone(r.header), func(line string) bool { return line == version })
	if !oneIn(t, 12) {
		r.header = append(r.header, version)
	} else if !oneIn(t, 3) {
		r.header = append(r.header, pick(t, "Tus-Resumable: 0.2.2", "Tus-Resumable:", "Tus-Resumable: 1.0.0, 1.0.0", "Tus-Resumable: 1.0", "Tus-Resumable: v1.0.0"))
	}
	if oneIn(t, 10) {
		r.header = append(r.header, "X-HTTP-Method-Override: "+pick(t, r.method, r.method, r.method, r.method, "TRACE", "nonsense"))
		r.method = pick(t, "POST", "GET", "PUT", "DELETE")
	}
	return r
}
