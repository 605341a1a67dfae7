package durable

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// copyPiece is how much [Copy] moves by itself at once where the kernel cannot.
const copyPiece = 1 << 20

// Copy puts the n bytes of src from from on at off in dst, and returns how many it moved; fewer come with an error. Where
// both are files of the system the kernel copies them (copy_file_range): nothing passes through this process, and a file
// system that can share blocks shares them. io.ErrUnexpectedEOF means that src is too short.
func Copy(dst File, off int64, src Reader, from, n int64) (int64, error) {
	to, toFile := dst.(osFile)
	of, ofFile := src.(*os.File)
	if !toFile || !ofFile {
		return copyThrough(dst, off, src, from, n)
	}
	done, err := copyRange(to.File, off, of, from, n)
	if err == nil || done > 0 || !cannotCopy(err) {
		return done, err
	}
	return copyThrough(dst, off, src, from, n)
}

// cannotCopy tells errors that mean that the kernel does not copy between these two files, not that copying failed.
func cannotCopy(err error) bool {
	for _, of := range []error{errors.ErrUnsupported, syscall.EXDEV, syscall.EINVAL, syscall.EPERM} {
		if errors.Is(err, of) { // ErrUnsupported is ENOSYS, ENOTSUP and EOPNOTSUPP
			return true
		}
	}
	return false
}

// copyThrough is Copy by way of memory.
func copyThrough(dst io.WriterAt, off int64, src io.ReaderAt, from, n int64) (done int64, err error) {
	buf := make([]byte, min(n, copyPiece))
	for done < n {
		piece := buf[:min(n-done, copyPiece)]
		got, err := src.ReadAt(piece, from+done)
		if got < len(piece) {
			return done, errors.Join(io.ErrUnexpectedEOF, err)
		}
		wrote, err := dst.WriteAt(piece, off+done)
		done += int64(wrote)
		if err != nil {
			return done, err
		}
	}
	return done, nil
}
