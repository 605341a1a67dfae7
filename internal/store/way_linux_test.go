package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/internal/durable"
	"sluice/internal/splice"
	"sluice/internal/store"
	"sluice/internal/upload"
)

// wire is a body that comes over a connection, whose bytes are known.
type wire struct {
	*splice.Conn
	client *net.TCPConn
	data   []byte
	at     int
	sent   chan struct{}                        // closed when all is
	moved  int                                  // bytes that did not come through memory
	read   func(w *wire, p []byte) (int, error) // in the place of Conn.Read, if not nil
}

// newWire sends data and nothing behind it. The reader of the body sees its end.
func newWire(t *testing.T, data []byte) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	conn := splice.NewConn(server.(*net.TCPConn), splice.NewPipes(1))
	w := &wire{Conn: conn, client: client.(*net.TCPConn), data: data, sent: make(chan struct{})}
	go func() {
		defer close(w.sent)
		client.Write(data)
	}()
	return w
}

func (w *wire) Below() any { return w.Conn }

// Read ends with the data. What the kernel moves does not show in p.
func (w *wire) Read(p []byte) (int, error) {
	if w.at == len(w.data) {
		return 0, io.EOF
	}
	read := w.read
	if read == nil {
		read = func(w *wire, p []byte) (int, error) { return w.Conn.Read(p) }
	}
	p = p[:min(len(p), len(w.data)-w.at)]
	n, err := read(w, p)
	if !bytes.Equal(p[:n], w.data[w.at:w.at+n]) {
		w.moved += n
	}
	w.at += n
	return n, err
}

// random is n bytes, the last zeros of them zeros.
func random(n, zeros int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(data)
	clear(data[n-zeros:])
	return data
}

// put writes data at off over a connection and returns what it came over.
func put(t *testing.T, s *store.File, off int64, data []byte) *wire {
	t.Helper()
	w := newWire(t, data)
	if n, err := s.WriteChunk(victim, off, w, upload.Check{}); err != nil || n != int64(len(data)) {
		t.Fatalf("got %d, %v, want %d", n, err, len(data))
	}
	return w
}

// holds checks what the victim's file is, and its offset.
func holds(t *testing.T, s *store.File, dir string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(dir, string(victim)))
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("the file has %d bytes, %v, the same up to %d, want %d", len(got), err, common(got, want), len(want))
	}
	if rec, err := s.Lookup(victim); err != nil || rec.Offset != int64(len(want)) {
		t.Fatalf("the offset is %d, %v, want %d", rec.Offset, err, len(want))
	}
}

func TestAFastConnectionIsSpliced(t *testing.T) {
	for _, durable := range []bool{true, false} {
		for _, cuts := range [][]int{{0, 3 << 20}, {0, 100, 3<<20 + 100}, {0, 4096, 600<<10 + 1, 40 << 20}} {
			t.Run(fmt.Sprint(durable, cuts), func(t *testing.T) {
				dir, data := t.TempDir(), random(cuts[len(cuts)-1], 0)
				s := openFile(t, dir, store.Options{Flat: true, Durable: durable, Judge: typed})
				defer s.Close()
				if err := s.Create(upload.Record{ID: victim, Length: int64(len(data))}); err != nil {
					t.Fatal(err)
				}
				for i, from := range cuts[:len(cuts)-1] {
					w := put(t, s, int64(from), data[from:cuts[i+1]])
					holds(t, s, dir, data[:cuts[i+1]])
					if len(w.data) > 500<<10 && w.moved < len(w.data)*3/4 {
						t.Errorf("%d of %d bytes were moved by the kernel", w.moved, len(w.data))
					}
				}
				if rec, err := s.Complete(victim); err != nil || rec.State != upload.Received {
					t.Errorf("got %s, %v", rec.State, err)
				}
			})
		}
	}
}

// TestSplicedZerosCount has a chunk end in zeros that nobody but the disk has seen.
func TestSplicedZerosCount(t *testing.T) {
	for _, size := range []int{800 << 10, 800<<10 + 5000} {
		dir, data := t.TempDir(), random(size, 9000)
		s := openFile(t, dir, store.Options{Flat: true, Durable: true})
		if err := s.Create(upload.Record{ID: victim, Length: 1 << 30}); err != nil {
			t.Fatal(err)
		}
		if w := put(t, s, 0, data); w.moved == 0 {
			t.Error("the kernel moved nothing")
		}
		if err := s.Crash(); err != nil {
			t.Fatal(err)
		}
		setMark(t, dir, otherBoot)
		s = openFile(t, dir, store.Options{Flat: true, Durable: true})
		holds(t, s, dir, data)
		s.Close()
	}
}

