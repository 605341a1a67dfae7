package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"sluice/internal/upload"
)

// Profile is the name of the profile whose uploads these are.
func (f *File) Profile() string { return f.profile }

// List calls do with every upload, in no order and as a client would be told of it, until do fails. Like [File.Sweep] it reads every
// record without keeping any in memory, and disturbs nobody; what is made or removed meanwhile may be missed. An upload whose record
// cannot be read has the state [upload.Unreadable], and the log says why. After a power cut, and where nobody has looked at an upload
// since, its offset is the length of its file: what of that is not to be trusted is found out when it is loaded.
func (f *File) List(ctx context.Context, do func(upload.Record) error) error {
	var failed error
	breath := breath{alone: f.onlyLook}
	err := f.each(func(id upload.ID) bool {
		breath.step()
		if failed = ctx.Err(); failed != nil {
			return false
		}
		rec, err := f.glance(id)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return true // removed in this moment
		case err != nil:
			f.log.Error("upload cannot be read", "profile", f.profile, "id", id, "err", err)
			rec = upload.Record{ID: id, State: upload.Unreadable}
		}
		rec.Profile = f.profile
		failed = do(rec)
		return failed == nil
	})
	if err = errors.Join(failed, err); err != nil {
		return fmt.Errorf("store: list: %w", err)
	}
	return nil
}

// glance returns the record of id as it is in memory, or else from the disk, where it is left.
func (f *File) glance(id upload.ID) (upload.Record, error) {
	if rec, known := f.remembered(id); known {
		return rec, nil
	}
	u, err := f.look(id)
	if err != nil {
		return upload.Record{}, err
	}
	rec := u.rec.Record
	if rec.State == upload.Receiving && !rec.Final {
		rec.Offset = u.rec.counted(u.size)
	}
	f.lapse(&rec, u.active)
	return rec, nil
}

// remembered returns the record of id if it is in memory.
func (f *File) remembered(id upload.ID) (upload.Record, bool) {
	e := f.pin(id)
	e.mu.Lock()
	defer f.unlockEntry(e)
	if !e.loaded || e.gone {
		return upload.Record{}, false
	}
	f.lapse(&e.rec.Record, e.lastActive())
	return e.rec.Record, true
}
