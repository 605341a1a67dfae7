package durable

import (
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

func datasync(f *os.File) error { return control(f, unix.Fdatasync) }
func syncFS(dir *os.File) error { return control(dir, unix.Syncfs) }

func writeback(f *os.File, off, n int64) {
	_ = control(f, func(fd int) error { return unix.SyncFileRange(fd, off, n, unix.SYNC_FILE_RANGE_WRITE) })
}

func fallocate(f *os.File, off, n int64) error {
	return control(f, func(fd int) error { return unix.Fallocate(fd, 0, off, n) })
}

func firstHole(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return 0, err
	}
	hole := int64(0)
	err = control(f, func(fd int) (err error) {
		hole, err = unix.Seek(fd, 0, unix.SEEK_HOLE)
		return err
	})
	if errors.Is(err, unix.EINVAL) {
		return 0, errors.ErrUnsupported
	}
	return min(hole, info.Size()), err
}

// BootID identifies this run of the kernel: what is in the page cache lives exactly as long as it. "" if unknown.
func BootID() string {
	f, err := os.Open("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	defer f.Close()
	id, _ := io.ReadAll(io.LimitReader(f, 64))
	return strings.TrimSpace(string(id))
}
