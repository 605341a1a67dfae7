package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"sluice/internal/durable"
	"sluice/internal/upload"
)

// Publish implements [Store]. The variants are there, durably, before the record names them: see writeFiles.
func (f *File) Publish(id upload.ID, outcome upload.Outcome) (upload.Record, error) {
	rec, err := f.publish(id, outcome)
	if err == nil && f.own(rec) {
		f.replaceOlder(rec.Owner)
	}
	return rec, err
}

func (f *File) publish(id upload.ID, outcome upload.Outcome) (upload.Record, error) {
	e, err := f.acquire(id)
	if err != nil {
		return upload.Record{}, err
	}
	defer f.unlockEntry(e)
	if e.rec.State == upload.Ready {
		return e.rec.Record, nil
	}
	if e.rec.State != upload.Received || e.rec.Partial {
		return e.rec.Record, fmt.Errorf("store: publish %s in state %s: %w", id, e.rec.State, upload.ErrNotReady)
	}
	if err := f.judgeStored(e); err != nil {
		return e.rec.Record, err
	}
	if err := f.prove(e); err != nil {
		return e.rec.Record, err
	}
	made, files := make([]upload.Variant, 0, len(outcome.Variants)), make([]durable.Change, 0, len(outcome.Variants))
	for _, v := range outcome.Variants {
		made = append(made, v.Variant)
		files = append(files, durable.Change{Name: f.name(id, variantSuffix(v.Name)), Data: v.Data})
	}
	err = f.change(e, func(rec *stored) {
		rec.State, rec.Variants, rec.Video, rec.Tries = upload.Ready, made, outcome.Video, 0
		rec.Digest = cmp.Or(rec.Digest, outcome.Digest)
		if rec.MediaType == "" {
			rec.MediaType = outcome.MediaType
		}
	}, files...)
	return e.rec.Record, err
}

// Reject implements [Store].
func (f *File) Reject(id upload.ID, why *upload.Rejection) (upload.Record, error) {
	e, err := f.acquire(id)
	if err != nil {
		return upload.Record{}, err
	}
	defer f.unlockEntry(e)
	switch e.rec.State {
	case upload.Ready:
		return e.rec.Record, fmt.Errorf("store: reject %s: it is ready", id)
	case upload.Expired:
		return e.rec.Record, fmt.Errorf("store: reject %s: %w", id, upload.ErrExpired)
	case upload.Rejected:
		err = f.removeBytes(id, e.rec) // the first time may have failed at this
	default:
		err = f.reject(e, why, f.keeps(e, why))
	}
	return e.rec.Record, err
}

// reject records the verdict, then removes the bytes, unless they are to be kept. A crash between the two leaves bytes that go
// when the record is next loaded.
func (f *File) reject(e *entry, why *upload.Rejection, keep bool) error {
	err := f.change(e, func(rec *stored) {
		rec.State, rec.Reason, rec.Offset, rec.synced = upload.Rejected, why, 0, 0
		rec.Digest, rec.kept, rec.Tries = "", keep, 0
	})
	if err != nil {
		return err
	}
	e.pos = 0
	f.awaited.forget(&e.rec.Record)
	return f.removeBytes(e.id, e.rec)
}

// removeBytes removes what an upload that is over has, but for content that is kept.
func (f *File) removeBytes(id upload.ID, rec stored) error {
	if rec.kept {
		return f.removeFiles(id, f.variantNames(id, rec.Record))
	}
	return f.removeContent(id, rec.Record)
}

// removeContent removes the bytes of an upload and its variants, as far as rec and the profile tell their names. What is not
// there is no error.
func (f *File) removeContent(id upload.ID, rec upload.Record) error {
	return f.removeFiles(id, append(f.variantNames(id, rec), f.name(id, "")))
}

func (f *File) variantNames(id upload.ID, rec upload.Record) (names []string) {
	for _, v := range rec.Variants {
		names = append(names, f.name(id, variantSuffix(v.Name)))
	}
	for _, v := range f.variants {
		names = append(names, f.name(id, variantSuffix(v)))
	}
	return names
}

func (f *File) removeFiles(id upload.ID, names []string) error {
	for _, name := range names {
		if err := f.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("store: remove content of %s: %w", id, err)
		}
	}
	return nil
}

// Terminate implements [Store]. Renaming the record away is the step that decides, together with the journal where there is one; all
// that follows is done again by recover if it is cut short.
func (f *File) Terminate(id upload.ID) error {
	e := f.pin(id)
	e.mu.Lock()
	defer f.unlockEntry(e)
	info, gone := f.name(id, infoSuffix), f.name(id, goneSuffix)
	err := f.fs.Rename(info, gone)
	if errors.Is(err, fs.ErrNotExist) {
		return upload.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("store: terminate %s: %w", id, err)
	}
	e.gone = true
	f.owe(id, 0)
	f.awaited.drop(id)
	if f.durable && f.journal == nil {
		if err := f.fs.SyncDir(path.Dir(info)); err != nil {
			return fmt.Errorf("store: terminate %s: %w", id, err)
		}
	}
	return f.removeGone(id)
}

// goOnRemoving ends what a crash cut short. Where there is a record, somebody has put it back, and with it the upload.
func (f *File) goOnRemoving(id upload.ID) error {
	_, err := f.fs.Stat(f.name(id, infoSuffix))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f.removeGone(id)
	case err != nil:
		return err
	}
	f.log.Warn("an upload that was being removed has a record again, and stays", "profile", f.profile, "id", id)
	return f.fs.Remove(f.name(id, goneSuffix))
}

// removeGone removes what is left of a terminated upload, its renamed record last.
func (f *File) removeGone(id upload.ID) error {
	raw, _ := f.fs.ReadFile(f.name(id, goneSuffix)) // an unreadable one leaves the profile's own names
	rec, err := decodeRecord(id, raw)
	if err == nil {
		f.owned.forget(rec.Owner, id)
		f.tellGone(rec.Record)
	}
	names := append(f.variantNames(id, rec.Record), f.name(id, ""))
	remove := func() error {
		if err := f.removeFiles(id, names); err != nil {
			return err
		}
		if err := f.fs.Remove(f.name(id, goneSuffix)); err != nil {
			return fmt.Errorf("store: remove %s: %w", id, err)
		}
		return nil
	}
	if f.journal == nil {
		return remove()
	}
	changes := []durable.Change{{Name: f.name(id, infoSuffix), Gone: true}} // with what the journal has of it
	for _, name := range names {
		changes = append(changes, durable.Change{Name: name, Gone: true})
	}
	if err := f.journal.Commit(remove, changes...); err != nil {
		return fmt.Errorf("store: remove %s: %w", id, f.diskError(err))
	}
	return nil
}
