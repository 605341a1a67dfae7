package splice

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// boundaries are the sizes at which something ends: a block, a buffer, a pipe.
var boundaries = []int{1, block - 1, block, block + 1, 32 << 10, 64<<10 + 1, Bytes - 1, Bytes, Bytes + 1, 2*Bytes + block + 7}

func TestEveryByteIsInTheFile(t *testing.T) {
	for _, size := range boundaries {
		for _, from := range []int64{0, 1, block - 1, block} {
			t.Run(fmt.Sprintf("%d at %d", size, from), func(t *testing.T) {
				client, server := pair(t, NewPipes(1))
				f, data := newTarget(t), content(size, uint64(size))
				before := content(int(from), 1)
				f.WriteAt(before, 0)
				f.off = from
				go func() { client.Write(data); client.CloseWrite() }()
				if err := f.takeAll(lend(t, server), server, Bytes); err != nil {
					t.Fatal(err)
				}
				f.holds(t, append(before, data...))
				if f.moved == 0 && size >= 2*block {
					t.Error("the kernel moved nothing")
				}
			})
		}
	}
}

// TestACutLosesNothing ends the connection after any number of bytes, in both ways.
func TestACutLosesNothing(t *testing.T) {
	pipes, data := NewPipes(1), content(block+3, 1)
	f := newTarget(t)
	for n := range len(data) + 1 {
		if n > 100 && n < block-100 && n%7 != 0 {
			continue // the interesting ones are at both ends
		}
		for _, reset := range []bool{false, true} {
			client, server := pair(t, pipes)
			f.off = 0
			if err := f.Truncate(0); err != nil {
				t.Fatal(err)
			}
			client.Write(data[:n])
			if reset {
				await(t, server, func(there int) bool { return there == n }) // a reset takes what has not been read with it
				client.SetLinger(0)
				client.Close()
			} else {
				client.CloseWrite()
			}
			p := server.Lend()
			err := f.takeAll(p, server, len(data)+1)
			if p.Return(); reset != errors.Is(err, syscall.ECONNRESET) || !reset && err != nil {
				t.Fatalf("%d bytes, reset %t: got %v", n, reset, err)
			}
			if !reset {
				f.holds(t, data[:n])
			}
			client.Close()
			server.Close()
		}
	}
}

