package store

import (
	"os"
	"syscall"
)

// release gives the pages of buf back to the system, and with them what is in it. They come again when somebody writes to it.
func release(buf []byte) {
	if len(buf) > 0 && len(buf)%os.Getpagesize() == 0 { // else the kernel would take more than buf
		_ = syscall.Madvise(buf, syscall.MADV_DONTNEED) // refused if buf does not begin with a page: then it stays as it is
	}
}
