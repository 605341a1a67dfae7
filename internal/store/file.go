package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"sync"
	"syscall"
	"time"

	"sluice/internal/durable"
	"sluice/internal/upload"
)

// Names in a store's directory. Ids hold no dots, so none of these can be an upload's.
const (
	ownDir     = ".sluice"          // what the store keeps about itself
	infoSuffix = ".info"            // record
	goneSuffix = ".gone"            // record of an upload that is being removed
	tempSuffix = durable.TempSuffix // being written; meaningless after a crash
	fanLetters = 2                  // of the id: 256 directories for hex ids
)

// File is a [Store] in a directory of one machine.
type File struct {
	*Locks
	fs       durable.FS
	profile  string
	flat     bool
	variants []string
	durable  bool
	reserve  int64
	judge    Judge
	metrics  *Metrics
	log      *slog.Logger
	buffers  *buffers
	holes    bool // the file system can tell how far a file was written, see durable.ReportsHoles
	release  func() error
	fans     sync.Map           // names of the fan directories that are there, durably
	suspect  map[upload.ID]bool // could not be checked after a power cut; set before the store is used

	mu      sync.Mutex // guards entries and the refs in them; taken before any entry's mutex is, never after
	entries map[upload.ID]*entry
}

var _ Store = (*File)(nil)

// name is the path of a file of id: its content for suffix "".
func (f *File) name(id upload.ID, suffix string) string {
	if f.flat {
		return string(id) + suffix
	}
	return path.Join(fan(id), string(id)+suffix)
}

func fan(id upload.ID) string { return string(id[:min(fanLetters, len(id))]) }

func variantSuffix(name string) string { return "." + name }

// Create implements [Store].
func (f *File) Create(rec upload.Record) error {
	if err := f.room(rec.Length); err != nil {
		return err
	}
	e := f.pin(rec.ID)
	e.mu.Lock()
	defer f.unlockEntry(e)
	if e.loaded || e.gone {
		return upload.ErrExists
	}
	rec.Profile, rec.State, rec.Offset = f.profile, upload.Receiving, 0
	rec.Created = time.Now().UTC().Truncate(time.Millisecond)
	rec.Changed = rec.Created
	e.rec = stored{Record: rec}
	if err := f.create(e); err != nil {
		return err
	}
	e.loaded = true
	return nil
}

// create writes the record, then makes the file for the content, then makes both names durable in one step.
func (f *File) create(e *entry) error {
	if err := f.makeFan(e.id); err != nil {
		return err
	}
	info, data := f.name(e.id, infoSuffix), f.name(e.id, "")
	for _, name := range []string{info, data, f.name(e.id, goneSuffix)} {
		_, err := f.fs.Stat(name)
		switch {
		case err == nil:
			return upload.ErrExists
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("store: create %s: %w", e.id, err)
		}
	}
	raw, err := e.rec.encode()
	if err != nil {
		return fmt.Errorf("store: encode record of %s: %w", e.id, err)
	}
	if err := f.createFiles(info, data, raw); err != nil {
		f.fs.Remove(data)
		f.fs.Remove(info)
		return fmt.Errorf("store: create %s: %w", e.id, diskError(err))
	}
	return nil
}

