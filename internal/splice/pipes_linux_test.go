package splice

import (
	"errors"
	"io"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestThereAreOnlySoManyPipes(t *testing.T) {
	pipes := NewPipes(2)
	_, server := pair(t, pipes)
	first, second := server.Lend(), server.Lend()
	if third := server.Lend(); first == nil || second == nil || third != nil {
		t.Fatalf("got %v, %v, %v, want two", first, second, third)
	}
	first.Return()
	if again := server.Lend(); again != first {
		t.Errorf("got %v, want the one that was returned", again)
	}
	first.Return()
	second.Return()
	if none := NewConn(server.TCPConn, NewPipes(0)).Lend(); none != nil {
		t.Error("a pool of none lends one")
	}
}

// TestFreePipesGoWhenNobodyWantsThem: they hold descriptors.
func TestFreePipesGoWhenNobodyWantsThem(t *testing.T) {
	pipes := NewPipes(2)
	_, server := pair(t, pipes)
	lent, free := lend(t, server), server.Lend() // the latter is returned here
	r := free.r
	free.Return()
	pipes.closeFree()
	if _, err := unix.FcntlInt(uintptr(r), unix.F_GETFL, 0); err != unix.EBADF {
		t.Errorf("got %v, want the free pipe closed", err)
	}
	if _, err := unix.FcntlInt(uintptr(lent.r), unix.F_GETFL, 0); err != nil {
		t.Errorf("the one that is lent: %v", err)
	}
	if again := server.Lend(); again == nil {
		t.Error("there is no other in its place")
	}
}

// TestAPipeThatIsNotEmptyIsClosed: what one connection left must not come out on another.
func TestAPipeThatIsNotEmptyIsClosed(t *testing.T) {
	pipes := NewPipes(1)
	_, server := pair(t, pipes)
	p := server.Lend()
	r := p.r
	if _, err := unix.Write(p.w, []byte("left")); err != nil {
		t.Fatal(err)
	}
	p.held = 4
	p.Return()
	if _, err := unix.FcntlInt(uintptr(r), unix.F_GETFL, 0); err != unix.EBADF {
		t.Errorf("got %v, want the pipe closed", err)
	}
	if again := lend(t, server); again == p {
		t.Error("it was lent again")
	}
}

// TestABufferGivesItsMemoryBack: a pipe costs no memory once returned, whoever wrote to its buffer.
func TestABufferGivesItsMemoryBack(t *testing.T) {
	ones := reader(func(b []byte) (int, error) {
		for i := range b {
			b[i] = 1
		}
		return len(b), nil
	})
	_, server := pair(t, NewPipes(1))
	for name, use := range map[string]func(p *Pipe) (int, error){
		"Fill": func(p *Pipe) (int, error) { return p.Fill(ones, 0, Bytes) },
		"Read": func(p *Pipe) (int, error) {
			n, _, err := p.Read(ones, Bytes, nil, 0)
			return n, err
		},
	} {
		p := server.Lend()
		if n, err := use(p); n != Bytes || err != nil || p.Buffer()[Bytes-1] != 1 {
			t.Fatalf("%s: got %d, %v, want %d bytes", name, n, err, Bytes)
		}
		buf := p.Buffer()
		p.Return()
		there := make([]byte, Bytes/os.Getpagesize())
		first, answer := uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&there[0]))
		if _, _, errno := unix.Syscall(unix.SYS_MINCORE, first, Bytes, answer); errno != 0 {
			t.Fatal(errno)
		}
		for page, in := range there {
			if in&1 != 0 {
				t.Fatalf("%s: page %d is in memory", name, page)
			}
		}
	}
}

// reader is a body that somebody has wrapped.
type reader func(p []byte) (int, error)

func (r reader) Read(p []byte) (int, error) { return r(p) }

