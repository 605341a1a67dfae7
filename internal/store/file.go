package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

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
	fs        durable.FS
	profile   string
	flat      bool
	variants  []string
	durable   bool
	reserve   int64
	judge     Judge
	metrics   *Metrics
	receiving prometheus.Gauge   // this profile's of metrics
	arrived   prometheus.Counter // likewise: bytes received
	log       *slog.Logger
	buffers   *buffers
	opened    time.Time // when this process came, for all that a file's time can tell
	since     time.Time // see [mark]
	onlyLook  bool      // see [Inspect]
	holes     bool      // the file system can tell how far a file was written, see durable.ReportsHoles
	release   func() error
	journal   *durable.Journal // nil: files are synced one by one, or not at all
	making    *making          // nil: a first record is made as a file of its own
	flushed   atomic.Bool      // what lay there when the store was opened is on the disk
	lifetime  time.Duration    // see [Options]
	retention time.Duration
	maxBytes  int64
	direct    func(mediaType string) bool // see [Options]
	record    Recorder                    // see [Options]
	keepParts bool
	perOwner  int // see [Options]
	owned     owned
	disk      *disk              // what was promised where this store is
	atDisk    chan struct{}      // a token for each upload that ends
	slowly    chan struct{}      // likewise, of slow connections
	copying   chan struct{}      // a token for each final that is being assembled
	fans      sync.Map           // names of the fan directories that are there, durably
	suspect   map[upload.ID]bool // could not be checked after a power cut; set before the store is used

	failing atomic.Bool // the disk, when it was last written to
	trying  sync.Mutex  // held while that is tried
	doubted atomic.Bool // the mark says that the next start is to check every upload

	awaited awaited // parts that finals wait for

	journalBytes int64  // of each file of the journal
	keepRejected bool   // see [Options]
	digest       string // likewise

	mu      sync.Mutex // guards entries and the refs in them; taken before any entry's mutex is, never after
	entries map[upload.ID]*entry
}

var _ Store = (*File)(nil)

// name is the path of a file of id: its content for suffix "".
func (f *File) name(id upload.ID, suffix string) string {
	return ContentName(f.flat, id) + suffix
}

// ContentName is where the content of id is, below the directory of its store.
func ContentName(flat bool, id upload.ID) string {
	if flat {
		return string(id)
	}
	return path.Join(fan(id), string(id))
}

func fan(id upload.ID) string { return string(id[:min(fanLetters, len(id))]) }

func (f *File) variantSuffixes() []string {
	suffixes := make([]string, len(f.variants))
	for i, name := range f.variants {
		suffixes[i] = variantSuffix(name)
	}
	return suffixes
}

func variantSuffix(name string) string { return "." + name }

// Create implements [Store].
func (f *File) Create(rec upload.Record) error { return f.create(rec, true) }

// Announce implements [Store].
func (f *File) Announce(rec upload.Record) error { return f.create(rec, false) }

// create makes an upload, with its record or without. The file for its content is made with its first byte.
func (f *File) create(rec upload.Record, record bool) error {
	e := f.pin(rec.ID)
	e.mu.Lock()
	defer f.unlockEntry(e)
	if e.loaded || e.gone {
		return upload.ErrExists
	}
	if err := f.promise(e, due(rec.Length, 0)); err != nil {
		return err
	}
	now := time.Now()
	rec.Profile, rec.State, rec.Offset = f.profile, upload.Receiving, 0
	rec.Created = now.UTC().Truncate(time.Millisecond)
	rec.Changed = rec.Created
	e.rec, e.unrecorded, e.fresh = stored{Record: rec}, true, true
	e.active.Store(now.UnixNano())
	err := f.makeFan(rec.ID)
	if err == nil && record {
		err = f.save(e)
	}
	if err != nil {
		e.rec, e.unrecorded, e.fresh = stored{}, false, false // of one that is there, perhaps
		f.owe(e.id, 0)
		return err
	}
	e.loaded = true
	f.await(&e.rec.Record)
	return nil
}

// Confirm implements [Store].
func (f *File) Confirm(id upload.ID) error {
	e, err := f.acquire(id)
	if err != nil {
		return err
	}
	defer f.unlockEntry(e)
	if !e.unrecorded {
		return nil
	}
	return f.save(e)
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
		return fmt.Errorf("store: make directory for %s: %w", id, f.diskError(err))
	}
	f.fans.Store(fan(id), true)
	return nil
}

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
	if err := f.promise(e, due(length, e.pos)); err != nil {
		return err
	}
	if err := f.change(e, func(rec *stored) { rec.Length = length }); err != nil {
		f.owe(id, 0)
		return err
	}
	return nil
}

// Complete implements [Store].
func (f *File) Complete(id upload.ID) (rec upload.Record, err error) {
	f.ending(f.isSlow(id), func() { rec, err = f.completeStored(id) })
	return rec, err
}

