package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"sluice/internal/durable"
	"sluice/internal/upload"
)

// maxCached is how many records are kept in memory beyond those in use: at about 1 KiB each, 8 MiB.
const maxCached = 8192

// entry is an upload in memory.
type entry struct {
	id   upload.ID
	refs int // users now; guarded by File.mu

	mu         sync.Mutex // guards what follows; held for file operations on the record, never while a client is waited for
	loaded     bool
	gone       bool         // removed, or being removed
	unrecorded bool         // there is no record yet: see [File.Announce]
	fresh      bool         // the file for the content is not made yet
	named      bool         // its name is known to be durable
	zeroTail   bool         // the last byte is a zero: see tail.go
	unsynced   bool         // a sync failed, and the bytes that it was for are not given up yet
	uncut      bool         // bytes above pos are there that do not count, and no record says so
	judged     bool         // the judge has taken the head of the bytes that are stored
	told       upload.State // that everybody knows of, and the record on disk has; "" before there is one
	rec        stored
	saved      int64 // rec.synced as it is on disk
	room       int   // bytes of the record's file; 0 if that is not known
	pos        int64 // bytes in the file that are right; rec.Offset and rec.synced never lie above

	sum *running // digest of the first bytes; nil if it is not known, or a chunk has it

	active atomic.Int64 // when the last byte was stored, as Unix nanoseconds
	slow   atomic.Bool  // its connection was, when the last chunk came
}

// lastActive is when the last byte was stored.
func (e *entry) lastActive() time.Time { return time.Unix(0, e.active.Load()) }

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
	f.lapse(&e.rec.Record, e.lastActive())
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
	if e.gone || !e.loaded && !e.unsynced { // nobody else has it, so no need of its mutex
		delete(f.entries, e.id)
		return
	}
	if len(f.entries) <= maxCached {
		return
	}
	for id, other := range f.entries { // a map's order is random enough to choose whom to forget
		if len(f.entries) <= maxCached {
			return
		}
		if other.refs == 0 && !other.memorable() {
			delete(f.entries, id)
		}
	}
}

// memorable tells that e knows what the disk does not.
func (e *entry) memorable() bool { return e.unrecorded || e.unsynced || e.uncut }

// readInfo reads the record of id. An empty one with no bytes beside it is none: whoever made it did not come to write it. The sweep
// removes it.
func (f *File) readInfo(id upload.ID) ([]byte, error) {
	name := f.name(id, infoSuffix)
	raw, err := f.fs.ReadFile(name)
	if err == nil && len(raw) == 0 && !f.hasBytes(id) {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	return raw, err
}

// hasBytes tells that there are bytes of id.
func (f *File) hasBytes(id upload.ID) bool {
	return slices.ContainsFunc(append(f.variantSuffixes(), ""), func(suffix string) bool {
		info, err := f.fs.Stat(f.name(id, suffix))
		return err == nil && info.Size() > 0 || err != nil && !errors.Is(err, fs.ErrNotExist)
	})
}

// load reads the record of e and how much of its content is there.
func (f *File) load(e *entry) error {
	raw, err := f.readInfo(e.id)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return upload.ErrNotFound
	case err != nil && !transient(err) && !errors.Is(err, syscall.EIO): // a disk that fails now may give it back
		err = errors.Join(upload.ErrUnreadable, err)
	case err == nil && f.suspect[e.id]:
		err = upload.ErrUnreadable
	}
	if err != nil {
		return fmt.Errorf("store: read record of %s: %w", e.id, err)
	}
	if e.rec, err = decodeRecord(e.id, raw); err != nil {
		return fmt.Errorf("store: record of %s: %w", e.id, err)
	}
	e.rec.Profile = f.profile // tusd's own records name none
	e.room = len(raw)
	e.saved, e.pos, e.judged, e.told, e.sum = e.rec.synced, e.rec.Offset, e.rec.judged(), e.rec.State, nil
	e.active.Store(e.rec.Changed.UnixNano())
	switch {
	case e.rec.State == upload.Receiving && !e.rec.ofParts(): // of a final of ours the file tells nothing
		err = f.measure(e)
	case e.rec.over():
		if err := f.removeBytes(e.id, e.rec); err != nil { // a crash came between the record and this
			f.log.Error("bytes that nobody needs stay", "profile", f.profile, "id", e.id, "err", err)
		}
	}
	e.loaded = err == nil
	return err
}

// transient tells troubles of the moment, which say nothing about a file.
func transient(err error) bool {
	for _, of := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EAGAIN, syscall.EINTR} {
		if errors.Is(err, of) {
			return true
		}
	}
	return false
}

