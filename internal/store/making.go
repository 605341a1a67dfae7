package store

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"sync"

	"sluice/internal/durable"
	"sluice/internal/upload"
)

// In a store that is not durable the first record of an upload that has bytes is written in its place: to make it appear whole takes up
// to a tenth of what a small upload costs. Who is killed between the making of that file and its writing leaves it empty, and nobody was told of it. A
// power cut empties records too, of uploads that everybody was told of. What tells the two apart is a note of what is being made,
// which counts for nothing once the kernel has started anew.

// makingSlot is the room for the longest id and what ends it.
const makingSlot = 192

// making is the note of the uploads whose first record is being made. All methods may be called concurrently; those of nil note nothing.
type making struct {
	file durable.File

	mu    sync.Mutex // guards what follows
	slots int64      // in the file
	free  []int64    // those among them that nobody uses: what they say is over
}

// begin notes that the first record of id is being made, until end is called with the slot. It tells whether it could.
func (m *making) begin(id upload.ID) (slot int64, noted bool) {
	if m == nil {
		return 0, false
	}
	slot = m.take()
	if _, err := m.file.WriteAt(append([]byte(id), '\n'), slot*makingSlot); err != nil {
		m.end(slot)
		return 0, false
	}
	return slot, true
}

// take prefers the slot that was used last, so that the file names few uploads that were made long ago.
func (m *making) take() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.free); n > 0 {
		slot := m.free[n-1]
		m.free = m.free[:n-1]
		return slot
	}
	m.slots++
	return m.slots - 1
}

func (m *making) end(slot int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free = append(m.free, slot)
}

func (m *making) close() error {
	if m == nil {
		return nil
	}
	return m.file.Close()
}

// makeRecord writes the first record of e. One that is empty, with no bytes beside it, needs no note to count for none.
func (f *File) makeRecord(e *entry, record durable.Change) error {
	name, raw := record.Name, record.Data
	if !e.fresh || len(raw) > pageBytes {
		slot, noted := f.making.begin(e.id)
		if !noted {
			return durable.WriteFile(f.fs, name, raw, false)
		}
		defer f.making.end(slot)
	}
	err := f.fs.Write(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, raw)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, none := f.readInfo(e.id); !errors.Is(none, fs.ErrNotExist) {
		return err
	}
	return f.fs.Write(name, os.O_WRONLY, raw)
}

// beginMaking removes what a killed process left of records, if its note is to be believed, and begins a new one.
func (f *File) beginMaking(believed bool) error {
	if believed {
		for _, id := range f.readMaking() {
			if err := f.goOn(id, f.unmake(id)); err != nil {
				return err
			}
		}
	}
	name := path.Join(ownDir, makingFile)
	if err := f.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if f.durable {
		return nil
	}
	file, err := f.fs.OpenFile(name, os.O_RDWR|os.O_CREATE)
	if errors.Is(diskError(err), upload.ErrInsufficientStorage) {
		return nil // it goes without
	}
	if err == nil {
		f.making = &making{file: file}
	}
	return err
}

// readMaking returns the ids that are noted; none if that cannot be read.
func (f *File) readMaking() (noted []upload.ID) {
	raw, err := f.fs.ReadFile(path.Join(ownDir, makingFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.log.Warn("what was being made is not known", "profile", f.profile, "err", err)
	}
	for slot := range slices.Chunk(raw, makingSlot) {
		text, _, whole := bytes.Cut(slot, []byte("\n"))
		if id, err := upload.ParseID(string(text)); whole && err == nil {
			noted = append(noted, id)
		}
	}
	return noted
}

// unmake removes the record of id if it was not written whole: its bytes, which nobody was told of, are left to the sweep.
func (f *File) unmake(id upload.ID) error {
	name := f.name(id, infoSuffix)
	raw, err := f.fs.ReadFile(name)
	if err == nil {
		if _, torn := decodeRecord(id, raw); torn != nil {
			err = f.fs.Remove(name)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
