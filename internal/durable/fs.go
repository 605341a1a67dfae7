// Package durable is the file system as a careful program needs it: os-shaped calls, inside one directory, with the promises
// that a crash or a power cut tests. [WriteFile] replaces a file whole; [Root] is the real thing; tests put faults in front
// of the [FS] interface.
//
// It knows nothing of uploads. What it does not do: locking between goroutines; callers order their own calls.
package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// Permissions of what is made: uploads are private to the account that the server runs under.
const (
	FilePerm fs.FileMode = 0o640
	DirPerm  fs.FileMode = 0o750
)

// FS is one directory and what is below it. Names are slash-separated, relative and never leave the directory. All
// methods may be called concurrently; absence is fs.ErrNotExist, presence fs.ErrExist.
type FS interface {
	// Open opens a file for reading. The result of [Root] is an *os.File, so that the kernel can send it to a socket.
	Open(name string) (Reader, error)
	// OpenFile opens a file for writing, with flags as in os.OpenFile.
	OpenFile(name string, flag int) (File, error)
	// Write opens a file as OpenFile does, writes data to its beginning and closes it, for less. It follows no link. Who is killed
	// meanwhile may have made it and written nothing or, beyond a page, some of data.
	Write(name string, flag int, data []byte) error
	ReadFile(name string) ([]byte, error)
	// Mkdir makes one directory.
	Mkdir(name string) error
	Remove(name string) error
	Rename(oldName, newName string) error
	Stat(name string) (fs.FileInfo, error)
	// List calls do for what is in a directory, in no order, until that fails, which is then its error. It holds few entries at a time,
	// however large the directory is. What is made, removed or renamed meanwhile may be missed.
	List(name string, do func(fs.DirEntry) error) error
	// SyncDir makes the names in a directory durable: files made, renamed and removed.
	SyncDir(name string) error
	// Flush makes everything durable that was written to the file system. It returns errors.ErrUnsupported where the
	// system cannot do that for one file system alone.
	Flush() error
	// CanFlush tells whether Flush is supported.
	CanFlush() bool
	// Free is the number of bytes that an unprivileged process may still write.
	Free() (int64, error)
}

// Reader is a file open for reading.
type Reader interface {
	io.ReadSeekCloser
	io.ReaderAt
	Stat() (fs.FileInfo, error)
}

// File is a file open for writing.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	Stat() (fs.FileInfo, error)
	// Datasync returns when the bytes, and the length that is needed to read them, would survive a power cut. After an
	// error nothing is known about bytes written since the last success, and the handle must not be trusted again.
	Datasync() error
	// Written returns when nothing of the file is left to be handed to the disk, which may still hold it in a memory of its own: after
	// a [FS.Flush] that is all that Datasync could find out. Its error is as that of Datasync.
	Written() error
	// Writeback asks the system to begin writing n bytes at off, so that a later Datasync finds little to do. A hint.
	Writeback(off, n int64)
	// Forget drops what the system holds of the file in memory and need not write any more, so that it is read from the disk.
	// A hint.
	Forget()
	// FirstHole is the offset of the first byte that was never written, at most the file's length.
	FirstHole() (int64, error)
}

// Root is an [FS] on a real directory, held by an os.Root: no name and no symbolic link leads out of it.
type Root struct {
	root *os.Root
	dir  *os.File // the directory itself
}

// OpenRoot opens the directory at dir, which is made with its parents if missing. Close releases it.
func OpenRoot(dir string) (*Root, error) {
	if err := os.MkdirAll(dir, DirPerm); err != nil {
		return nil, fmt.Errorf("durable: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("durable: %w", err)
	}
	self, err := root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("durable: %w", errors.Join(err, root.Close()))
	}
	return &Root{root, self}, nil
}

// Close releases the directory; open files stay open.
func (r *Root) Close() error { return errors.Join(r.dir.Close(), r.root.Close()) }

func (r *Root) Open(name string) (Reader, error) {
	f, err := r.root.OpenFile(name, os.O_RDONLY|openFlag, 0)
	if err != nil {
		return nil, err // not f: a nil *os.File in an interface is not nil
	}
	return f, nil
}

