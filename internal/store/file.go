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

// maxCached is how many records are kept in memory beyond those in use: at about 1 KiB each, 8 MiB.
const maxCached = 8192

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

	mu      sync.Mutex // guards entries and the refs in them; taken before any entry's mutex is, never after
	entries map[upload.ID]*entry
}

var _ Store = (*File)(nil)

// entry is an upload in memory.
type entry struct {
	id   upload.ID
	refs int // users now; guarded by File.mu

	mu     sync.Mutex // guards what follows; held for file operations on the record, never while a client is waited for
	loaded bool
	gone   bool // removed, or being removed
	judged bool // the judge has taken the head of the bytes that are stored
	rec    stored
	pos    int64 // bytes in the file that are right; rec.Offset and rec.synced never lie above
}

// acquire returns the entry of id with its mutex held; the caller ends with release. The record is loaded if it was not.
func (f *File) acquire(id upload.ID) (*entry, error) {
	e := f.pin(id)
	e.mu.Lock()
	var err error
	switch {
	case e.gone:
		err = upload.ErrNotFound
	case !e.loaded:
		err = f.load(e)
	}
	if err != nil {
		f.unlockEntry(e)
		return nil, err
	}
	return e, nil
}

func (f *File) pin(id upload.ID) *entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.entries[id]
	if e == nil {
		e = &entry{id: id}
		f.entries[id] = e
	}
	e.refs++
	return e
}

// unlockEntry unlocks e and forgets it if it holds nothing worth keeping, or if too much is kept.
func (f *File) unlockEntry(e *entry) {
	e.mu.Unlock()
	f.unpin(e)
}

func (f *File) unpin(e *entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e.refs--
	if e.refs > 0 {
		return
	}
	if !e.loaded || e.gone { // nobody else has it, so no need of its mutex
		delete(f.entries, e.id)
		return
	}
	for id, other := range f.entries { // a map's order is random enough to choose whom to forget
		if len(f.entries) <= maxCached {
			return
		}
		if other.refs == 0 {
			delete(f.entries, id)
		}
	}
}

