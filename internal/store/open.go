package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"sluice/internal/durable"
	"sluice/internal/upload"
)

// formatVersion is of the layout in a store's directory. A higher one was written by a later Sluice: not to be touched. This
// version reads tusd's layout and its own; 1 had no journal.
const formatVersion = 2

// journalBytes is how large each of the two files of the journal becomes: with that much of small uploads everything is flushed.
const journalBytes = 32 << 20

// What a store keeps about its directory, in ownDir.
const (
	lockFile   = "lock"      // held by the process
	markFile   = "mark.json" // see mark
	cleanFile  = "clean"     // there exactly while the directory is as a clean stop left it: everything flushed
	probeFile  = "probe"     // made and removed
	makingFile = "making"    // see making
)

// mark is what a store remembers from one start to the next.
type mark struct {
	Format int    `json:"format"`
	Boot   string `json:"boot"`  // the kernel's boot in which the directory was last written to
	Holes  bool   `json:"holes"` // see [durable.ReportsHoles]
	torn   bool   // by a power cut: it tells nothing
	// Since is when Sluice took the directory: what lay there before, tusd's or a mover's, has its lifetime from then on.
	Since time.Time `json:"since,omitzero"`
}

// since is [mark.Since], or now if that is not known.
func (m mark) since() time.Time {
	if m.Since.IsZero() {
		return time.Now().UTC().Truncate(time.Second)
	}
	return m.Since
}

// Open opens the store in o.Dir, alone: a directory that another process holds is durable.ErrHeld. It tries the file
// system, repairs what a crash or a power cut left, and then is ready, also on a full disk. Close it when nobody uses it any
// more.
func Open(o Options) (*File, error) {
	held, err := durable.Hold(path.Join(o.Dir, ownDir), lockFile)
	if err != nil {
		return nil, err
	}
	root, err := durable.OpenRoot(o.Dir)
	if err != nil {
		return nil, errors.Join(err, held.Close())
	}
	f := newFile(root, o)
	f.release = func() error { return errors.Join(root.Close(), held.Close()) }
	if err := f.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("store: open %s: %w", o.Dir, err), f.release())
	}
	return f, nil
}

// Inspect opens the store in o.Dir, alone, to look at it as it is: nothing is repaired, tried or marked. Of its methods only a
// dry Sweep may be called, and Close.
func Inspect(o Options) (*File, error) {
	f, err := Examine(o, false)
	if err != nil {
		return nil, err
	}
	m, err := f.readMark()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: look at %s: %w", o.Dir, err), f.release())
	}
	f.since = m.since()
	return f, nil
}

// Examine opens the store in o.Dir, alone, for a [File.Fsck], with repair or without, and whatever is wrong with it. Without
// repair it makes nothing in a directory that no Sluice has ever held, such as tusd's.
func Examine(o Options, repair bool) (*File, error) {
	root, err := durable.OpenRoot(o.Dir)
	if err != nil {
		return nil, err
	}
	f := newFile(root, o)
	f.onlyLook, f.release = true, root.Close
	_, err = root.Stat(path.Join(ownDir, lockFile))
	if errors.Is(err, fs.ErrNotExist) && !repair {
		return f, nil
	}
	held, err := durable.Hold(path.Join(o.Dir, ownDir), lockFile)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	f.release = func() error { return errors.Join(root.Close(), held.Close()) }
	return f, nil
}

func newFile(fsys durable.FS, o Options) *File {
	o.Metrics.begin(o.Profile)
	if o.Promises == nil {
		o.Promises = new(Promises)
	}
	return &File{
		Locks: o.Metrics.newLocks(), fs: fsys, profile: o.Profile, flat: o.Flat, variants: o.Variants, durable: o.Durable,
		reserve: o.Reserve, lifetime: o.Lifetime, retention: o.Retention, maxBytes: o.MaxBytes, keepParts: o.KeepParts, perOwner: o.PerOwner, owned: newOwned(), direct: o.Direct, record: o.Record,
		keepRejected: o.KeepRejected, digest: o.Digest,
		disk: o.Promises.on(deviceOf(o.Dir)), copying: make(chan struct{}, maxCopying), atDisk: make(chan struct{}, maxAtDisk), slowly: make(chan struct{}, maxSlowAtDisk), awaited: newAwaited(), judge: o.Judge, metrics: o.Metrics, receiving: o.Metrics.receiving.WithLabelValues(o.Profile), arrived: o.Metrics.received.WithLabelValues(o.Profile), log: o.Logger, buffers: newBuffers(),
		journalBytes: journalBytes, opened: time.Now().Add(-time.Second), entries: make(map[upload.ID]*entry), suspect: make(map[upload.ID]bool),
	}
}

