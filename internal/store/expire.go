package store

import (
	"fmt"
	"time"

	"sluice/internal/upload"
)

// Expiration (tus 1.0.0, "Expiration"). The last byte's time is that of the file: no record is written for it. An upload whose
// time is over is expired for everybody at once; that its bytes go is left to [File.Sweep].

// lapse puts into rec, whose last byte came at active, when it expires, or that it has.
func (f *File) lapse(rec *upload.Record, active time.Time) {
	rec.Expires = f.expires(*rec, active)
	over := !rec.Expires.IsZero() && !time.Now().Before(rec.Expires)
	if over && !(rec.Partial && rec.State == upload.Received) { // which a final may wait for: the sweep finds out
		rec.State, rec.Offset = upload.Expired, 0
	}
}

// expires is when an upload is given up whose last byte came at active; the zero time is never. A final goes with its parts.
func (f *File) expires(rec upload.Record, active time.Time) time.Time {
	if active.Before(f.since) {
		active = f.since
	}
	switch {
	case rec.State == upload.Receiving && !rec.Final, rec.State == upload.Received && rec.Partial && rec.JoinedIn == "":
		return after(active, f.lifetime)
	case rec.State == upload.Ready:
		return after(rec.Changed, f.retention)
	}
	return time.Time{}
}

// after is t + d in UTC; the zero time if d is 0, which is for ever.
func after(t time.Time, d time.Duration) time.Time {
	if d == 0 {
		return time.Time{}
	}
	return t.Add(d).UTC()
}

// expire records that e is over, then removes the bytes. A crash between the two leaves bytes that go when the record is next
// loaded.
func (f *File) expire(e *entry) error {
	was := e.rec.Record
	err := f.change(e, func(rec *stored) {
		rec.State, rec.Offset, rec.synced, rec.Expires = upload.Expired, 0, 0, time.Time{}
		rec.Variants, rec.Video, rec.Digest, rec.checked = nil, nil, "", nil
	})
	if err != nil {
		return fmt.Errorf("store: expire %s: %w", e.id, err)
	}
	e.pos = 0
	f.owned.forget(was.Owner, e.id)
	return f.removeContent(e.id, was)
}
