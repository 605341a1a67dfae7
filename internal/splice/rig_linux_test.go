package splice

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// content is n bytes that tell where they belong.
func content(n int, seed uint64) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(data)
	return data
}

// pair is a connection, with the server's end as one that can be spliced.
func pair(t testing.TB, pipes *Pipes) (client *net.TCPConn, server *Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server = NewConn(accepted.(*net.TCPConn), pipes)
	t.Cleanup(func() { dialed.Close(); server.Close() })
	return dialed.(*net.TCPConn), server
}

// lend borrows a pipe that there must be, until the test ends.
func lend(t testing.TB, conn *Conn) *Pipe {
	t.Helper()
	p := conn.Lend()
	if p == nil {
		t.Fatal("there is no pipe")
	}
	t.Cleanup(p.Return)
	return p
}

// target is a file to write to.
type target struct {
	*os.File
	raw   syscall.RawConn
	off   int64 // where the next byte goes
	moved int   // by the kernel
}

func newTarget(t testing.TB) *target {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	return targetOf(t, f)
}

func targetOf(t testing.TB, f *os.File) *target {
	t.Helper()
	t.Cleanup(func() { f.Close() })
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return &target{File: f, raw: raw}
}

// take reads once, at most max bytes, as a store does: what the kernel has not moved is written.
func (f *target) take(p *Pipe, src io.Reader, max int) (int, error) {
	n, moved, err := p.Read(src, max, f.raw, f.off)
	if moved < 0 || moved > n || n > max || moved > 0 && (f.off+int64(moved))%block != 0 {
		return 0, fmt.Errorf("%d of %d bytes moved to %d, %d asked for", moved, n, f.off, max)
	}
	f.moved += moved
	if written, writeErr := f.WriteAt(p.Buffer()[moved:n], f.off+int64(moved)); writeErr != nil {
		f.off += int64(moved + written)
		return n, errors.Join(err, writeErr)
	}
	f.off += int64(n)
	return n, err
}

// takeAll reads to the end, and returns the error that it ended with but io.EOF.
func (f *target) takeAll(p *Pipe, src io.Reader, max int) error {
	for {
		if _, err := f.take(p, src, max); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// holds checks that the file is exactly want, and that the bytes were counted right.
func (f *target) holds(t testing.TB, want []byte) {
	t.Helper()
	got, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("the file has %d bytes, the same up to %d, want %d", len(got), same(got, want), len(want))
	}
	if f.off != int64(len(want)) {
		t.Fatalf("%d bytes were counted, want %d", f.off, len(want))
	}
}

// same is how many bytes a and b begin with both.
func same(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
