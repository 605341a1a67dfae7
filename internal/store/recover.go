package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"sluice/internal/durable"
	"sluice/internal/upload"
)

// formatVersion is of the layout in a store's directory. A higher one was written by a later Sluice: not to be touched. This
// version reads tusd's layout and its own.
const formatVersion = 1

const (
	lockFile  = "lock"
	markFile  = "mark.json"
	probeFile = "probe"
)

// mark is what a store remembers about its directory from one start to the next.
type mark struct {
	Format int    `json:"format"`
	Boot   string `json:"boot"`  // the kernel's boot in which the directory was last written to
	Clean  bool   `json:"clean"` // everything was flushed to disk after the last write
}

// Open opens the store in o.Dir, alone: a directory that another process holds is durable.ErrHeld. It tries the file
// system, repairs what a crash or a power cut left, and then is ready. Close it when nobody uses it any more.
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

func newFile(fsys durable.FS, o Options) *File {
	return &File{
		Locks: o.Metrics.newLocks(), fs: fsys, profile: o.Profile, flat: o.Flat, variants: o.Variants, durable: o.Durable,
		reserve: o.Reserve, judge: o.Judge, metrics: o.Metrics, log: o.Logger, buffers: newBuffers(),
		entries: make(map[upload.ID]*entry),
	}
}

func (f *File) start() error {
	last, err := f.readMark()
	if err != nil {
		return err
	}
	if f.holes, err = durable.ReportsHoles(f.fs, path.Join(ownDir, probeFile)); err != nil {
		return fmt.Errorf("trying the file system: %w", err)
	}
	boot := durable.BootID()
	powerCut := !last.Clean && last.Format != 0 && (boot == "" || boot != last.Boot)
	if powerCut {
		f.log.Warn("another boot without a clean stop: checking every upload", "profile", f.profile)
	}
	if err := f.repair(powerCut); err != nil {
		return err
	}
	return f.writeMark(mark{Format: formatVersion, Boot: boot})
}

// Close marks the directory as cleanly left and lets go of it.
func (f *File) Close() error {
	err := f.fs.Flush()
	if err == nil {
		err = f.writeMark(mark{Format: formatVersion, Boot: durable.BootID(), Clean: true})
	}
	if errors.Is(err, errors.ErrUnsupported) {
		err = nil // no mark: the next boot checks
	}
	return errors.Join(err, f.release())
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
		return mark{Format: formatVersion}, nil // torn: as after a power cut
	}
	if m.Format > formatVersion {
		return m, fmt.Errorf("it has format %d, written by a later version; this one knows %d", m.Format, formatVersion)
	}
	return m, nil
}

func (f *File) writeMark(m mark) error {
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return durable.WriteFile(f.fs, path.Join(ownDir, markFile), raw, true)
}

// repair finishes what a crash cut short: files half written go, removals are completed, and after a power cut every
// upload's bytes are cut where they are no longer provably right.
func (f *File) repair(powerCut bool) error {
	return f.eachName(func(dir, name string) error {
		base, suffix := splitName(name)
		id, err := upload.ParseID(base)
		if err != nil || !f.flat && fan(id) != dir {
			return nil // not ours: left alone
		}
		switch {
		case f.isTemp(suffix):
			return f.fs.Remove(path.Join(dir, name))
		case suffix == goneSuffix:
			return f.removeGone(id)
		case suffix == ".lock" && f.flat:
			return f.refuseLiving(name)
		case suffix == infoSuffix && powerCut:
			err := f.repairUpload(id)
			if errors.Is(err, syscall.EISDIR) { // where its content should be, an odd directory: no reason not to start
				f.log.Error("upload cannot be checked", "profile", f.profile, "id", id, "err", err)
				return nil
			}
			return err
		}
		return nil
	})
}

