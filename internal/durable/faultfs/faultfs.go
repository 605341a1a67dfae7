// Package faultfs is a durable.FS that fails, for tests. [New] puts faults in front of one: [FS.Fail] says which operation
// fails and how, up to the death of the process. [Disk] is one whose power can be cut, which takes what was not synced. A test
// of a power cut at some operation has the process die there, cuts the power, and begins anew with the Disk:
//
//	disk := faultfs.NewDisk()
//	fsys := faultfs.New(disk)
//	fsys.FailAt(k, faultfs.Killed) // or Fatal, which tears a write
//	...
//	disk.PowerCut(seed)
//	fsys = faultfs.New(disk)
package faultfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sync"

	"sluice/internal/durable"
)

// ErrInjected is the failure that [FS.FailAt] injects.
var ErrInjected = errors.New("injected fault")

// How an operation fails.
type How int

const (
	// Refused: nothing is done. Of a write, the first half is.
	Refused How = iota
	// Unsaid: it is done, and reported as failed.
	Unsaid
	// Fatal: as Refused, but for a write within a page, which is done, and of everything after it nothing at all is done. So a process dies in the middle of a write.
	Fatal
	// Killed: nothing is done, of a write neither, nor of anything after it. So a process dies before it.
	Killed
)

func (h How) String() string { return [...]string{"refused", "unsaid", "fatal", "killed"}[h] }

// Final tells whether nothing is done any more after it.
func (h How) Final() bool { return h == Fatal || h == Killed }

// Op is one call of an operation.
type Op struct {
	Number int    // counted from 1, since the last Fail
	Name   string // of the method; those of a file begin with "File."
	Path   string // the file, as it was opened
}

func (o Op) String() string { return fmt.Sprintf("%d: %s %s", o.Number, o.Name, o.Path) }

// FS is a durable.FS with faults. All methods may be called concurrently.
type FS struct {
	// Blind files allocate nothing, so that durable.ReportsHoles says no. Set it before use.
	Blind bool
	// NoFlush has Flush unsupported, as on a file system in user space. Set it before use.
	NoFlush bool

	under durable.FS

	mu   sync.Mutex // guards what follows
	plan func(Op) (How, error)
	ops  []Op
	dead error
}

// New returns under with no faults yet.
func New(under durable.FS) *FS { return &FS{under: under} }

// Fail has plan decide, from now on, which operations fail: those for which it returns an error. nil lets all pass. Counting
// begins anew.
func (f *FS) Fail(plan func(Op) (How, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan, f.ops, f.dead = plan, nil, nil
}

// FailAt has the k-th operation from now on fail with [ErrInjected].
func (f *FS) FailAt(k int, how How) {
	f.Fail(func(op Op) (How, error) {
		if op.Number != k {
			return how, nil
		}
		return how, fmt.Errorf("%w at %s", ErrInjected, op)
	})
}

// Ops returns the operations since the last Fail.
func (f *FS) Ops() []Op {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Op(nil), f.ops...)
}

// Dead tells whether the process has died: since then nothing was done.
func (f *FS) Dead() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead != nil
}

// decide counts an operation and tells whether, and how, it fails.
func (f *FS) decide(name, file string) (How, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	op := Op{len(f.ops) + 1, name, file}
	f.ops = append(f.ops, op)
	if f.dead != nil {
		return Killed, f.dead
	}
	if f.plan == nil {
		return Refused, nil
	}
	how, err := f.plan(op)
	if err != nil && how.Final() {
		f.dead = err
	}
	return how, err
}

// run does an operation, or fails it.
func (f *FS) run(name, file string, do func() error) error {
	how, err := f.decide(name, file)
	if err == nil {
		return do()
	}
	if how == Unsaid {
		err = errors.Join(err, do())
	}
	return err
}

// get is run for an operation that returns something.
func get[T any](f *FS, name, file string, do func() (T, error)) (result T, err error) {
	err = f.run(name, file, func() (err error) {
		result, err = do()
		return err
	})
	return result, err
}

func (f *FS) Open(name string) (durable.Reader, error) {
	return get(f, "Open", name, func() (durable.Reader, error) { return f.under.Open(name) })
}

func (f *FS) OpenFile(name string, flag int) (durable.File, error) {
	label := "OpenFile"
	if flag&os.O_CREATE != 0 {
		label = "Create"
	}
	return get(f, label, name, func() (durable.File, error) {
		file, err := f.under.OpenFile(name, flag)
		if err != nil {
			return nil, err
		}
		return &File{f, name, file}, nil
	})
}

// Write fails in each of its steps.
func (f *FS) Write(name string, flag int, data []byte) error {
	file, err := f.OpenFile(name, flag)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(data, 0)
	return errors.Join(err, file.Close())
}

