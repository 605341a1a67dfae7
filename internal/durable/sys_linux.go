package durable

import (
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// openFlag spares four system calls for each file: without it Go tries whether the file can be waited for, and takes that
// back. A file on a disk ignores it, and a pipe that somebody has planted does not make us wait.
const openFlag = unix.O_NONBLOCK

func datasync(f *os.File) error { return control(f, unix.Fdatasync) }

// syncFS is syncfs(2).
func syncFS(dir *os.File) error {
	if !canSyncFS(dir) {
		return errors.ErrUnsupported
	}
	return control(dir, unix.Syncfs)
}

// canSyncFS tells where syncfs(2) is known to bring everything to the disk. A file system in user space, say, is only asked to write.
func canSyncFS(dir *os.File) bool {
	var st unix.Statfs_t
	if err := control(dir, func(fd int) error { return unix.Fstatfs(fd, &st) }); err != nil {
		return false
	}
	switch uint32(st.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.OVERLAYFS_SUPER_MAGIC, unix.TMPFS_MAGIC:
		return true
	}
	return false
}

func writeback(f *os.File, off, n int64) {
	_ = control(f, func(fd int) error { return unix.SyncFileRange(fd, off, n, unix.SYNC_FILE_RANGE_WRITE) })
}

// written asks for errors of writes that nobody was told of, too.
func written(f *os.File) error {
	const all = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	return control(f, func(fd int) error { return unix.SyncFileRange(fd, 0, 0, all) })
}

func forget(f *os.File) {
	_ = control(f, func(fd int) error { return unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED) })
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

// copyRange returns less than n only with an error.
func copyRange(dst *os.File, off int64, src *os.File, from, n int64) (done int64, err error) {
	err = control(dst, func(to int) error {
		return control(src, func(of int) error {
			for done < n {
				moved, err := unix.CopyFileRange(of, &from, to, &off, int(n-done), 0)
				if err != nil {
					return err
				}
				if moved == 0 {
					return io.ErrUnexpectedEOF
				}
				done += int64(moved)
			}
			return nil
		})
	})
	return done, err
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
