package upload

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// EventType says what happened to an upload.
type EventType string

// What is told about uploads, in the order in which it happens to one. Each is recorded after the change of state that it
// tells of, and before the client hears of that.
const (
	EventCreated    EventType = "upload.created"    // it exists, and bytes may be added
	EventReceived   EventType = "upload.received"   // every byte is stored
	EventReady      EventType = "upload.ready"      // the content may be read
	EventRejected   EventType = "upload.rejected"   // refused for its content: see the reason
	EventExpired    EventType = "upload.expired"    // its time was over; the bytes are removed
	EventTerminated EventType = "upload.terminated" // the client deleted it
)

// EventTypes returns all of them.
func EventTypes() []EventType {
	return []EventType{EventCreated, EventReceived, EventReady, EventRejected, EventExpired, EventTerminated}
}

// Event is a change of state of one upload. Make one with [NewEvent].
type Event struct {
	Type   EventType
	Time   time.Time // of the change
	Record Record    // the upload as it was then
}

// ID is made from the profile, the id of the upload and the type: an event that is recorded twice, because a crash hid that it had
// been, has the same ID both times. So has that of an upload which is received for the second time because a power cut took
// acknowledged bytes.
func (e Event) ID() string {
	sum := sha256.Sum256([]byte(e.Record.Profile + "\x00" + string(e.Record.ID) + "\x00" + string(e.Type)))
	return "evt_" + hex.EncodeToString(sum[:16])
}

// NewEvent makes the event that rec has come to what typ says, with the upload as it was then. A record does not tell that, nor when, its upload was
// terminated: the event says now.
func NewEvent(typ EventType, rec Record) Event {
	at := rec.Changed
	switch {
	case typ == EventTerminated:
		rec.State, at = Terminated, time.Time{}
	case typ == EventCreated:
		at = rec.Created
		if rec.State != Receiving {
			rec = before(rec, Receiving)
			rec.Offset, rec.MediaType, rec.Digest, rec.Reason = 0, "", "", nil
		}
	case typ == EventReceived && rec.State != Received:
		rec = before(rec, Received)
	}
	if at.IsZero() { // tusd's records have no times either
		at = time.Now().UTC().Truncate(time.Millisecond)
	}
	return Event{Type: typ, Time: at, Record: rec}
}

// before is rec when it was in an earlier state: one change may take several steps.
func before(rec Record, state State) Record {
	rec.State, rec.Variants, rec.Video, rec.Expires = state, nil, nil, time.Time{}
	return rec
}

// EventsOf returns the events that must have been recorded for an upload in the state of rec, in order. Of a rejected or
// expired one nothing tells whether every byte had arrived before, so that is left out.
func EventsOf(rec Record) []Event {
	types := []EventType{EventCreated}
	switch rec.State {
	case Received:
		types = append(types, EventReceived)
	case Ready:
		types = append(types, EventReceived, EventReady)
	case Rejected:
		types = append(types, EventRejected)
	case Expired:
		types = append(types, EventExpired)
	case Terminated:
		types = append(types, EventTerminated)
	}
	events := make([]Event, len(types))
	for i, typ := range types {
		events[i] = NewEvent(typ, rec)
	}
	return events
}

// Notice is what somebody who listens is told of an event, or of the moment.
type Notice struct {
	ID   string // to go on after; "" where that makes no sense
	Name string // the event's type, or [NoticeReset]
	Data []byte // JSON: all that a listener may know who knows the upload
	// Anonymous is JSON with nothing by which the upload could be found: for those who do not know it.
	Anonymous []byte
	Event     Event // the zero Event where there is none
}

// NoticeReset is the name of the notice that a listener gets first who cannot be told all that he missed: he has to ask for the
// state of things.
const NoticeReset = "reset"

// Replay says which events to deliver again, and which uploads that were given up to process again. Empty fields match all. With an
// endpoint or a type it is about events alone.
type Replay struct {
	Endpoint string // by name
	Profile  string
	ID       ID
	Type     EventType
	// Delivered also sends again what an endpoint has had, as long as the outbox keeps it: ten minutes at least. ID must be
	// set.
	Delivered bool
}

// Replayed is what came of a [Replay].
type Replayed struct {
	Events  int `json:"events"`  // to be delivered again
	Uploads int `json:"uploads"` // to be processed again
}
