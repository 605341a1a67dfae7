package store

import "sluice/internal/durable"

// ExamineOn is [Examine] on a file system that a test made, without holding its directory.
func ExamineOn(fsys durable.FS, o Options) *File {
	f := newFile(fsys, o)
	f.onlyLook, f.release = true, func() error { return nil }
	return f
}