// TestAFileThatIsNoneIsWrittenTo has a file system that cannot be spliced to.
func TestAFileThatIsNoneIsWrittenTo(t *testing.T) {
	r := newRig(t, true, false)
	data := random(700<<10, 0)
	r.must(r.s.Create(upload.Record{ID: victim, Length: int64(len(data))}))
	if w := put(t, r.s, 0, data); w.moved != 0 {
		t.Errorf("%d bytes were moved by the kernel", w.moved)
	}
	holds(t, r.s, r.dir, data)
}

// TestAFullDiskInMidSpliceKeepsWhatItTook goes on when there is room.
func TestAFullDiskInMidSpliceKeepsWhatItTook(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("a disk of its own needs root: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	s := openFile(t, dir, store.Options{Flat: true, Durable: true})
	defer s.Close()
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 2700<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	data := random(1200<<10+1, 0)
	if err := s.Create(upload.Record{ID: victim, Length: upload.Deferred}); err != nil {
		t.Fatal(err)
	}
	w := newWire(t, data)
	n, err := s.WriteChunk(victim, 0, w, upload.Check{})
	if !errors.Is(err, upload.ErrInsufficientStorage) || n < 500<<10 || w.moved == 0 {
		t.Fatalf("got %d, %v, %d of them moved by the kernel, want %v", n, err, w.moved, upload.ErrInsufficientStorage)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	put(t, s, n, data[n:])
	holds(t, s, dir, data)
}

// TestASplicedChunkThatIsCutKeepsWhatCame ends in the middle, by the client or by another request.
func TestASplicedChunkThatIsCutKeepsWhatCame(t *testing.T) {
	const sent = 900<<10 + 77
	for name, cut := range map[string]func(w *wire){
		"reset":     func(w *wire) { w.client.SetLinger(0); w.client.Close() },
		"interrupt": func(w *wire) { w.SetReadDeadline(time.Now()) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, data := t.TempDir(), random(sent, 0)
			s := openFile(t, dir, store.Options{Flat: true, Durable: true})
			defer s.Close()
			if err := s.Create(upload.Record{ID: victim, Length: 2 * sent}); err != nil {
				t.Fatal(err)
			}
			w := newWire(t, data)
			w.data = append(data, make([]byte, sent)...) // it waits for more
			go func() {
				w.settle(t)
				cut(w)
			}()
			n, err := s.WriteChunk(victim, 0, w, upload.Check{})
			if err == nil || n != sent {
				t.Fatalf("got %d, %v, want %d and why it ended", n, err, sent)
			}
			holds(t, s, dir, data)
		})
	}
}

// settle returns when everything is sent, has arrived, and is taken.
func (w *wire) settle(t *testing.T) {
	<-w.sent
	for _, end := range []*net.TCPConn{w.client, w.TCPConn} {
		raw, err := end.SyscallConn()
		request := uint(unix.TIOCOUTQ)
		if end == w.TCPConn {
			request = unix.TIOCINQ
		}
		for left := 1; left > 0 && err == nil; time.Sleep(time.Millisecond) {
			err = raw.Control(func(fd uintptr) { left, _ = unix.IoctlGetInt(int(fd), request) })
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// TestBytesThatAreMiscountedDoNotCount has somebody between who keeps one back, as a limit on the body does.
func TestBytesThatAreMiscountedDoNotCount(t *testing.T) {
	for _, cause := range []error{nil, upload.ErrTooLarge} {
		dir, data := t.TempDir(), random(600<<10, 0)
		s := openFile(t, dir, store.Options{Flat: true, Durable: true})
		defer s.Close()
		if err := s.Create(upload.Record{ID: victim, Length: upload.Deferred}); err != nil {
			t.Fatal(err)
		}
		w, before := newWire(t, data), 0
		w.read = func(w *wire, p []byte) (int, error) {
			n, err := w.Conn.Read(p)
			if !bytes.Equal(p[:n], w.data[w.at:w.at+n]) {
				before, n, err = w.at, n-1, errors.Join(err, cause)
			}
			return n, err
		}
		n, err := s.WriteChunk(victim, 0, w, upload.Check{})
		if cause != nil {
			before = 0 // the whole chunk is taken back
		}
		if !errors.Is(err, splice.ErrMiscounted) || cause != nil && !errors.Is(err, cause) || n != int64(before) {
			t.Errorf("got %d, %v, want %d", n, err, before)
		}
		holds(t, s, dir, data[:before])
	}
}

// counted is a file system that counts syncs.
type counted struct {
	*durable.Root
	syncs *atomic.Int32
}

func (c counted) OpenFile(name string, flag int) (durable.File, error) {
	f, err := c.Root.OpenFile(name, flag)
	if err != nil {
		return nil, err
	}
	return countedFile{f, f.(syscall.Conn), c.syncs}, nil
}

type countedFile struct {
	durable.File
	syscall.Conn
	syncs *atomic.Int32
}

func (f countedFile) Datasync() error {
	f.syncs.Add(1)
	return f.File.Datasync()
}

// TestABlockBegunInPartIsSyncedBeforeTheKernelGoesOn has some bytes come through memory, and then none for so long that they
// are written, in the middle of what is spliced.
func TestABlockBegunInPartIsSyncedBeforeTheKernelGoesOn(t *testing.T) {
	dir, syncs, data := t.TempDir(), new(atomic.Int32), random(4<<20, 0)
	root, err := durable.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := os.Mkdir(filepath.Join(dir, ".sluice"), 0o750); err != nil {
		t.Fatal(err)
	}
	o := store.Options{Profile: "test", Flat: true, Durable: true, Metrics: store.NewMetrics(), Logger: quiet}
	s, err := store.OpenOn(counted{root, syncs}, o, nothing)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Create(upload.Record{ID: victim, Length: int64(len(data))}); err != nil {
		t.Fatal(err)
	}
	w, name := newWire(t, data), filepath.Join(dir, string(victim))
	var before int32 // syncs before the part of a block was written
	w.read = func(w *wire, p []byte) (int, error) {
		switch {
		case before == 0 && w.moved > 0: // a part of a block, from elsewhere
			before = syncs.Load() + 1
			own := make([]byte, 100)
			n, err := io.ReadFull(w.Conn, own)
			return copy(p, own[:n]), err
		case before > 0 && w.at%4096 != 0:
			for info, err := os.Stat(name); err == nil && info.Size() < int64(w.at); info, err = os.Stat(name) {
				time.Sleep(time.Millisecond)
			}
			return w.Conn.Read(p[:min(len(p), 5000)])
		case before > 0 && syncs.Load() < before:
			t.Errorf("%d syncs when the kernel goes on at %d, want %d", syncs.Load(), w.at, before)
		}
		return w.Conn.Read(p)
	}
	if n, err := s.WriteChunk(victim, 0, w, upload.Check{}); err != nil || n != int64(len(data)) || before == 0 {
		t.Fatalf("got %d, %v, want %d", n, err, len(data))
	}
	holds(t, s, dir, data)
	if w.moved < len(data)/2 { // the first read moves a quarter at most
		t.Errorf("%d of %d bytes were moved by the kernel", w.moved, len(data))
	}
}

func TestAConnectionThatSlowsDownLosesNothing(t *testing.T) {
	dir, data := t.TempDir(), random(600<<10, 0)
	s := openFile(t, dir, store.Options{Flat: true, Durable: true})
	defer s.Close()
	if err := s.Create(upload.Record{ID: victim, Length: upload.Deferred}); err != nil {
		t.Fatal(err)
	}
	w, drops := newWire(t, data), random(200*999, 0)
	w.data = append(data, drops...)
	go func() {
		<-w.sent
		for drop := range slices.Chunk(drops, 999) {
			time.Sleep(2 * time.Millisecond) // so slow is it
			w.client.Write(drop)
		}
	}()
	if n, err := s.WriteChunk(victim, 0, w, upload.Check{}); err != nil || n != int64(len(w.data)) || w.moved == 0 {
		t.Fatalf("got %d, %v, %d of them moved by the kernel, want %d", n, err, w.moved, len(w.data))
	}
	holds(t, s, dir, w.data)
	if w.Lend() == nil {
		t.Error("the pipe was not returned")
	}
}
