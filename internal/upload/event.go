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
	Type EventType
	// ID is made from the profile, the id of the upload and the type: an event that is recorded twice, because a crash hid
	// that it had been, has the same ID both times. So has that of an upload which is received for the second time because a
	// power cut took acknowledged bytes.
	ID     string
	Time   time.Time // of the change
	Record Record    // the upload as it was then
	Digest string    // of the content, as in Repr-Digest (RFC 9530): "sha-256=:...:"; "" if none was computed
}

// NewEvent makes the event that rec has come to what typ says. A record does not tell that, nor when, its upload was
// terminated: the event says now.
func NewEvent(typ EventType, rec Record) Event {
	at := rec.Changed
	switch typ {
	case EventCreated:
		at = rec.Created
	case EventTerminated:
		rec.State, at = Terminated, time.Time{}
	}
	if at.IsZero() { // tusd's records have no times either
		at = time.Now().UTC().Truncate(time.Millisecond)
	}
	sum := sha256.Sum256([]byte(rec.Profile + "\x00" + string(rec.ID) + "\x00" + string(typ)))
	return Event{Type: typ, ID: "evt_" + hex.EncodeToString(sum[:16]), Time: at, Record: rec}
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
