package model

import (
	"slices"
	"strings"
)

// Concatenation: "The Client MAY create partial uploads and later concatenate them". It holds as soon as the server announces
// it.

func (u *upload) isPartial() bool { return u.concat == "partial" }
func (u *upload) isFinal() bool   { return strings.HasPrefix(u.concat, "final") }

// join is a POST that makes a final upload: "final;" and the URLs of partial uploads, in their order. Its length is theirs: "The
// Client MUST NOT include the Upload-Length header". It is made also before they are finished ("concatenation-unfinished").
func (m *model) join(r request) []outcome {
	concat, _ := r.one("Upload-Concat")
	_, known := r.one("Upload-Length")
	_, later := r.one("Upload-Defer-Length")
	parts, sound := m.partsOf(concat, r.profile)
	faults := r.metadataFaults()
	if known || later || !sound {
		faults = append(faults, refuse(400, anything))
	}
	if r.body.chunked || r.body.declared() > 0 { // no bytes can be added to one
		faults = append(faults, refuse(403, anything))
	}
	u := &upload{number: len(m.uploads) + 1, profile: r.profile, state: receiving, concat: m.places().Replace(concat), parts: parts}
	u.metadata, _ = r.one("Upload-Metadata")
	if u.length = u.sum(); u.length > r.profile.max {
		faults = append(faults, refuse(413, "too_large"))
	}
	made := outcome{status: 201}.with("Upload-Offset", anything).with("Upload-Length", anything).with("Upload-Expires", anything)
	made = made.with("Sluice-State", anything)
	if again := m.madeBefore(u); again != nil { // the answer to the same request was lost, perhaps
		return append(faults, made.with("Location", again.location))
	}
	if len(faults) > 0 {
		return faults
	}
	return m.created(u, []outcome{made})
}

// madeBefore is a final upload like u that is there already.
func (m *model) madeBefore(u *upload) *upload {
	for _, other := range m.uploads {
		if u.parts != nil && there(other) && slices.Equal(other.parts, u.parts) && other.metadata == u.metadata {
			return other
		}
	}
	return nil
}

// partsOf reads the list of a final upload. It is sound if every item is a partial upload of this profile that is there and in
// no final one yet.
func (m *model) partsOf(concat string, p profile) (parts []*upload, sound bool) {
	list, found := strings.CutPrefix(concat, "final;")
	names := strings.Fields(list)
	sound = found && len(names) > 0
	for _, name := range names {
		i := slices.IndexFunc(m.uploads, func(u *upload) bool { return strings.HasSuffix(name, u.name()) })
		if i < 0 {
			return nil, false
		}
		part := m.uploads[i]
		sound = sound && there(part) && part.isPartial() && !part.joined && part.profile == p
		parts = append(parts, part)
	}
	return parts, sound
}

// sum is the length of a final upload, deferred while a part's is: "final upload length MUST be the sum of the partial uploads".
func (u *upload) sum() (total int64) {
	for _, part := range u.parts {
		if part.length == deferred {
			return deferred
		}
		total += part.length
	}
	return total
}

// headPending: "The Server ... SHOULD NOT include the Upload-Offset header for a final upload" that is not joined yet, and "MUST
// include the Upload-Length if the length of the final resource can be calculated". Upload-Concat comes "as received".
func (m *model) headPending(u *upload) outcome {
	o := outcome{status: 200, check: uncached}.with("Upload-Concat", u.concat).with("Upload-Metadata", u.metadata)
	o = o.with("Upload-Expires", anything).with("Upload-Defer-Length", anything)
	if total := u.sum(); total != deferred {
		return o.with("Upload-Length", number(total))
	}
	return o
}

// due are the final uploads whose parts are all complete: the server joins them by itself.
func (m *model) due() (finals []*upload) {
	for _, u := range m.uploads {
		unfinished := func(part *upload) bool { return part.state != ready }
		if u.isFinal() && u.state == receiving && !slices.ContainsFunc(u.parts, unfinished) {
			finals = append(finals, u)
		}
	}
	return finals
}

// join is what is true when u has been put together: its content is judged like any other's, and its parts are complete still, but
// cannot be joined again.
func (u *upload) join() {
	var content []byte
	for _, part := range u.parts {
		content = append(content, part.content...)
	}
	u.length, u.content, u.state = int64(len(content)), content, ready
	switch {
	case u.length > u.profile.max:
		u.content, u.state, u.reason = nil, rejected, "too_large"
	case u.refuses(content, u.length):
		u.content, u.state, u.reason = nil, rejected, "unsupported_media_type"
	}
	for _, part := range u.parts {
		part.joined = true
	}
}