// TestACountThatIsNotTheConnectionsFails has readers between that are not plain.
func TestACountThatIsNotTheConnectionsFails(t *testing.T) {
	for _, tt := range []struct {
		name string
		over func(io.Reader) reader
		want error
	}{
		{"it keeps a byte", func(src io.Reader) reader {
			return func(p []byte) (int, error) { n, err := src.Read(p); return n - 1, err }
		}, ErrMiscounted},
		{"it adds a byte", func(src io.Reader) reader {
			return func(p []byte) (int, error) { n, err := src.Read(p[:len(p)-1]); return n + 1, err }
		}, ErrMiscounted},
		{"it reads twice", func(src io.Reader) reader {
			return func(p []byte) (int, error) {
				n, _ := src.Read(p[:block])
				m, err := src.Read(p[n:])
				return n + m, err
			}
		}, ErrMiscounted},
		{"it reads twice at the same place", func(src io.Reader) reader {
			return func(p []byte) (int, error) {
				src.Read(p[:2*block])
				n, err := src.Read(p[:block])
				if n > block {
					t.Errorf("%d bytes were read into %d", n, block)
				}
				return n, err
			}
		}, ErrMiscounted},
		{"it reads elsewhere", func(src io.Reader) reader {
			return func(p []byte) (int, error) {
				own := make([]byte, len(p))
				n, err := src.Read(own)
				return copy(p, own[:n]), err
			}
		}, nil},
		{"it reads behind the beginning", func(src io.Reader) reader {
			return func(p []byte) (int, error) {
				n, err := src.Read(p[1:])
				return copy(p, p[1:n+1]), err
			}
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client, server := pair(t, NewPipes(1))
			f, data := newTarget(t), content(5*block, 1)
			go func() { client.Write(data); client.CloseWrite() }()
			await(t, server, func(there int) bool { return there >= len(data) })
			err := f.takeAll(lend(t, server), tt.over(server), Bytes)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if tt.want == nil {
				f.holds(t, data)
			} else if f.off != 0 {
				t.Errorf("%d bytes were counted", f.off)
			}
		})
	}
}

func TestAReaderWithoutAPipeReadsAsEver(t *testing.T) {
	client, server := pair(t, NewPipes(1))
	p, data := lend(t, server), content(3*block, 1)
	go func() { client.Write(data); client.CloseWrite() }()
	got, err := io.ReadAll(io.LimitReader(server, block))
	if err != nil {
		t.Fatal(err)
	}
	f := newTarget(t)
	if _, err := f.WriteAt(got, 0); err != nil {
		t.Fatal(err)
	}
	f.off = block
	if err := f.takeAll(p, server, Bytes); err != nil {
		t.Fatal(err)
	}
	f.holds(t, data)
}

// FuzzPieces cuts what is sent and what is read into pieces, over one connection, into one file and then the next.
func FuzzPieces(f *testing.F) {
	f.Add([]byte{0x00, 0x10, 0xff, 0x0f, 0x01}, uint16(0), uint16(0))
	f.Add([]byte{0x10, 0x10, 0x10, 0xff, 0xff, 0xff, 0xff}, uint16(1), uint16(block))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, uint16(4095), uint16(7000))
	pipes := NewPipes(1)
	f.Fuzz(func(t *testing.T, cuts []byte, from, most uint16) {
		client, server := pair(t, pipes)
		most = max(most, 100) // less only takes long
		size := 0
		for _, cut := range cuts[:min(len(cuts), 50)] {
			size += int(cut) * 100
		}
		data := content(size, uint64(from))
		go func() {
			rest := data
			for _, cut := range cuts[:min(len(cuts), 50)] {
				client.Write(rest[:int(cut)*100])
				rest = rest[int(cut)*100:]
			}
			client.CloseWrite()
		}()
		p := lend(t, server)
		first, second := newTarget(t), newTarget(t)
		for _, f := range []*target{first, second} {
			f.off = int64(from)
			if err := f.Truncate(f.off); err != nil {
				t.Fatal(err)
			}
		}
		half := size / 2
		for first.off < int64(from)+int64(half) {
			if _, err := first.take(p, server, min(int(most)+1, int(int64(from)+int64(half)-first.off))); err != nil {
				t.Fatal(err)
			}
		}
		if err := second.takeAll(p, server, int(most)+1); err != nil {
			t.Fatal(err)
		}
		first.holds(t, append(make([]byte, from), data[:half]...))
		second.holds(t, append(make([]byte, from), data[half:]...))
	})
}
