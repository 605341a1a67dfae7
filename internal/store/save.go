package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"sluice/internal/durable"
	"sluice/internal/upload"
)

// How the record of an upload comes to the disk: one way each for a durable store with a journal, one without, and one that is not
// durable.

// saveSynced notes that the bytes of e below off are durable: in the record, where the file system could not tell it after a
// power cut, or where the record says more.
func (f *File) saveSynced(e *entry, off int64) error {
	before := e.rec.synced
	e.rec.synced = off
	if f.holes && !e.zeroTail && off >= e.saved {
		return nil
	}
	if err := f.save(e); err != nil {
		e.rec.synced = before
		return err
	}
	return nil
}

// saveChecked notes in the record up to where bytes count; nil lets all count.
func (f *File) saveChecked(e *entry, checked *int64) error {
	before := e.rec.checked
	e.rec.checked = checked
	if err := f.save(e); err != nil {
		e.rec.checked = before
		return err
	}
	return nil
}

// syncRecord makes the record of e durable in a store that is not.
func (f *File) syncRecord(e *entry) error {
	name := f.name(e.id, infoSuffix)
	file, err := f.fs.OpenFile(name, os.O_RDWR)
	if err == nil {
		err = errors.Join(f.datasync(file), file.Close())
	}
	if err == nil {
		err = f.fs.SyncDir(path.Dir(name))
	}
	if err != nil {
		return fmt.Errorf("store: sync record of %s: %w", e.id, f.diskError(err))
	}
	return nil
}

// save writes the record of e, whose mutex is held, and has everybody told of a new state. The files in with are as durable as
// the record, and there if it is: content that is written already, or variants, which are written then.
func (f *File) save(e *entry, with ...durable.Change) error {
	raw, err := e.rec.encode()
	if err != nil {
		return fmt.Errorf("store: encode record of %s: %w", e.id, err)
	}
	if err := f.writeRecord(e, raw, with); err != nil {
		return fmt.Errorf("store: write record of %s: %w", e.id, f.diskError(err))
	}
	e.saved, e.unrecorded = e.rec.synced, false
	if f.durable && f.journal == nil {
		e.named = !e.fresh // they are in one directory
	}
	was := e.told
	e.told = e.rec.State
	f.tell(was, e.rec.Record)
	return nil
}

const (
	// recordRoom is a multiple of the room that a record gets where it may be overwritten.
	recordRoom = 512
	// pageBytes is what a process cannot leave half written: the kernel copies it in one go, whoever is killed meanwhile.
	pageBytes = 4096
)

// writeRecord puts raw in the place of the record of e, durably where the store is: by the journal, else as a file of its own. If a new
// upload has a record already it is [upload.ErrExists], and nothing is written.
func (f *File) writeRecord(e *entry, raw []byte, with []durable.Change) error {
	if f.journal != nil || !f.durable {
		raw = f.padded(e, raw)
	}
	if e.unrecorded && e.fresh && f.durable { // else the system tells
		switch _, err := f.readInfo(e.id); {
		case err == nil:
			return upload.ErrExists
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	err := f.commit(e, with, durable.Change{Name: f.name(e.id, infoSuffix), Data: raw})
	if errors.Is(err, fs.ErrExist) {
		return errors.Join(upload.ErrExists, err)
	}
	if err != nil && e.unrecorded {
		f.fs.Remove(f.name(e.id, infoSuffix)) // it is none
	}
	return err
}

// commit writes the record of e, after the files in with, when the journal has all of them, if there is one. Of an upload that could
// not be made after all nothing comes back.
func (f *File) commit(e *entry, with []durable.Change, record durable.Change) error {
	written := true
	apply := func() error {
		err := f.writeFiles(e, with)
		if err == nil {
			err = f.putRecord(e, record)
		}
		written = err == nil
		return err
	}
	if f.journal == nil {
		return apply()
	}
	err := f.journal.Commit(apply, append(with, record)...)
	if !written && e.unrecorded {
		gone := f.journal.Commit(nothing, durable.Change{Name: record.Name, Gone: true}, durable.Change{Name: f.name(e.id, ""), Gone: true})
		err = errors.Join(err, gone)
	}
	return err
}

func nothing() error { return nil }

// putRecord writes record over that of e if it has as much room and nothing can tear it, or makes a new file of it. ext4 begins to write
// to the disk whenever a file is renamed over another. The first one is written in its place: the journal makes up for what a crash
// leaves, or, after a kill, the note of what is being made.
func (f *File) putRecord(e *entry, record durable.Change) (err error) {
	raw := record.Data
	switch {
	case f.journal == nil && f.durable:
		return durable.WriteFile(f.fs, record.Name, raw, true)
	case len(raw) == e.room && e.room <= pageBytes && !e.unrecorded && f.fs.Write(record.Name, os.O_WRONLY, raw) == nil:
		return nil
	case f.journal != nil && e.unrecorded:
		err = f.fs.Write(record.Name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, raw)
	case e.unrecorded:
		err = f.makeRecord(e, record)
	default:
		err = durable.WriteFile(f.fs, record.Name, raw, false)
	}
	if e.room = len(raw); err != nil {
		e.room = 0
	}
	return err
}

// writeFiles writes what goes with a record, but for content, which is there. Where nothing else makes it durable it is synced, also
// in a store that is not durable: after a power cut nothing else would tell that it is whole.
func (f *File) writeFiles(e *entry, with []durable.Change) error {
	content := f.name(e.id, "")
	for _, c := range with {
		if c.Name == content {
			continue
		}
		if err := durable.WriteFile(f.fs, c.Name, c.Data, f.journal == nil); err != nil {
			return err
		}
	}
	return nil
}

// padded is the record raw of e with spaces behind it, which JSON allows: as long as the room that its file has, if that is enough.
func (f *File) padded(e *entry, raw []byte) []byte {
	room := e.room
	if len(raw) > room {
		room = (len(raw) + recordRoom - 1) / recordRoom * recordRoom
	}
	padded := make([]byte, room)
	for i := copy(padded, raw); i < room; i++ {
		padded[i] = ' '
	}
	return padded
}

// change saves what alter does to the record, with the files in with, or leaves it as it was if that fails.
func (f *File) change(e *entry, alter func(*stored), with ...durable.Change) error {
	before := e.rec
	alter(&e.rec)
	e.rec.Changed = time.Now().UTC().Truncate(time.Millisecond)
	if err := f.save(e, with...); err != nil {
		e.rec = before
		return err
	}
	if e.rec.State != upload.Receiving {
		f.owe(e.id, 0)
	}
	return nil
}