func (r *Root) OpenFile(name string, flag int) (File, error) {
	f, err := r.root.OpenFile(name, flag|openFlag, FilePerm)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (r *Root) Write(name string, flag int, data []byte) error {
	err := error(fs.ErrInvalid)
	if fs.ValidPath(name) {
		err = r.within(path.Dir(name), func(dir *os.File) error { return writeFile(dir, path.Base(name), flag, data) })
	}
	if err != nil {
		return &fs.PathError{Op: "write", Path: name, Err: err}
	}
	return nil
}

func (r *Root) Mkdir(name string) error               { return r.root.Mkdir(name, DirPerm) }
func (r *Root) Remove(name string) error              { return r.root.Remove(name) }
func (r *Root) Stat(name string) (fs.FileInfo, error) { return r.root.Stat(name) }

// Rename in the directory itself, where names lead through nothing, is one system call. os.Root finds the words for its error.
func (r *Root) Rename(oldName, newName string) error {
	if !strings.ContainsRune(oldName+newName, '/') && rename(r.dir, oldName, newName) == nil {
		return nil
	}
	return r.root.Rename(oldName, newName)
}

func (r *Root) ReadFile(name string) ([]byte, error) {
	f, err := r.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// listed is how many entries of a directory are held at a time.
const listed = 1024

func (r *Root) List(name string, do func(fs.DirEntry) error) error {
	dir, err := r.root.Open(name)
	if err != nil {
		return err
	}
	plain, err := plainDir(dir)
	if err = errors.Join(err, dir.Close()); err != nil {
		return err
	}
	defer plain.Close() // only read
	for {
		entries, err := plain.ReadDir(listed)
		for _, entry := range entries {
			if err := do(entry); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// ReadDir returns all that is in a directory, in no order.
func ReadDir(fsys FS, name string) (entries []fs.DirEntry, err error) {
	err = fsys.List(name, func(entry fs.DirEntry) error {
		entries = append(entries, entry)
		return nil
	})
	return entries, err
}

func (r *Root) SyncDir(name string) error { return r.within(name, (*os.File).Sync) }

// within runs do on the directory name.
func (r *Root) within(name string, do func(dir *os.File) error) error {
	if name == "." {
		return do(r.dir)
	}
	dir, err := r.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(do(dir), dir.Close())
}

func (r *Root) CanFlush() bool       { return canSyncFS(r.dir) }
func (r *Root) Flush() error         { return syncFS(r.dir) }
func (r *Root) Free() (int64, error) { return statFree(r.dir) }

// osFile adds to an *os.File what each system does its own way.
type osFile struct{ *os.File }

func (f osFile) Datasync() error           { return datasync(f.File) }
func (f osFile) Written() error            { return written(f.File) }
func (f osFile) Forget()                   { forget(f.File) }
func (f osFile) Writeback(off, n int64)    { writeback(f.File, off, n) }
func (f osFile) FirstHole() (int64, error) { return firstHole(f.File) }

func (f osFile) Allocate(off, n int64) error { return fallocate(f.File, off, n) }

// TempSuffix ends the name of a file that is being written by [WriteFile]. One left behind by a crash has no meaning.
const TempSuffix = ".tmp"

// WriteFile replaces the file name with data as a whole: whoever opens it, now or after a crash, sees the old content or
// the new. With sync the new content, and the name, also survive a power cut once WriteFile has returned. Two calls for one
// name must not run at once. On failure the old file is untouched, or, when only the last step failed, to sync the directory,
// already replaced; no temporary file is left, unless the removal fails too.
func WriteFile(fsys FS, name string, data []byte, sync bool) (err error) {
	temp := name + TempSuffix
	f, err := fsys.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			fsys.Remove(temp)
		}
	}()
	if err := fill(f, data, sync); err != nil {
		return err
	}
	if err := fsys.Rename(temp, name); err != nil {
		return err
	}
	if !sync {
		return nil
	}
	return fsys.SyncDir(path.Dir(name))
}

// fill writes data to a new file and closes it.
func fill(f File, data []byte, sync bool) error {
	_, err := f.WriteAt(data, 0)
	if err == nil && sync {
		err = f.Datasync()
	}
	return errors.Join(err, f.Close())
}