func (f *File) completeStored(id upload.ID) (upload.Record, error) {
	e, err := f.acquire(id)
	if err != nil {
		return upload.Record{}, err
	}
	defer f.unlockEntry(e)
	if e.rec.State != upload.Receiving || e.rec.Final {
		return e.rec.Record, nil
	}
	if e.rec.Offset != e.rec.Length {
		return e.rec.Record, fmt.Errorf("store: %s has %d of %d bytes: %w", id, e.rec.Offset, e.rec.Length, upload.ErrOffsetMismatch)
	}
	if err := f.makeContent(e); err != nil {
		return e.rec.Record, err
	}
	err = f.complete(e)
	return e.rec.Record, err
}

// complete is Complete for e, whose bytes are all there, with its content if that is not durable.
func (f *File) complete(e *entry, with ...durable.Change) error {
	if err := f.judgeStored(e); err != nil {
		return err
	}
	if err := f.prove(e); err != nil {
		return err
	}
	next, digest := upload.Received, f.followed(e)
	if !e.rec.Partial && f.direct != nil && f.direct(e.rec.MediaType) && (f.digest == "" || digest != "") {
		next = upload.Ready
	}
	return f.change(e, func(rec *stored) { rec.State, rec.checked, rec.Digest = next, nil, digest }, with...)
}

// makeContent makes the file of an upload without bytes.
func (f *File) makeContent(e *entry) error {
	if !e.fresh {
		return nil
	}
	file, err := f.openContent(e.id)
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		return fmt.Errorf("store: make %s: %w", e.id, f.diskError(err))
	}
	e.fresh = false
	return nil
}

// Open implements [Store].
func (f *File) Open(id upload.ID) (io.ReadSeekCloser, upload.Record, error) {
	rec, err := f.Lookup(id)
	if err != nil {
		return nil, rec, err
	}
	switch {
	case rec.State == upload.Rejected:
		return nil, rec, upload.ErrGone
	case rec.State == upload.Expired:
		return nil, rec, upload.ErrExpired
	case rec.State == upload.Receiving || rec.Partial:
		return nil, rec, upload.ErrNotReady
	}
	return f.open(rec, "")
}

// OpenVariant implements [Store].
func (f *File) OpenVariant(id upload.ID, name string) (io.ReadSeekCloser, upload.Record, error) {
	rec, err := f.Lookup(id)
	if err != nil {
		return nil, rec, err
	}
	if rec.State == upload.Expired {
		return nil, rec, upload.ErrExpired
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

// Due implements [Store]. It is also how the store learns, once, what lies there: what was promised, whose it is, and
// which finals wait. What a process left that was killed is made durable first, all at once where that can be.
func (f *File) Due(ctx context.Context, do func(upload.Record) bool) error {
	defer f.replaceAll()
	if f.durable && f.fs.Flush() == nil {
		f.flushed.Store(true)
	}
	return f.each(func(id upload.ID) bool {
		if !f.mayBeDue(id) {
			return ctx.Err() == nil
		}
		rec, err := f.Lookup(id)
		if err != nil && !errors.Is(err, upload.ErrNotFound) {
			f.log.Error("upload cannot be read", "profile", f.profile, "id", id, "err", err)
		}
		f.await(&rec)
		if err == nil && isDue(rec) && !do(rec) {
			return false
		}
		return ctx.Err() == nil
	})
}

// isDue tells that processing is to be done: of what is received, and of a final that may be assembled.
func isDue(rec upload.Record) bool {
	return rec.State == upload.Received && !rec.Partial || rec.State == upload.Receiving && rec.Final
}

// mayBeDue looks at a record without keeping it: most of a large store is settled. What is gone is loaded too, for the sake
// of bytes that a crash left.
func (f *File) mayBeDue(id upload.ID) bool {
	e := f.pin(id)
	e.mu.Lock()
	defer f.unlockEntry(e)
	raw, err := f.readInfo(id)
	if err != nil || e.loaded {
		return true
	}
	rec, err := decodeRecord(id, raw)
	f.own(rec.Record)
	if err != nil || rec.State != upload.Receiving || rec.Final {
		return rec.State != upload.Ready
	}
	size := int64(0)
	if info, err := f.fs.Stat(f.name(id, "")); err == nil { // it may not be made yet
		size = info.Size()
	}
	stored := rec.counted(size)
	f.recall(id, due(rec.Length, stored))
	unsure := f.durable && !f.holes && size > rec.synced // a power cut would take what no record says: tusd's bytes, say
	return unsure || stored == rec.Length && !rec.Partial
}

// diskError translates what the system says about a full disk.
func diskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return errors.Join(upload.ErrInsufficientStorage, err)
	}
	return err
}

// diskError is diskError, and remembers that the disk fails.
func (f *File) diskError(err error) error {
	if errors.Is(err, syscall.EIO) || errors.Is(err, syscall.EROFS) {
		f.failing.Store(true)
	}
	return diskError(err)
}

func (f *File) datasync(file durable.File) error {
	began := time.Now()
	err := file.Datasync()
	f.metrics.sync.Observe(time.Since(began).Seconds())
	return err
}
