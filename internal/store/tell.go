package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"sluice/internal/upload"
)

// Recorder writes down what happened to one upload, in order, before anybody hears of it. After an error the change has happened
// all the same, and what has to be told of it is the recorder's to keep.
type Recorder func(events ...upload.Event) error

// tell has the events recorded that bring the upload in rec from the state in which everybody knew it to its own. The mutex
// of its entry is held, so they are in order.
func (f *File) tell(was upload.State, rec upload.Record) {
	if f.record == nil {
		return
	}
	var room [3]upload.EventType
	types := between(room[:0], was, rec.State)
	if len(types) == 0 {
		return
	}
	rec.Expires = f.expires(rec, rec.Changed)
	events := make([]upload.Event, len(types))
	for i, typ := range types {
		events[i] = upload.NewEvent(typ, rec)
	}
	if err := f.record(events...); err != nil {
		f.log.Error("an event has to wait to be recorded", "profile", f.profile, "id", rec.ID, "err", err)
	}
}

// between adds to types what happens to an upload on its way from one state, "" before it exists, to another.
func between(types []upload.EventType, was, now upload.State) []upload.EventType {
	if was == "" {
		types, was = append(types, upload.EventCreated), upload.Receiving
	}
	if was == now {
		return types
	}
	switch now {
	case upload.Received:
		types = append(types, upload.EventReceived)
	case upload.Ready:
		if was == upload.Receiving {
			types = append(types, upload.EventReceived)
		}
		types = append(types, upload.EventReady)
	case upload.Rejected:
		types = append(types, upload.EventRejected)
	case upload.Expired:
		types = append(types, upload.EventExpired)
	case upload.Terminated:
		types = append(types, upload.EventTerminated)
	}
	return types
}

// tellGone has it recorded that the upload in rec was terminated. Of one that was gone before, everybody knows.
func (f *File) tellGone(rec upload.Record) {
	if rec.State.Gone() {
		return
	}
	was := rec.State
	rec.Profile, rec.State = f.profile, upload.Terminated
	f.tell(was, rec)
}

// Changed calls do with every upload whose record was written at since or later, as it is on disk, until do fails. It is how
// events are found which a crash kept from being recorded.
func (f *File) Changed(ctx context.Context, since time.Time, do func(upload.Record) error) error {
	var failed error
	err := f.each(func(id upload.ID) bool {
		if failed = ctx.Err(); failed != nil {
			return false
		}
		info, err := f.fs.Stat(f.name(id, infoSuffix))
		if err != nil || info.ModTime().Before(since.Truncate(time.Second)) { // some file systems keep whole seconds
			return true
		}
		raw, err := f.readRecord(id)
		if errors.Is(err, fs.ErrNotExist) {
			return true
		}
		var rec stored
		if err == nil {
			rec, err = decodeRecord(id, raw)
		}
		if err != nil {
			f.log.Error("whether an event lacks is not known", "profile", f.profile, "id", id, "err", err)
			return true
		}
		rec.Profile, rec.Expires = f.profile, f.expires(rec.Record, rec.Changed)
		failed = do(rec.Record)
		return failed == nil
	})
	if err = errors.Join(failed, err); err != nil {
		return fmt.Errorf("store: looking for changes: %w", err)
	}
	return nil
}