func (f *File) start() error {
	last, err := f.readMark()
	if err != nil {
		return err
	}
	clean, err := f.takeClean()
	if err != nil {
		return err
	}
	if f.holes, err = f.probe(last); err != nil {
		return fmt.Errorf("trying the file system: %w", err)
	}
	f.since = last.since()
	if err := f.replay(); err != nil {
		return err
	}
	now := mark{Format: formatVersion, Boot: durable.BootID(), Holes: f.holes, Since: f.since}
	powerCut := !clean && last.Format != 0 && (now.Boot == "" || now.Boot != last.Boot)
	if powerCut {
		f.log.Warn("another boot without a clean stop: checking every upload", "profile", f.profile)
	}
	if err := f.beginMaking(!clean && now.Boot != "" && now.Boot == last.Boot); err != nil {
		return err
	}
	if err := f.repair(powerCut); err != nil {
		return err
	}
	if len(f.suspect) == 0 { // else the next start checks again
		if err := f.writeMark(last, now); err != nil {
			return err
		}
	}
	return f.openJournal()
}

// replay does what the journal says that a crash kept from being done.
func (f *File) replay() error {
	n, err := durable.Replay(f.fs, ownDir)
	if err == nil && n > 0 {
		f.log.Info("what the last process did not come to is done", "profile", f.profile, "files", n)
	}
	return err
}

// openJournal begins a new journal, where the store is durable and the file system can be flushed. Where there is no room for one, each
// file is synced by itself.
func (f *File) openJournal() (err error) {
	if !f.durable {
		return nil
	}
	f.journal, err = durable.NewJournal(f.fs, ownDir, f.journalBytes, durable.Told{Synced: f.metrics.sync.Observe, Trouble: func(err error) {
		f.log.Error("a flush failed; what it was for is in the journal, and is written again", "profile", f.profile, "err", f.diskError(err))
	}})
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(diskError(err), upload.ErrInsufficientStorage) {
		return nil
	}
	return err
}

// takeClean tells whether the last stop was clean, and takes that back, durably, before anything is written.
func (f *File) takeClean() (bool, error) {
	err := f.fs.Remove(path.Join(ownDir, cleanFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, f.fs.SyncDir(ownDir)
}

// probe tries the file system. On a full disk, where it cannot, the last try counts. Without one nobody knows which bytes
// survived a power cut.
func (f *File) probe(last mark) (bool, error) {
	holes, err := durable.ReportsHoles(f.fs, path.Join(ownDir, probeFile))
	if errors.Is(diskError(err), upload.ErrInsufficientStorage) && last.Format != 0 && !last.torn {
		f.log.Warn("the disk is full", "profile", f.profile)
		return last.Holes, nil
	}
	return holes, err
}

// Close marks the directory as cleanly left and lets go of it. Without the mark, for which a disk may be too full, the next
// boot checks every upload.
func (f *File) Close() error {
	if f.onlyLook || len(f.suspect) > 0 {
		return errors.Join(f.abandon(), f.making.close(), f.release()) // as it was, or not clean
	}
	err := f.settleAll()
	if err == nil {
		err = f.leaveClean()
	} else {
		err = errors.Join(err, f.abandon())
	}
	if errors.Is(diskError(err), upload.ErrInsufficientStorage) {
		f.log.Warn("not marked as cleanly left", "profile", f.profile, "err", err)
		err = nil
	}
	if errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return errors.Join(err, f.making.close(), f.release())
}

// settleAll writes down, or does, what could not be done when the disk failed: nobody will know after this.
func (f *File) settleAll() (err error) {
	for id, e := range f.entries {
		switch {
		case e.unsynced:
			_, settleErr := f.Lookup(id)
			err = errors.Join(err, settleErr)
		case e.uncut:
			off := e.pos
			err = errors.Join(err, f.saveChecked(e, &off))
		}
	}
	return err
}

func (f *File) leaveClean() error {
	if err := f.fs.Flush(); err != nil {
		return errors.Join(err, f.abandon())
	}
	if f.journal != nil {
		if err := f.journal.Close(); err != nil {
			return err
		}
	}
	file, err := f.fs.OpenFile(path.Join(ownDir, cleanFile), os.O_WRONLY|os.O_CREATE)
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return f.fs.SyncDir(ownDir)
}

// abandon leaves the journal to the next start.
func (f *File) abandon() error {
	if f.journal == nil {
		return nil
	}
	return f.journal.Abandon()
}

// readMark returns the zero mark for a directory that is new, or tusd's.
func (f *File) readMark() (m mark, err error) {
	raw, err := f.fs.ReadFile(path.Join(ownDir, markFile))
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return mark{Format: formatVersion, torn: true}, nil
	}
	if m.Format > formatVersion {
		return m, fmt.Errorf("it has format %d, written by a later version; this one knows %d", m.Format, formatVersion)
	}
	return m, nil
}

// writeMark puts now in the place of last. A full disk may keep an older mark: it names another boot, or none, so the next
// start checks what it need not.
func (f *File) writeMark(last, now mark) error {
	if now == last {
		return nil
	}
	raw, err := json.Marshal(now)
	if err != nil {
		return err
	}
	err = durable.WriteFile(f.fs, path.Join(ownDir, markFile), raw, true)
	if errors.Is(diskError(err), upload.ErrInsufficientStorage) && last.Format != 0 {
		return nil
	}
	return err
}
