package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"sluice/internal/durable"
	"sluice/internal/upload"
)

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
			return f.goOn(id, f.goOnRemoving(id))
		case suffix == ".lock" && f.flat:
			return f.refuseLiving(name)
		case suffix == infoSuffix && powerCut:
			return f.goOn(id, f.repairUpload(id))
		}
		return nil
	})
}

// goOn keeps the trouble with one upload from stopping the server: it is told, and nobody is served that upload's bytes.
func (f *File) goOn(id upload.ID, err error) error {
	if err == nil || transient(err) {
		return err
	}
	f.log.Error("upload cannot be checked", "profile", f.profile, "id", id, "err", err)
	f.suspect[id] = true
	return nil
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
	raw, err := f.readInfo(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the sweep removes it
	}
	if err != nil {
		return err
	}
	rec, err := decodeRecord(id, raw)
	if err != nil {
		f.log.Error("record is torn; the upload can only be deleted", "profile", f.profile, "id", id, "err", err)
		return nil
	}
	if rec.State.Gone() || rec.JoinedIn != "" || rec.ofParts() && rec.State == upload.Receiving {
		return nil // what is left of it goes when it is loaded, or assembled anew
	}
	known := max(rec.synced, rec.Offset) // somebody was told so; Offset is the length where the upload was complete
	kept, err := f.cut(id, rec.synced)
	if err != nil || kept >= known {
		return err
	}
	f.log.Error("bytes were lost in a power cut", "profile", f.profile, "id", id, "kept", kept, "known", known, "length", rec.Length)
	rec.goBack(kept, f.partsThere(rec))
	return f.save(&entry{id: id, rec: rec, told: rec.State}) // no news: what it had come to, it comes to again
}

// partsThere tells that a final can be assembled anew.
func (f *File) partsThere(rec stored) bool {
	return !slices.ContainsFunc(rec.Parts, func(part upload.ID) bool {
		raw, err := f.readInfo(part)
		if err != nil {
			return true
		}
		rec, err := decodeRecord(part, raw)
		return err != nil || !rec.Partial || rec.emptied()
	})
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
		kept, err = provable(file, synced)
	}
	if err != nil || kept == info.Size() {
		return kept, err
	}
	return kept, errors.Join(file.Truncate(kept), file.Datasync())
}

// provable is how many bytes of a file survived a power cut for certain, where the file system tells of holes. See tail.go.
func provable(file durable.File, synced int64) (int64, error) {
	file.Forget() // memory may still hold what a failed sync has lost
	written, err := file.FirstHole()
	if err != nil {
		return 0, err
	}
	trusted, err := withoutZeroTail(file, written)
	return max(trusted, min(written, synced)), err
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
	return f.fs.List(".", func(entry fs.DirEntry) error {
		switch {
		case f.flat && !entry.IsDir():
			return do(".", entry.Name())
		case !f.flat && entry.IsDir() && entry.Name() != ownDir:
			return f.eachIn(entry.Name(), do)
		}
		return nil
	})
}

func (f *File) eachIn(dir string, do func(dir, name string) error) error {
	return f.fs.List(dir, func(entry fs.DirEntry) error {
		if entry.IsDir() {
			return nil
		}
		return do(dir, entry.Name())
	})
}

// Each calls do for the id of every upload, in whatever state, in no order, until it returns false. It disturbs nobody;
// uploads made or removed meanwhile may be missed.
func (f *File) Each(do func(upload.ID) bool) error { return f.each(do) }
