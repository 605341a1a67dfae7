package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"sluice/internal/durable"
	"sluice/internal/upload"
)

// What a repair does. Each step is durable when it returns, also in a store that is not; none follows a link, and none removes
// what is not a plain file.

// lostPath is where things are moved aside.
const lostPath = ownDir + "/" + lostDir

// remove removes files of x, the last one last.
func (x *examined) remove(suffixes ...string) error {
	for _, suffix := range suffixes {
		if err := x.c.remove(x.file(suffix)); err != nil {
			return err
		}
		delete(x.kinds, suffix)
	}
	return nil
}

func (c *fsck) remove(file string) error {
	if err := c.f.fs.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return c.f.fs.SyncDir(path.Dir(file))
}

// removeGone goes on with the removal of an upload, its renamed record last.
func (x *examined) removeGone() error {
	return x.remove(append(x.contents(), goneSuffix)...)
}

// moveAll moves an upload aside, its record last: what is left without one might be swept.
func (x *examined) moveAll() error {
	for _, suffix := range append(x.contents(), infoSuffix) {
		if err := x.moveAside(suffix); err != nil {
			return err
		}
	}
	return nil
}

// moveAside moves a file of x to where nothing is in its way.
func (x *examined) moveAside(suffix string) error {
	fsys, file := x.c.f.fs, x.file(suffix)
	if err := fsys.Mkdir(lostPath); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := fsys.SyncDir(ownDir); err != nil {
		return err
	}
	to, err := x.c.freeName(path.Join(lostPath, path.Base(file)))
	if err != nil {
		return err
	}
	if err := fsys.Rename(file, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	delete(x.kinds, suffix)
	return errors.Join(fsys.SyncDir(lostPath), fsys.SyncDir(x.dir))
}

// freeName returns name, or that with a number.
func (c *fsck) freeName(name string) (string, error) {
	free := name
	for n := 1; ; n++ {
		_, err := c.f.fs.Stat(free)
		if errors.Is(err, fs.ErrNotExist) {
			return free, nil
		}
		if err != nil {
			return "", err
		}
		free = fmt.Sprintf("%s.%d", name, n)
	}
}

// alter replaces the record. That is no change of state in the sense of [upload.Record].Changed.
func (x *examined) alter(change func(*stored)) error {
	rec := *x.rec
	change(&rec)
	raw, err := rec.encode()
	if err != nil {
		return err
	}
	return durable.WriteFile(x.c.f.fs, x.file(infoSuffix), raw, true)
}

// cut makes the content end at n; it is made if it is missing.
func (x *examined) cut(n int64) error {
	file, err := x.c.f.openContent(x.id)
	if err != nil {
		return err
	}
	err = file.Truncate(n)
	if err == nil {
		err = file.Datasync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if !x.any("") {
		x.kinds[""] = 0
		return x.c.f.fs.SyncDir(x.dir)
	}
	return nil
}

// goBack cuts the content at what is provable. That acknowledged bytes are damaged is recorded first, as repairUpload does, but
// before the cut: a file that is short already would not tell what a crash between the two left out.
func (x *examined) goBack(damaged bool) error {
	kept := x.kept
	if !damaged {
		return x.cut(kept)
	}
	partsThere := x.c.allThere(x.rec.Parts)
	err := x.alter(func(rec *stored) { rec.goBack(kept, partsThere) })
	if err != nil {
		return err
	}
	return x.cut(kept)
}

// reject settles a final that waits in vain, as the sweep does. Nobody was told of any bytes of it.
func (x *examined) reject() error {
	err := x.alter(func(rec *stored) {
		rec.State, rec.Reason, rec.Offset, rec.synced = upload.Rejected, errPartsMissing(), 0, 0
		rec.Changed = time.Now().UTC().Truncate(time.Millisecond)
	})
	if err != nil {
		return err
	}
	return x.remove(x.contents()...)
}