// measure finds out how many bytes of a receiving upload are stored, and makes them durable before anybody is told.
func (f *File) measure(e *entry) error {
	file, err := f.openContent(e.id)
	if err != nil {
		return fmt.Errorf("store: open %s: %w", e.id, f.diskError(err))
	}
	defer file.Close() // what was written is synced
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if info.Size() > 0 { // else it may be made in this moment
		e.active.Store(max(info.ModTime().UnixNano(), e.active.Load()))
	}
	e.pos = e.rec.counted(info.Size())
	if e.pos < info.Size() { // never checked, or the work of another writer
		if err := file.Truncate(e.pos); err != nil {
			return fmt.Errorf("store: cut %s: %w", e.id, err)
		}
	}
	if f.durable && info.Size() > e.rec.synced || e.unsynced {
		if err := f.makeSure(e, file); err != nil {
			return err
		}
	}
	if e.zeroTail, err = endsInZero(file, e.pos); err != nil {
		return fmt.Errorf("store: read %s: %w", e.id, err)
	}
	if f.durable && info.Size() > e.rec.synced || e.rec.synced > e.pos { // the latter if a crash came between a cut and this
		if err := f.saveSynced(e, e.pos); err != nil {
			return err
		}
	}
	e.rec.Offset = e.pos
	f.recall(e.id, due(e.rec.Length, e.pos))
	switch {
	case e.pos == e.rec.Length:
		f.received(e)
	case e.rec.Final:
		e.pos, e.rec.Offset, e.rec.synced = 0, 0, 0 // tusd did not come to its end: it is assembled anew
	}
	e.rec.MediaType = "" // of bytes that may have been taken back: the judge looks again
	return nil
}

// received notes that the bytes of e are all there: a crash, or tusd, ended after the last one, and processing is due. Where it
// cannot be written down, the next state will be.
func (f *File) received(e *entry) {
	if f.record != nil { // else nobody has to be told of it
		err := f.change(e, func(rec *stored) { rec.State, rec.MediaType = upload.Received, "" })
		if err == nil {
			return
		}
		f.log.Warn("a state is not recorded", "profile", f.profile, "id", e.id, "err", err)
	}
	e.rec.State = upload.Received
}

// makeSure makes the bytes of e that count durable, with their name.
func (f *File) makeSure(e *entry, file durable.File) error {
	if !e.unsynced {
		e.named = e.named || f.flushed.Load()
		if err := f.syncFound(file); err != nil {
			f.doubt(e)
			return fmt.Errorf("store: sync %s: %w", e.id, f.diskError(err))
		}
		return f.syncName(e)
	}
	if err := f.giveUpUnsynced(e, file); err != nil {
		return fmt.Errorf("store: sync %s again: %w", e.id, f.diskError(err))
	}
	return f.syncName(e)
}

// syncFound makes what is in a file durable that this process has not written to since it knew that all of it is.
func (f *File) syncFound(file durable.File) error {
	if f.flushed.Load() {
		return file.Written()
	}
	return f.datasync(file)
}

// giveUpUnsynced cuts the bytes of e where they are no longer provably on the disk. That a sync has failed is told once: the
// next one succeeds, also if what the first one was for is lost.
func (f *File) giveUpUnsynced(e *entry, file durable.File) error {
	kept := e.rec.synced
	if f.holes {
		var err error
		if kept, err = provable(file, e.rec.synced); err != nil {
			return err
		}
	}
	kept = min(kept, e.pos)
	f.log.Error("a sync failed: going back to what is on the disk", "profile", f.profile, "id", e.id, "kept", kept, "of", e.pos)
	if err := errors.Join(file.Truncate(kept), f.datasync(file)); err != nil {
		return err
	}
	e.pos, e.unsynced = kept, false
	return nil
}

// doubt notes that a sync of e has failed: what is there is found out anew. Where nothing could tell that, in a store that is
// not durable, the bytes count as long as they can be read.
func (f *File) doubt(e *entry) {
	if !f.durable && !f.holes {
		return
	}
	e.unsynced, e.loaded = true, false
	f.doubtNextStart()
}

// distrust notes that what is above off does not count, though it could not be cut off.
func (f *File) distrust(e *entry, off int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if f.saveChecked(e, &off) != nil {
		e.uncut = true
		f.doubtNextStart()
	}
}

// doubtNextStart has the next start check every upload, unless this process comes to a clean end.
func (f *File) doubtNextStart() {
	if f.doubted.Swap(true) {
		return
	}
	if err := f.writeMark(mark{}, mark{Format: formatVersion, Holes: f.holes, Since: f.since}); err != nil {
		f.log.Error("the next start will not check every upload", "profile", f.profile, "err", err)
	}
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

// syncName makes the name of the content of e durable, unless it is, or its first record will do that.
func (f *File) syncName(e *entry) error {
	if e.named || e.unrecorded && f.journal == nil {
		return nil
	}
	if err := f.fs.SyncDir(path.Dir(f.name(e.id, ""))); err != nil {
		return fmt.Errorf("store: sync directory of %s: %w", e.id, f.diskError(err))
	}
	e.named = true
	return nil
}