// await returns when as many bytes wait to be read as enough says.
func await(t testing.TB, conn *Conn, enough func(there int) bool) {
	raw, err := conn.SyscallConn()
	for there := -1; err == nil && !enough(there); time.Sleep(100 * time.Microsecond) {
		err = raw.Control(func(fd uintptr) { there, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	}
	if err != nil {
		t.Error(err)
	}
}

func TestSocketErrorsHaveTheFormOfNet(t *testing.T) {
	client, server := pair(t, NewPipes(1))
	p, f := lend(t, server), newTarget(t)
	client.SetLinger(0)
	ended := make(chan error, 1)
	go func() { ended <- f.takeAll(p, server, Bytes) }()
	client.Write(content(3*block, 1))
	await(t, server, func(there int) bool { return there == 0 && server.armed.Load() != nil })
	client.Close()
	err := <-ended
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "read" || op.Net != "tcp" ||
		!strings.HasSuffix(err.Error(), "read: connection reset by peer") {
		t.Errorf("got %#v: %v", err, err)
	}
	f.holds(t, content(3*block, 1))
}

// TestAnInterruptKeepsWhatCame moves the deadline while a read waits for more than there is.
func TestAnInterruptKeepsWhatCame(t *testing.T) {
	const size = 3*block + 5
	client, server := pair(t, NewPipes(1))
	p, f, data := lend(t, server), newTarget(t), content(size+2*block, 1)
	client.Write(data[:size])
	await(t, server, func(there int) bool { return there == size })
	taken := make(chan error, 1)
	go func() {
		_, err := f.take(p, server, Bytes)
		taken <- err
	}()
	await(t, server, func(there int) bool { return there == 0 })
	server.SetReadDeadline(time.Now())
	if err := <-taken; err != nil {
		t.Fatal(err)
	}
	f.holds(t, data[:size])

	n, err := f.take(p, server, Bytes)
	var op *net.OpError
	if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &op) || op.Op != "read" || !op.Timeout() {
		t.Errorf("got %d, %v", n, err)
	}
	server.SetReadDeadline(time.Time{})
	client.Write(data[size:])
	client.CloseWrite()
	if err := f.takeAll(p, server, Bytes); err != nil {
		t.Fatal(err)
	}
	f.holds(t, data)
}

// TestASlowDripIsNotWaitedFor: a read ends some time after the first byte, whatever is still to come.
func TestASlowDripIsNotWaitedFor(t *testing.T) {
	client, server := pair(t, NewPipes(1))
	p, f := lend(t, server), newTarget(t)
	data := content(200, 1) // fewer than a pipe holds one by one
	go func() {
		for i := range data {
			client.Write(data[i : i+1])
			time.Sleep(2 * time.Millisecond)
		}
		client.CloseWrite()
	}()
	reads := 0
	for err := error(nil); err == nil; reads++ {
		if _, err = f.take(p, server, Bytes); err != nil && err != io.EOF {
			t.Fatal(err)
		}
	}
	f.holds(t, data)
	if reads < 3 {
		t.Errorf("%d reads took all of it", reads)
	}
}

// TestAPipeFullOfSmallPiecesIsEmptied sends so little at once that a pipe has no room for more before it holds a block.
func TestAPipeFullOfSmallPiecesIsEmptied(t *testing.T) {
	client, server := pair(t, NewPipes(1))
	p, f := lend(t, server), newTarget(t)
	if _, err := unix.FcntlInt(uintptr(p.w), unix.F_SETPIPE_SZ, block); err != nil {
		t.Fatal(err)
	}
	data := content(5*block+9, 1)
	go func() {
		client.Write(data[:100])
		await(t, server, func(there int) bool { return there == 0 })
		for i := 100; i < len(data); i += 700 {
			client.Write(data[i:min(i+700, len(data))])
		}
		client.CloseWrite()
	}()
	if err := f.takeAll(p, server, Bytes); err != nil {
		t.Fatal(err)
	}
	f.holds(t, data)
}

// TestAnErrorOfTheFileStaysWithTheFile has files that take only some of the bytes, or none by splice. The connection reads on as
// if nothing were wrong, and whoever writes the rest meets the file's own error.
func TestAnErrorOfTheFileStaysWithTheFile(t *testing.T) {
	const size, room = 600<<10 + 1, 256 << 10
	for _, tt := range []struct {
		name  string
		make  func(*testing.T) *os.File
		takes int
		want  error
	}{
		{"sealed", func(t *testing.T) *os.File { return sealed(t, room) }, room, syscall.EPERM},
		{"on a full disk", func(t *testing.T) *os.File { return onDisk(t, room) }, room, syscall.ENOSPC},
		{"not for writing", readOnly, 0, syscall.EBADF},
		{"that only takes writes, but no byte", full, 0, syscall.ENOSPC},
		{"that only takes writes", appending, size, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pipes := NewPipes(1)
			client, server := pair(t, pipes)
			data := content(size+5*block, 1)
			go client.Write(data)
			p, f := server.Lend(), targetOf(t, tt.make(t))
			n, err := 0, error(nil)
			for n < size && err == nil {
				var m int
				m, err = f.take(p, server, size-n)
				n += m
			}
			if !errors.Is(err, tt.want) || f.off != int64(tt.takes) {
				t.Errorf("got %v after %d bytes, want %v after %d", err, f.off, tt.want, tt.takes)
			}
			if got := make([]byte, tt.takes); tt.want != syscall.EBADF {
				if _, err := f.ReadAt(got, 0); tt.takes > 0 && (err != nil || !bytes.Equal(got, data[:tt.takes])) {
					t.Errorf("what the file took is not what was sent: %v", err)
				}
			}
			p.Return()
			if len(pipes.left) != 1 || len(pipes.free) != 1 {
				t.Errorf("%d pipes, %d of them free, want 1", len(pipes.left), len(pipes.free))
			}
			again, next := lend(t, server), newTarget(t) // for the rest, and the next upload
			for n+int(next.off) < len(data) {
				if _, err := next.take(again, server, len(data)-n-int(next.off)); err != nil {
					t.Fatal(err)
				}
			}
			next.holds(t, data[n:])
			if next.moved == 0 {
				t.Error("the next upload is not spliced")
			}
		})
	}
}

func sealed(t *testing.T, room int64) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("sealed", unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "sealed")
	if err := f.Truncate(room); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_GROW); err != nil {
		t.Fatal(err)
	}
	return f
}

// onDisk makes a file on a disk of its own with that many bytes.
func onDisk(t *testing.T, room int64) *os.File {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", room)); err != nil {
		t.Skipf("a disk of its own needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return open(t, filepath.Join(dir, "file"), os.O_RDWR|os.O_CREATE)
}

func readOnly(t *testing.T) *os.File {
	return open(t, filepath.Join(t.TempDir(), "file"), os.O_RDONLY|os.O_CREATE)
}

func full(t *testing.T) *os.File { return open(t, "/dev/full", os.O_RDWR) }

// appending makes a file to which the kernel does not splice.
func appending(t *testing.T) *os.File {
	f := open(t, filepath.Join(t.TempDir(), "file"), os.O_RDWR|os.O_CREATE)
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFL, unix.O_APPEND); err != nil {
		t.Fatal(err)
	}
	return f
}

func open(t *testing.T, name string, flag int) *os.File {
	t.Helper()
	f, err := os.OpenFile(name, flag, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
