package durable

import (
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// control runs do on the descriptor of f, again when a signal interrupted it.
func control(f *os.File, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		for {
			failed = do(int(fd))
			if failed != unix.EINTR {
				return
			}
		}
	})
	return errors.Join(err, failed)
}

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

func lockFile(f *os.File) error {
	err := control(f, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrHeld
	}
	return err
}

func statFree(root *os.Root) (int64, error) {
	dir, err := root.Open(".")
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	var st unix.Statfs_t
	err = control(dir, func(fd int) error { return unix.Fstatfs(fd, &st) })
	return int64(st.Bavail) * st.Bsize, err
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
