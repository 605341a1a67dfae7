package store

import (
	"bytes"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

// late is a body that comes after a pause.
type late struct{ n int }

func (l late) Read(p []byte) (int, error) {
	time.Sleep(2 * fillWithin)
	return copy(p, bytes.Repeat([]byte{'x'}, l.n)), nil
}

func TestSlowConnectionTakesNoMemoryWhileItWaits(t *testing.T) {
	if os.Getpagesize() != blockBytes {
		t.Skip("pages are not blocks")
	}
	synctest.Test(t, func(t *testing.T) {
		w := &way{pool: newBuffers()}
		w.buf = w.pool.get(0)
		wantPages := func(want int) {
			t.Helper()
			if got := pagesOf(t, *w.buf); got != want {
				t.Errorf("%d pages are in memory, want %d", got, want)
			}
		}
		for _, rest := range []int{0, 1, blockBytes} {
			n, _, at, err := w.fill(late{firstBuffer}, 0, 0, firstBuffer)
			if n != firstBuffer || at != slow || err != nil {
				t.Fatalf("got %d bytes, %d, %v, want all, slow", n, at, err)
			}
			wantPages(2)
			w.narrow(rest)
			wantPages((rest + blockBytes - 1) / blockBytes)
			if !bytes.Equal((*w.buf)[:rest], bytes.Repeat([]byte{'x'}, rest)) {
				t.Error("bytes that wait are gone")
			}
		}
		w.fill(late{firstBuffer}, 0, 0, firstBuffer)
		w.end()
		wantPages(0)
	})
}

// pagesOf is how many pages of buf are in memory.
func pagesOf(t *testing.T, buf []byte) (n int) {
	t.Helper()
	there := make([]byte, len(buf)/os.Getpagesize())
	at := func(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }
	if _, _, errno := syscall.Syscall(syscall.SYS_MINCORE, at(buf), uintptr(len(buf)), at(there)); errno != 0 {
		t.Fatal(errno)
	}
	for _, page := range there {
		n += int(page & 1)
	}
	return n
}
