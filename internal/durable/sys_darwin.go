package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// openFlag: see sys_linux.go.
const openFlag = 0

// datasync is os.File.Sync, which on macOS asks the drive itself to write (F_FULLFSYNC).
func datasync(f *os.File) error { return f.Sync() }

func canSyncFS(*os.File) bool                { return false }
func syncFS(*os.File) error                  { return errors.ErrUnsupported }
func writeback(*os.File, int64, int64)       {}
func written(f *os.File) error               { return datasync(f) }
func forget(*os.File)                        {}
func fallocate(*os.File, int64, int64) error { return errors.ErrUnsupported }
func firstHole(*os.File) (int64, error)      { return 0, errors.ErrUnsupported }

func copyRange(*os.File, int64, *os.File, int64, int64) (int64, error) {
	return 0, errors.ErrUnsupported
}

// BootID identifies this run of the kernel: what is in the page cache lives exactly as long as it. "" if unknown.
func BootID() string {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return ""
	}
	return id
}