// load reads the record of e and how much of its content is there.
func (f *File) load(e *entry) error {
	raw, err := f.fs.ReadFile(f.name(e.id, infoSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return upload.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("store: read record of %s: %w", e.id, err)
	}
	if e.rec, err = decodeRecord(e.id, raw); err != nil {
		return fmt.Errorf("store: record of %s: %w", e.id, err)
	}
	e.rec.Profile = f.profile // tusd's own records name none
	e.pos, e.judged = e.rec.Offset, e.rec.State.Complete()
	switch e.rec.State {
	case upload.Receiving:
		err = f.measure(e)
	case upload.Rejected:
		if err := f.removeContent(e.id, e.rec.Record); err != nil { // a crash came between the verdict and this
			f.log.Error("bytes of a rejected upload stay", "profile", f.profile, "id", e.id, "err", err)
		}
	}
	e.loaded = err == nil
	return err
}

// measure finds out how many bytes of a receiving upload are stored, and makes them durable before anybody is told.
func (f *File) measure(e *entry) error {
	file, err := f.openContent(e.id)
	if err != nil {
		return fmt.Errorf("store: open %s: %w", e.id, diskError(err))
	}
	defer file.Close() // what was written is synced
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	e.pos = info.Size()
	if e.rec.Length != upload.Deferred && e.pos > e.rec.Length { // the work of another writer
		e.pos = e.rec.Length
		if err := file.Truncate(e.pos); err != nil {
			return fmt.Errorf("store: cut %s: %w", e.id, err)
		}
	}
	if f.durable && info.Size() > e.rec.synced {
		if err := f.datasync(file); err != nil {
			return fmt.Errorf("store: sync %s: %w", e.id, diskError(err))
		}
		if err := f.saveSynced(e, e.pos); err != nil {
			return err
		}
	}
	e.rec.Offset = e.pos
	if e.pos == e.rec.Length && !e.rec.partial.IsPartial {
		e.rec.State = upload.Received // a crash, or tusd, ended after the last byte; processing is due
	}
	e.rec.MediaType = "" // of bytes that may have been taken back: the judge looks again
	return nil
}

// openContent opens the content of id for writing. It is made if it is missing, which a crash in Create leaves.
func (f *File) openContent(id upload.ID) (durable.File, error) {
	name := f.name(id, "")
	file, err := f.fs.OpenFile(name, os.O_RDWR)
	if !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	if file, err = f.fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL); err != nil {
		return nil, err
	}
	if f.durable {
		if err := f.fs.SyncDir(path.Dir(name)); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
	return file, nil
}

// saveSynced notes that the bytes of e below off are durable: in the record, where the file system could not tell it after a
// power cut.
func (f *File) saveSynced(e *entry, off int64) error {
	before := e.rec.synced
	e.rec.synced = off
	if f.holes {
		return nil
	}
	if err := f.save(e); err != nil {
		e.rec.synced = before
		return err
	}
	return nil
}

// save writes the record of e, whose mutex is held.
func (f *File) save(e *entry) error {
	raw, err := e.rec.encode()
	if err != nil {
		return fmt.Errorf("store: encode record of %s: %w", e.id, err)
	}
	if err := durable.WriteFile(f.fs, f.name(e.id, infoSuffix), raw, f.durable); err != nil {
		return fmt.Errorf("store: write record of %s: %w", e.id, diskError(err))
	}
	return nil
}

// change saves what alter does to the record, or leaves it as it was if that fails.
func (f *File) change(e *entry, alter func(*stored)) error {
	before := e.rec
	alter(&e.rec)
	e.rec.Changed = time.Now().UTC().Truncate(time.Millisecond)
	if err := f.save(e); err != nil {
		e.rec = before
		return err
	}
	return nil
}

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
	err := f.fs.Mkdir(fan(id))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil && f.durable {
		err = f.fs.SyncDir(".")
	}
	if err != nil {
		return fmt.Errorf("store: make directory for %s: %w", id, diskError(err))
	}
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
	err = f.change(e, func(rec *stored) { rec.State = upload.Received })
	return e.rec.Record, err
}

// prove makes all bytes of e durable if it is the record alone that will tell, after a power cut, that they are there. Where
// the file system can tell, a store that is not durable leaves it to that.
func (f *File) prove(e *entry) error {
	if f.holes || e.rec.synced >= e.rec.Length {
		return nil
	}
	file, err := f.fs.OpenFile(f.name(e.id, ""), os.O_RDWR)
	if err != nil {
		return fmt.Errorf("store: open %s: %w", e.id, err)
	}
	defer file.Close() // what was written is synced
	if err := f.datasync(file); err != nil {
		return fmt.Errorf("store: sync %s: %w", e.id, diskError(err))
	}
	e.rec.synced = e.rec.Length // recorded with the new state
	return nil
}

// judgeStored is judgeHead on the stored bytes of e, if that was not done before.
func (f *File) judgeStored(e *entry) error {
	if f.judge == nil || e.judged {
		return nil
	}
	file, err := f.fs.Open(f.name(e.id, ""))
	if err != nil {
		return fmt.Errorf("store: open %s: %w", e.id, err)
	}
	defer file.Close()
	return f.judgeHead(e, file)
}

// judgeHead has the judge look at the head of e, which is in content, and settles a rejection. The verdict is told only once
// it is recorded.
func (f *File) judgeHead(e *entry, content io.ReaderAt) error {
	head := make([]byte, min(e.pos, upload.HeadBytes))
	if _, err := content.ReadAt(head, 0); err != nil {
		return fmt.Errorf("store: read head of %s: %w", e.id, err)
	}
	mediaType, err := f.judge(head)
	var verdict *upload.Rejection
	if errors.As(err, &verdict) {
		err = f.reject(e, verdict)
		if e.rec.State == upload.Rejected {
			err = errors.Join(verdict, err)
		}
		return err
	}
	if err == nil {
		e.judged, e.rec.MediaType = true, mediaType
	}
	return err
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
	return err == nil && info.Size() >= rec.Length && rec.Length != upload.Deferred
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