func (f *File) createFiles(info, data string, raw []byte) error {
	if err := durable.WriteFile(f.fs, info, raw, f.durable); err != nil {
		return err
	}
	file, err := f.fs.OpenFile(data, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil || !f.durable {
		return err
	}
	return f.fs.SyncDir(path.Dir(data))
}

// makeFan makes the subdirectory for id, if the layout has them.
func (f *File) makeFan(id upload.ID) error {
	if f.flat {
		return nil
	}
	if _, synced := f.fans.Load(fan(id)); synced {
		return nil
	}
	err := f.fs.Mkdir(fan(id))
	if errors.Is(err, fs.ErrExist) {
		err = nil // perhaps by somebody who did not come to sync it
	}
	if err == nil && f.durable {
		err = f.fs.SyncDir(".")
	}
	if err != nil {
		return fmt.Errorf("store: make directory for %s: %w", id, diskError(err))
	}
	f.fans.Store(fan(id), true)
	return nil
}

// room tells whether n more bytes, and the reserve, fit on the disk.
func (f *File) room(n int64) error {
	free, err := f.fs.Free()
	if err != nil {
		return fmt.Errorf("store: free space: %w", err)
	}
	if max(n, 0) > free-f.reserve {
		return fmt.Errorf("store: %d bytes wanted, %d free, %d kept in reserve: %w", n, free, f.reserve, upload.ErrInsufficientStorage)
	}
	return nil
}

// Check implements [Store].
func (f *File) Check() error { return f.room(1) }

// Lookup implements [Store].
func (f *File) Lookup(id upload.ID) (upload.Record, error) {
	e, err := f.acquire(id)
	if err != nil {
		return upload.Record{}, err
	}
	defer f.unlockEntry(e)
	return e.rec.Record, nil
}

// DeclareLength implements [Store].
func (f *File) DeclareLength(id upload.ID, length int64) error {
	e, err := f.acquire(id)
	if err != nil {
		return err
	}
	defer f.unlockEntry(e)
	if err := e.writable(); err != nil {
		return fmt.Errorf("store: length of %s: %w", id, err)
	}
	switch {
	case e.rec.Length != upload.Deferred:
		return fmt.Errorf("store: length of %s is known: %w", id, upload.ErrComplete)
	case length < e.pos:
		return fmt.Errorf("store: %s holds more than %d bytes: %w", id, length, upload.ErrTooLarge)
	}
	if err := f.room(length - e.pos); err != nil {
		return err
	}
	return f.change(e, func(rec *stored) { rec.Length = length })
}

// Complete implements [Store].
func (f *File) Complete(id upload.ID) (upload.Record, error) {
	e, err := f.acquire(id)
	if err != nil {
		return upload.Record{}, err
	}
	defer f.unlockEntry(e)
	if e.rec.State != upload.Receiving {
		return e.rec.Record, nil
	}
	if e.rec.Offset != e.rec.Length {
		return e.rec.Record, fmt.Errorf("store: %s has %d of %d bytes: %w", id, e.rec.Offset, e.rec.Length, upload.ErrOffsetMismatch)
	}
	if err := f.judgeStored(e); err != nil {
		return e.rec.Record, err
	}
	if err := f.prove(e); err != nil {
		return e.rec.Record, err
	}
	err = f.change(e, func(rec *stored) { rec.State, rec.checked = upload.Received, nil })
	return e.rec.Record, err
}

// Open implements [Store].
func (f *File) Open(id upload.ID) (io.ReadSeekCloser, upload.Record, error) {
	rec, err := f.Lookup(id)
	if err != nil {
		return nil, rec, err
	}
	switch rec.State {
	case upload.Received, upload.Ready:
		return f.open(rec, "")
	case upload.Rejected:
		return nil, rec, upload.ErrGone
	default:
		return nil, rec, upload.ErrNotReady
	}
}

// OpenVariant implements [Store].
func (f *File) OpenVariant(id upload.ID, name string) (io.ReadSeekCloser, upload.Record, error) {
	rec, err := f.Lookup(id)
	if err != nil {
		return nil, rec, err
	}
	for _, v := range rec.Variants {
		if v.Name == name {
			return f.open(rec, variantSuffix(name))
		}
	}
	return nil, rec, upload.ErrNotFound
}

func (f *File) open(rec upload.Record, suffix string) (io.ReadSeekCloser, upload.Record, error) {
	file, err := f.fs.Open(f.name(rec.ID, suffix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, rec, upload.ErrNotFound // removed in this moment
	}
	if err != nil {
		return nil, rec, fmt.Errorf("store: open %s: %w", rec.ID, err)
	}
	return file, rec, nil
}

// Received implements [Store].
func (f *File) Received(ctx context.Context, do func(upload.Record) bool) error {
	return f.each(func(id upload.ID) bool {
		if !f.mayBeReceived(id) {
			return ctx.Err() == nil
		}
		rec, err := f.Lookup(id)
		if err != nil && !errors.Is(err, upload.ErrNotFound) {
			f.log.Error("upload cannot be read", "profile", f.profile, "id", id, "err", err)
		}
		if err == nil && rec.State == upload.Received && !do(rec) {
			return false
		}
		return ctx.Err() == nil
	})
}

// mayBeReceived looks at a record without keeping it: most of a large store is settled. A rejected upload is loaded too, for
// the sake of bytes that a crash left.
func (f *File) mayBeReceived(id upload.ID) bool {
	raw, err := f.fs.ReadFile(f.name(id, infoSuffix))
	if err != nil {
		return true
	}
	rec, err := decodeRecord(id, raw)
	if err != nil || rec.State != upload.Receiving {
		return rec.State != upload.Ready
	}
	info, err := f.fs.Stat(f.name(id, ""))
	return err == nil && rec.Length != upload.Deferred && rec.counted(info.Size()) == rec.Length
}

// diskError translates what the system says about a full disk.
func diskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return errors.Join(upload.ErrInsufficientStorage, err)
	}
	return err
}

func (f *File) datasync(file durable.File) error {
	began := time.Now()
	err := file.Datasync()
	f.metrics.sync.Observe(time.Since(began).Seconds())
	return err
}