func (f *FS) ReadFile(name string) ([]byte, error) {
	return get(f, "ReadFile", name, func() ([]byte, error) { return f.under.ReadFile(name) })
}

func (f *FS) Mkdir(name string) error {
	return f.run("Mkdir", name, func() error { return f.under.Mkdir(name) })
}

func (f *FS) Remove(name string) error {
	return f.run("Remove", name, func() error { return f.under.Remove(name) })
}

func (f *FS) Rename(oldName, newName string) error {
	return f.run("Rename", newName, func() error { return f.under.Rename(oldName, newName) })
}

func (f *FS) Stat(name string) (fs.FileInfo, error) {
	return get(f, "Stat", name, func() (fs.FileInfo, error) { return f.under.Stat(name) })
}

func (f *FS) List(name string, do func(fs.DirEntry) error) error {
	entries, err := get(f, "List", name, func() ([]fs.DirEntry, error) { return durable.ReadDir(f.under, name) })
	return each(entries, err, do)
}

// each calls do for the entries, after they are known: it may ask the file system.
func each(entries []fs.DirEntry, err error, do func(fs.DirEntry) error) error {
	for _, entry := range entries {
		if err == nil {
			err = do(entry)
		}
	}
	return err
}

func (f *FS) SyncDir(name string) error {
	return f.run("SyncDir", name, func() error { return f.under.SyncDir(name) })
}

// CanFlush fails never: it asks no disk.
func (f *FS) CanFlush() bool { return !f.NoFlush && f.under.CanFlush() }

func (f *FS) Flush() error {
	if !f.CanFlush() {
		return errors.ErrUnsupported
	}
	return f.run("Flush", "", f.under.Flush)
}

func (f *FS) Free() (int64, error) { return get(f, "Free", "", f.under.Free) }

// File is a file of an [FS].
type File struct {
	fs    *FS
	name  string
	under durable.File
}

func (f *File) run(name string, do func() error) error { return f.fs.run("File."+name, f.name, do) }

func (f *File) ReadAt(p []byte, off int64) (int, error) {
	return get(f.fs, "File.ReadAt", f.name, func() (int, error) { return f.under.ReadAt(p, off) })
}

func (f *File) WriteAt(p []byte, off int64) (int, error) {
	how, err := f.fs.decide("File.WriteAt", f.name)
	switch {
	case err == nil:
		return f.under.WriteAt(p, off)
	case how == Killed:
		return 0, err
	case how == Unsaid:
	case !withinPage(p, off), how == Refused && !f.over(p, off):
		p = p[:len(p)/2]
	}
	n, writeErr := f.under.WriteAt(p, off)
	return n, errors.Join(err, writeErr)
}

// withinPage tells a write that the kernel does wholly or not at all, whatever becomes of the process.
func withinPage(p []byte, off int64) bool {
	const page = 4096
	return off/page == (off+int64(len(p))-1)/page
}

// over tells a write over bytes that are there, for which nothing is to be allocated.
func (f *File) over(p []byte, off int64) bool {
	info, err := f.under.Stat()
	return err == nil && off+int64(len(p)) <= info.Size()
}

// Close closes the file in any case.
func (f *File) Close() error {
	_, err := f.fs.decide("File.Close", f.name)
	return errors.Join(err, f.under.Close())
}

func (f *File) Truncate(size int64) error {
	return f.run("Truncate", func() error { return f.under.Truncate(size) })
}

func (f *File) Stat() (fs.FileInfo, error) {
	return get(f.fs, "File.Stat", f.name, f.under.Stat)
}

// Datasync that is refused has the system forget what was to be written, where the file underneath can (see [Disk]): a second
// try has no more to do, and succeeds.
func (f *File) Datasync() error {
	how, err := f.fs.decide("File.Datasync", f.name)
	if err == nil || how == Unsaid {
		return errors.Join(err, f.under.Datasync())
	}
	if s, ok := f.under.(interface{ Spoil() }); ok && how == Refused {
		s.Spoil()
	}
	return err
}

// Writeback passes: it is a hint.
func (f *File) Writeback(off, n int64) { f.under.Writeback(off, n) }

func (f *File) Written() error { return f.run("Written", f.under.Written) }

// Forget passes: it is a hint.
func (f *File) Forget() { f.under.Forget() }

func (f *File) FirstHole() (int64, error) {
	return get(f.fs, "File.FirstHole", f.name, f.under.FirstHole)
}

// Allocate passes where the file underneath can, unless the FS is blind.
func (f *File) Allocate(off, n int64) error {
	if a, ok := f.under.(durable.Allocator); ok && !f.fs.Blind {
		return a.Allocate(off, n)
	}
	return errors.ErrUnsupported
}

// Base is the last element of the op's file, for plans that go by it.
func (o Op) Base() string { return path.Base(o.Path) }
