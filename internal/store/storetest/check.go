package storetest

import (
	"bytes"
	"errors"
	"io"

	"sluice/internal/upload"
)

var errVerdict = errors.New("verdict")

// announced is a check whose verdict was announced: nil lets the chunk count.
func announced(verdict error) upload.Check {
	return upload.Check{Announced: true, Verify: func(io.Reader) error { return verdict }}
}

// checked adds data at off under check; n of its bytes must count, and the error must be want.
func (b *bench) checked(id upload.ID, off int64, src io.Reader, check upload.Check, n int64, want error) {
	b.Helper()
	got, err := b.s.WriteChunk(id, off, src, check)
	if got != n || !errors.Is(err, want) || (err == nil) != (want == nil) {
		b.Fatalf("write checked chunk at %d: got %d, %v, want %d, %v", off, got, err, n, want)
	}
}

// stepped is a source that the test feeds. The store asks for more only when it has written what it got, so nothing is on its
// way to the disk when the test goes on.
type stepped struct {
	asked chan struct{}
	data  chan []byte
}

func (s stepped) Read(p []byte) (int, error) {
	s.asked <- struct{}{}
	data, ok := <-s.data
	if !ok {
		return 0, errSource
	}
	return copy(p, data), nil
}

// stalled has a chunk of data begin at off, in pieces that are written one by one, and never end: as it is when the process
// dies. It must end with a block of 4,096 bytes, so that none is held back.
func (b *bench) stalled(id upload.ID, off int64, data []byte, check upload.Check) {
	b.Helper()
	src := stepped{make(chan struct{}), make(chan []byte)}
	go b.s.WriteChunk(id, off, src, check)
	for ; len(data) > 0; data = data[min(1000, len(data)):] {
		<-src.asked
		src.data <- data[:min(1000, len(data))]
	}
	<-src.asked
	b.Cleanup(func() { close(src.data) })
}

var checkTests = []test{
	{"sees the chunk and nothing else", func(b *bench) {
		b.open(Setup{})
		data := noise(3<<20, 1)
		id := b.create(3 << 20)
		b.write(id, 0, data[:1000])
		for _, early := range []bool{true, false} {
			off := b.lookup(id).Offset
			var seen []byte
			check := upload.Check{Announced: early, Verify: func(chunk io.Reader) (err error) {
				seen, err = io.ReadAll(chunk)
				return err
			}}
			b.checked(id, off, bytes.NewReader(data[off:off+1<<20]), check, 1<<20, nil)
			if !bytes.Equal(seen, data[off:off+1<<20]) {
				b.Fatalf("it saw %d bytes that are not the chunk's", len(seen))
			}
		}
		b.holds(id, data)
	}},
	{"takes back what it does not pass", func(b *bench) {
		b.open(Setup{})
		data := noise(40<<20, 1)
		for _, early := range []bool{true, false} {
			for _, size := range []int64{0, 1, 5000, 3 << 20, 35 << 20} { // the last is synced on the way
				id := b.create(40 << 20)
				b.write(id, 0, data[:10])
				check := upload.Check{Announced: early, Verify: func(io.Reader) error { return errVerdict }}
				b.checked(id, 10, bytes.NewReader(make([]byte, size)), check, 0, errVerdict)
				b.at(id, upload.Receiving, 10)
				b.reopen(Setup{}, true)
				b.at(id, upload.Receiving, 10)
				if size == 5000 {
					b.holds(id, data)
				}
			}
		}
	}},
	{"that is announced takes back a chunk whose source fails", func(b *bench) {
		b.open(Setup{})
		data := noise(100_000, 1)
		id := b.create(100_000)
		b.checked(id, 0, broken(data[:60_000], errSource), announced(nil), 0, errSource)
		b.at(id, upload.Receiving, 0)
		b.checked(id, 0, bytes.NewReader(data[:60_000]), announced(nil), 60_000, nil)
		b.at(id, upload.Receiving, 60_000)
		b.holds(id, data)
	}},
	{"that is not announced is not asked when the source fails", func(b *bench) {
		b.open(Setup{})
		data := noise(100_000, 1)
		id := b.create(100_000)
		b.checked(id, 0, broken(data[:60_000], errSource), upload.Check{Verify: func(io.Reader) error { return errVerdict }}, 60_000, errSource)
		b.holds(id, data)
	}},
	{"that is announced lets nothing count before it, not even after a crash", func(b *bench) {
		b.open(Setup{})
		data := noise(100_000, 1)
		id := b.create(100_000)
		b.write(id, 0, data[:1000])
		b.stalled(id, 1000, make([]byte, 22*4096-1000), announced(nil)) // other bytes than data has
		b.at(id, upload.Receiving, 1000)
		b.reopen(Setup{}, true)
		b.at(id, upload.Receiving, 1000)
		b.holds(id, data)
	}},
	{"counts what it passed, also after a crash, and with chunks of other kinds between", func(b *bench) {
		b.open(Setup{})
		data := noise(100_000, 1)
		id := b.create(100_000)
		for off := int64(0); off < 100_000; off += 10_000 {
			check := upload.Check{}
			if off%20_000 == 0 {
				check = announced(nil)
			}
			b.checked(id, off, bytes.NewReader(data[off:off+10_000]), check, 10_000, nil)
			b.reopen(Setup{}, off%30_000 == 0)
			if rec := b.lookup(id); rec.Offset != off+10_000 {
				b.Fatalf("offset is %d after the chunk at %d", rec.Offset, off)
			}
		}
		b.complete(id)
		b.content(id, data)
	}},
	{"that is quiet tells no offset that might be taken back, and keeps what a crash leaves", func(b *bench) {
		b.open(Setup{})
		data := noise(100_000, 1)
		id := b.create(100_000)
		b.stalled(id, 0, data[:12*4096], upload.Check{Quiet: true})
		b.at(id, upload.Receiving, 0)
		b.reopen(Setup{}, true)
		b.at(id, upload.Receiving, 12*4096)
		b.holds(id, data)
	}},
	{"comes before the judge", func(b *bench) {
		j := &spy{says: func([]byte) (string, error) { return "", verdict }}
		b.open(Setup{Judge: j.judge})
		data := noise(10_000, 1)
		id := b.create(10_000)
		b.checked(id, 0, bytes.NewReader(make([]byte, 9000)), announced(errVerdict), 0, errVerdict)
		b.at(id, upload.Receiving, 0)
		j.saw(b)
		b.checked(id, 0, bytes.NewReader(data[:9000]), announced(nil), 0, verdict)
		b.at(id, upload.Rejected, 0)
		j.saw(b, data[:upload.HeadBytes])
	}},
}