// isTemp tells whether suffix is that of a file of ours which was being written. Others may leave theirs in a directory that
// is shared with tusd.
func (f *File) isTemp(suffix string) bool {
	whole, temp := strings.CutSuffix(suffix, tempSuffix)
	return temp && (whole == infoSuffix || slices.ContainsFunc(f.variants, func(v string) bool { return whole == variantSuffix(v) }))
}

// splitName cuts name before its first dot, where no id has one.
func splitName(name string) (base, suffix string) {
	if i := strings.IndexByte(name, '.'); i >= 0 {
		return name[:i], name[i:]
	}
	return name, ""
}

// refuseLiving returns an error if the lock file of tusd's file locker belongs to a process that lives: two servers on one
// directory would write into each other's uploads.
func (f *File) refuseLiving(name string) error {
	raw, err := f.fs.ReadFile(name)
	if err != nil {
		return nil // released in this moment
	}
	if pid, living := livingProcess(strings.TrimSpace(string(raw))); living {
		return fmt.Errorf("tusd (process %d) uses this directory: %s", pid, name)
	}
	return nil
}

// repairUpload cuts the bytes of id after a power cut at what is provably right: what was synced when the record was
// written, and beyond that up to the first byte that the file system never wrote.
func (f *File) repairUpload(id upload.ID) error {
	raw, err := f.fs.ReadFile(f.name(id, infoSuffix))
	if err != nil {
		return err
	}
	rec, err := decodeRecord(id, raw)
	if err != nil {
		f.log.Error("record is torn; the upload can only be deleted", "profile", f.profile, "id", id, "err", err)
		return nil
	}
	if rec.State == upload.Rejected {
		return nil // what is left of it goes when it is loaded
	}
	known := max(rec.synced, rec.Offset) // somebody was told so; Offset is the length where the upload was complete
	kept, err := f.cut(id, rec.synced)
	if err != nil || kept >= known {
		return err
	}
	f.log.Error("bytes were lost in a power cut", "profile", f.profile, "id", id, "kept", kept, "known", known, "length", rec.Length)
	rec.Damaged, rec.State, rec.Variants, rec.synced = true, upload.Receiving, nil, min(kept, rec.synced)
	return f.save(&entry{id: id, rec: rec})
}

// cut shortens the content of id to what is provable and returns how much that is.
func (f *File) cut(id upload.ID, synced int64) (int64, error) {
	file, err := f.openContent(id)
	if err != nil {
		return 0, err
	}
	defer file.Close() // what follows is synced
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	kept := min(info.Size(), synced)
	if f.holes {
		if kept, err = file.FirstHole(); err != nil {
			return 0, err
		}
	}
	if kept == info.Size() {
		return kept, nil
	}
	return kept, errors.Join(file.Truncate(kept), file.Datasync())
}

// each calls do for the id of every record, in no order, until it returns false.
func (f *File) each(do func(upload.ID) bool) error {
	stop := errors.New("stop")
	err := f.eachName(func(dir, name string) error {
		base, suffix := splitName(name)
		id, err := upload.ParseID(base)
		if err != nil || suffix != infoSuffix || !f.flat && fan(id) != dir || do(id) {
			return nil
		}
		return stop
	})
	if errors.Is(err, stop) {
		return nil
	}
	return err
}

// eachName calls do for every file in the directories where uploads are, until it fails.
func (f *File) eachName(do func(dir, name string) error) error {
	entries, err := f.fs.ReadDir(".")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		switch {
		case f.flat && !entry.IsDir():
			err = do(".", entry.Name())
		case !f.flat && entry.IsDir() && entry.Name() != ownDir:
			err = f.eachIn(entry.Name(), do)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *File) eachIn(dir string, do func(dir, name string) error) error {
	entries, err := f.fs.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		if err := do(dir, entry.Name()); err != nil {
			return err
		}
	}
	return nil
}

// Each calls do for the id of every upload, in whatever state, in no order, until it returns false. It disturbs nobody;
// uploads made or removed meanwhile may be missed.
func (f *File) Each(do func(upload.ID) bool) error { return f.each(do) }
