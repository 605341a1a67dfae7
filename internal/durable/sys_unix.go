//go:build linux || darwin

package durable

import (
	"errors"
	"io"
	"os"

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

func lockFile(f *os.File) error {
	err := control(f, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrHeld
	}
	return err
}

// plainDir is a directory that an os.Root has opened, to be read. By itself that would look at every file again.
func plainDir(dir *os.File) (plain *os.File, err error) {
	err = control(dir, func(fd int) error {
		again, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err == nil {
			plain = os.NewFile(uintptr(again), dir.Name())
		}
		return err
	})
	return plain, err
}

// writeFile is [FS.Write] for a name in dir, without what os does for a file that stays open.
func writeFile(dir *os.File, name string, flag int, data []byte) error {
	return control(dir, func(at int) error {
		fd, err := unix.Openat(at, name, flag|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, uint32(FilePerm))
		if err != nil {
			return err
		}
		n, err := unix.Pwrite(fd, data, 0)
		for errors.Is(err, unix.EINTR) { // control would make the file once more
			n, err = unix.Pwrite(fd, data, 0)
		}
		if err == nil && n < len(data) {
			err = io.ErrShortWrite
		}
		return errors.Join(err, unix.Close(fd))
	})
}

// rename is rename(2) in dir; the names are without slashes.
func rename(dir *os.File, oldName, newName string) error {
	return control(dir, func(fd int) error { return unix.Renameat(fd, oldName, fd, newName) })
}

func statFree(dir *os.File) (int64, error) {
	var st unix.Statfs_t
	err := control(dir, func(fd int) error { return unix.Fstatfs(fd, &st) })
	return int64(st.Bavail) * int64(st.Bsize), err
}

// Device is the number of the file system that holds dir.
func Device(dir string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return 0, &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	return uint64(st.Dev), nil
}
