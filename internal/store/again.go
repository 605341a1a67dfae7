package store

import (
	"fmt"

	"sluice/internal/upload"
)

// Tried implements [Store].
func (f *File) Tried(id upload.ID, tries int) (upload.Record, error) {
	e, err := f.acquire(id)
	if err != nil {
		return upload.Record{}, err
	}
	defer f.unlockEntry(e)
	if e.rec.State != upload.Received {
		return e.rec.Record, fmt.Errorf("store: tries of %s in state %s: %w", id, e.rec.State, upload.ErrNotReady)
	}
	if e.rec.Tries == tries {
		return e.rec.Record, nil
	}
	err = f.change(e, func(rec *stored) { rec.Tries = tries })
	return e.rec.Record, err
}

// Revive implements [Store].
func (f *File) Revive(id upload.ID) (upload.Record, error) {
	e, err := f.acquire(id)
	if err != nil {
		return upload.Record{}, err
	}
	defer f.unlockEntry(e)
	if e.rec.State != upload.Rejected || !e.rec.kept || e.rec.Reason.Code != upload.CodeNotProcessed {
		return e.rec.Record, fmt.Errorf("store: revive %s: it was not given up: %w", id, upload.ErrNotReady)
	}
	err = f.change(e, func(rec *stored) {
		rec.State, rec.Reason, rec.Offset, rec.Tries, rec.kept = upload.Received, nil, rec.Length, 0, false
	})
	e.pos = e.rec.Offset
	return e.rec.Record, err
}

// keeps tells whether the bytes of an upload that is rejected stay: they are all there, and it is not for what they are, or the
// profile says so.
func (f *File) keeps(e *entry, why *upload.Rejection) bool {
	return e.rec.State == upload.Received && (f.keepRejected || why.Code == upload.CodeNotProcessed)
}
