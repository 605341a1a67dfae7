package model

import (
	"bytes"
	"slices"
	"strings"
)

// chunkFaults are those of the header of a request that may carry bytes: "Content-Type: application/offset+octet-stream",
// "415" if not; "400 Bad Request if the checksum algorithm is not supported".
func (r request) chunkFaults() (faults []outcome) {
	method, _ := r.effective()
	if !r.isChunk() && (method == "PATCH" || r.body.chunked || r.body.declared() > 0) {
		faults = append(faults, refuse(415, "bad_content_type").with("Sluice-State", anything))
	}
	for _, text := range r.values("Upload-Checksum") {
		if _, code := parseChecksum(text); code != "" {
			faults = append(faults, refuse(400, code).with("Sluice-State", anything))
		}
	}
	return faults
}

// isChunk tells by its type that a request's body is bytes of an upload; types are the same in upper and lower case.
func (r request) isChunk() bool {
	kind, _ := r.one("Content-Type")
	return strings.EqualFold(kind, chunkType)
}

// patch: "The Upload-Offset header's value MUST be equal to the current offset of the resource", "409 Conflict ... without
// modifying the upload resource", "404" or "410" if there is none.
func (m *model) patch(r request) []outcome {
	u := r.upload
	faults := r.chunkFaults()
	offset, offsetFaults := r.offset()
	faults = append(faults, offsetFaults...)
	length, lengthFaults := r.laterLength()
	faults = append(faults, lengthFaults...)
	switch {
	case !there(u):
		return append(faults, notFound())
	case u.isFinal(): // "MUST respond with 403 Forbidden ... and MUST NOT modify"
		faults = append(faults, refuse(403, anything).with("Sluice-State", anything).with("Upload-Offset", anything))
	}
	switch {
	case u.state == rejected:
		return append(faults, goneFor(u))
	case u.isFinal():
		return faults
	case len(offsetFaults) == 0 && offset != int64(len(u.content)):
		faults = append(faults, refuse(409, "offset_mismatch").with("Upload-Offset", number(len(u.content))).with("Sluice-State", u.told()))
	}
	if len(lengthFaults) == 0 {
		faults = append(faults, u.cannotBe(length)...)
	}
	if u.length != deferred {
		length = u.length
	}
	if length != deferred && !r.body.chunked && int64(len(u.content))+r.body.declared() > length {
		faults = append(faults, refuse(413, "too_large").with("Sluice-State", u.told()))
	}
	if len(faults) > 0 {
		return faults
	}
	return m.receive(u, r, length, 204)
}

// offset: "MUST be a non-negative integer".
func (r request) offset() (int64, []outcome) {
	values := r.values("Upload-Offset")
	if len(values) > 1 {
		return 0, []outcome{refuse(400, "repeated_header").with("Sluice-State", anything)}
	}
	text, _ := r.one("Upload-Offset")
	if n, ok := parseNumber(text); ok {
		return n, nil
	}
	return 0, []outcome{refuse(400, "bad_offset").with("Sluice-State", anything)}
}

// laterLength is the length that a PATCH declares, deferred if it declares none.
func (r request) laterLength() (int64, []outcome) {
	text, there := r.one("Upload-Length")
	if !there {
		return deferred, nil
	}
	n, faults := parseLength(text, r.profile.max)
	for i := range faults {
		faults[i] = faults[i].with("Sluice-State", anything)
	}
	return n, faults
}

// cannotBe: "Once set the length cannot be changed." It cannot be less than what is there either.
func (u *upload) cannotBe(length int64) []outcome {
	if length == deferred || length == u.length || u.length == deferred && length >= int64(len(u.content)) {
		return nil
	}
	return []outcome{refuse(400, "bad_length").with("Sluice-State", u.told())}
}

// most is how many bytes u can have, if its length is that.
func (u *upload) most(length int64) int64 {
	if length == deferred {
		return u.profile.max
	}
	return length
}

// receive is what becomes of the bytes of r, whose header is right, at the end of u: they count, or they do not, or the upload is
// refused for what it is. The length that r declares counts with them.
func (m *model) receive(u *upload, r request, length int64, done int) (all []outcome) {
	content := slices.Concat(u.content, r.body.bytes)
	tooLong := refuse(413, "too_large").with("Sluice-State", u.told())
	all = r.mismatches(u)
	if r.body.cut && r.isHeld() {
		all = append(all, refuse(400, "incomplete_body").with("Sluice-State", u.told()))
	}
	switch most := u.most(length); {
	case int64(len(content)) > most:
		all, content = append(all, tooLong), content[:most]
	case int64(len(u.content))+r.body.declared() > most: // known from the header, to whom it matters
		defer func() { all = append(all, tooLong) }()
	}
	if u.refuses(content, length) && !(len(all) > 0 && r.isHeld()) { // perhaps in the middle, before another fault is known
		return append(all, refuse(415, "unsupported_media_type").with("Sluice-State", rejected).and(func(answer) {
			u.length, u.content, u.state, u.reason = length, nil, rejected, "unsupported_media_type"
		}))
	}
	if len(all) == 0 {
		all = append(all, m.kept(u, r, content, length, done))
	}
	return all
}

// kept is a chunk that counts. "SHOULD ... store as much of the received data as possible": also one that was cut off.
func (m *model) kept(u *upload, r request, content []byte, length int64, done int) outcome {
	after := *u
	if int64(len(content)) == length {
		after.state = ready
	}
	o := refuse(400, "incomplete_body")
	if !r.body.cut {
		o = outcome{status: done}.with("Upload-Offset", number(len(content))).with("Upload-Expires", m.expires(&after))
	}
	if done == 201 && !r.isChunk() {
		o = o.with("Upload-Offset", anything) // the client knows that it sent nothing
	}
	return o.with("Sluice-State", after.told()).and(func(answer) { u.content, u.length, u.state = content, length, after.state })
}

// isHeld tells that no byte of r may count before its checksum is known.
func (r request) isHeld() bool {
	_, there := r.one("Upload-Checksum")
	return there || r.body.announced
}

// mismatches: "460 Checksum Mismatch ... the uploaded chunk MUST be discarded, and the upload and its offset MUST NOT be
// updated."
func (r request) mismatches(u *upload) (faults []outcome) {
	texts := r.values("Upload-Checksum")
	if r.body.trailer != "" {
		texts = append(texts, r.body.trailer)
	}
	if r.body.cut || !r.isChunk() {
		return nil // there is nothing to check
	}
	for _, text := range texts {
		sum, code := parseChecksum(text)
		switch {
		case code != "":
			faults = append(faults, refuse(400, code).with("Sluice-State", u.told()))
		case !bytes.Equal(sum.of(r.body.bytes), sum.want):
			faults = append(faults, refuse(460, "checksum_mismatch").with("Sluice-State", u.told()))
		}
	}
	return faults
}

// picture is how a picture begins: as a GIF.
const picture = "GIF89a"

// judged is how many bytes tell what content is.
const judged = 4096

// refuses tells whether content, of that length when complete, is of a type that u's profile does not take: that is known as
// soon as min(length, 4,096) bytes are there. What is only a part says nothing.
func (u *upload) refuses(content []byte, length int64) bool {
	known := len(content) >= judged || int64(len(content)) == length
	return u.profile.pictures && known && !u.isPartial() && !bytes.HasPrefix(content, []byte(picture))
}
