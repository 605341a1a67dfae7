package store

import (
	"errors"

	"sluice/internal/durable"
)

// Crash ends f as the death of its process would: the directory is let go, nothing more is written.
func (f *File) Crash() error { return errors.Join(f.abandon(), f.making.close(), f.release()) }

// OpenOn opens a store on a file system that a test made, without holding its directory. release is called in the end.
func OpenOn(fsys durable.FS, o Options, release func() error) (*File, error) {
	f := newFile(fsys, o)
	f.release, f.journalBytes = release, 20<<10 // so that it is often full
	if err := f.start(); err != nil {
		return nil, err
	}
	return f, nil
}
