package upload

import "time"

// Listed is an upload as its operator sees it.
type Listed struct {
	Profile string    `json:"profile"`
	ID      ID        `json:"id"`
	State   State     `json:"state"` // or [Unreadable]: then nothing below is known
	Offset  int64     `json:"offset"`
	Length  int64     `json:"length"` // Deferred (-1) while unknown
	Owner   Owner     `json:"owner,omitempty"`
	Name    string    `json:"filename,omitempty"`
	Type    string    `json:"mediaType,omitempty"`
	Reason  string    `json:"reason,omitempty"` // the code of its rejection
	Damaged bool      `json:"damaged,omitempty"`
	Partial bool      `json:"partial,omitempty"`
	Final   bool      `json:"final,omitempty"`
	Created time.Time `json:"created,omitzero"`
	Changed time.Time `json:"changed,omitzero"` // of the last change of state
	Expires time.Time `json:"expires,omitzero"`
}

// Unreadable is the state in a list of an upload whose record nobody can read.
const Unreadable State = "unreadable"

// Listing says which uploads are wanted; "" is all.
type Listing struct {
	Profile string
	State   State
}

// Listed is r in a list.
func (r Record) Listed() Listed {
	l := Listed{Profile: r.Profile, ID: r.ID, State: r.State, Offset: r.Offset, Length: r.Length, Owner: r.Owner, Name: r.Filename(), Type: r.MediaType,
		Damaged: r.Damaged, Partial: r.Partial, Final: r.Final, Created: r.Created, Changed: r.Changed, Expires: r.Expires.Truncate(time.Second)}
	if r.Reason != nil {
		l.Reason = r.Reason.Code
	}
	return l
}
