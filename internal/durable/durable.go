package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// ErrHeld: another process holds the directory.
var ErrHeld = errors.New("directory is held by another process")

// Hold takes the directory dir, made if missing, for this process by a kernel lock on the file name in it. The lock ends
// with the process, however that dies, so there is nothing stale to break. It returns [ErrHeld] at once when somebody else
// has it. Close the file to let go.
func Hold(dir, name string) (*os.File, error) {
	if err := os.MkdirAll(dir, DirPerm); err != nil {
		return nil, fmt.Errorf("durable: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE, FilePerm)
	if err != nil {
		return nil, fmt.Errorf("durable: %w", err)
	}
	if err := lockFile(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("durable: %s: %w", dir, err)
	}
	return f, nil
}

// ReportsHoles tries whether the file system under fsys can tell, after a power cut, how far a file was really written: it
// must report allocated but unwritten space as a hole, and written zeros as data. Where it cannot, a writer has to keep its
// own record of what is synced. The file name is made and removed.
func ReportsHoles(fsys FS, name string) (bool, error) {
	f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return false, err
	}
	ok, err := reportsHoles(f)
	return ok, errors.Join(err, f.Close(), fsys.Remove(name))
}

// zeros are never written to, so they take no memory.
var zeros [1 << 20]byte

func reportsHoles(f File) (bool, error) {
	const block = int64(len(zeros)) // larger than any file system's unit of allocation
	switch err := allocate(f, block, block); {
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return false, err
	case err != nil:
		return false, nil // cannot make unwritten space to try with
	}
	if _, err := f.WriteAt(zeros[:], 0); err != nil {
		return false, err
	}
	if err := f.Datasync(); err != nil {
		return false, err
	}
	hole, err := f.FirstHole()
	if errors.Is(err, errors.ErrUnsupported) {
		return false, nil
	}
	return hole == block, err
}

// Allocator is what a [File] may be besides. Allocate reserves n bytes at off without writing them, and moves the length.
type Allocator interface {
	Allocate(off, n int64) error
}

func allocate(f File, off, n int64) error {
	if a, ok := f.(Allocator); ok {
		return a.Allocate(off, n)
	}
	return errors.ErrUnsupported
}
