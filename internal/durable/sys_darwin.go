package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func control(f *os.File, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = do(int(fd)) })
	return errors.Join(err, failed)
}

// datasync is os.File.Sync, which on macOS asks the drive itself to write (F_FULLFSYNC).
func datasync(f *os.File) error { return f.Sync() }

func syncFS(*os.File) error                  { return errors.ErrUnsupported }
func writeback(*os.File, int64, int64)       {}
func fallocate(*os.File, int64, int64) error { return errors.ErrUnsupported }
func firstHole(*os.File) (int64, error)      { return 0, errors.ErrUnsupported }

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
	return int64(st.Bavail) * int64(st.Bsize), err
}

// BootID identifies this run of the kernel: what is in the page cache lives exactly as long as it. "" if unknown.
func BootID() string {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return ""
	}
	return id
}
