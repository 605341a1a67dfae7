package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"sluice/internal/upload"
)

var chunkTests = []test{
	{"elsewhere than at the offset changes nothing", func(b *bench) {
		id := b.bring(upload.Receiving)
		before := b.lookup(id)
		for _, off := range []int64{-1, 0, 5, 7, 12, 1 << 40} {
			src := bytes.NewReader(sample)
			b.writeFails(id, off, src, 0, upload.ErrOffsetMismatch)
			if src.Len() != len(sample) {
				b.Errorf("at %d: the source was read", off)
			}
		}
		b.same(id, before)
		b.holds(id, sample)
	}},
	{"of nothing is no error", func(b *bench) {
		id := b.bring(upload.Receiving)
		b.write(id, 6, nil)
		b.at(id, upload.Receiving, 6)
		b.holds(id, sample)
	}},
	{"reads in any portions", func(b *bench) {
		b.open(Setup{})
		data := noise(9000, 1)
		for name, portion := range map[string]func(io.Reader) io.Reader{
			"drips": iotest.OneByteReader, "halves": iotest.HalfReader, "last bytes with the end": iotest.DataErrReader,
		} {
			id := b.create(9000)
			if n, err := b.s.WriteChunk(id, 0, portion(bytes.NewReader(data)), upload.Check{}); n != 9000 || err != nil {
				b.Errorf("%s: got %d, %v, want 9000, nil", name, n, err)
			}
			b.holds(id, data)
		}
	}},
	{"short of the length is normal", func(b *bench) {
		b.open(Setup{})
		data := noise(100_000, 1)
		id := b.create(100_000)
		b.write(id, 0, data[:70_001])
		b.at(id, upload.Receiving, 70_001)
		b.holds(id, data)
	}},
	{"cut by its source keeps what arrived", func(b *bench) {
		b.open(Setup{})
		data := noise(5<<20, 1)
		for _, arrived := range []int64{0, 1, 4095, 4096, 4097, 32<<10 + 1, 3<<20 + 5, 5 << 20} {
			length := min(arrived+10_000, 5<<20)
			id := b.create(length)
			b.writeFails(id, 0, broken(data[:arrived], errSource), arrived, errSource)
			b.at(id, upload.Receiving, arrived)
			b.holds(id, data[:length])
		}
	}},
	{"longer than the length is taken back", func(b *bench) {
		b.open(Setup{})
		data := noise(100_000, 1)
		for _, kept := range []int64{0, 1, 4096, 50_000, 99_999, 100_000} {
			id := b.create(100_000)
			b.write(id, 0, data[:kept])
			b.writeFails(id, kept, bytes.NewReader(make([]byte, 100_001-kept)), 0, upload.ErrTooLarge)
			b.at(id, upload.Receiving, kept)
			b.holds(id, data)
		}
	}},
	{"that its source calls too large is taken back", func(b *bench) {
		b.open(Setup{})
		data := noise(9<<20, 1)
		for _, arrived := range []int64{0, 1, 4096, 32 << 10, 1 << 20, 8<<20 + 1} {
			for _, length := range []int64{arrived + 10_000, upload.Deferred} {
				id := b.create(length)
				b.write(id, 0, data[:3])
				b.writeFails(id, 3, broken(data[5:5+arrived], fmt.Errorf("wrapped: %w", upload.ErrTooLarge)), 0, upload.ErrTooLarge)
				b.at(id, upload.Receiving, 3)
				b.reopen(Setup{}, true)
				b.at(id, upload.Receiving, 3)
				if length != upload.Deferred {
					b.holds(id, data[:length])
				}
			}
		}
	}},
	{"of more than may be unsynced is taken back whole", func(b *bench) {
		b.open(Setup{})
		data := noise(34<<20, 1)
		id := b.create(34 << 20)
		b.write(id, 0, data[:7])
		b.writeFails(id, 7, broken(data[9:9+33<<20], upload.ErrTooLarge), 0, upload.ErrTooLarge)
		b.at(id, upload.Receiving, 7)
		b.reopen(Setup{}, true)
		b.at(id, upload.Receiving, 7)
		b.holds(id, data)
	}},
	{"waits for nobody but its own source", func(b *bench) {
		b.open(Setup{})
		id, other := b.create(10), b.create(3)
		src, send := io.Pipe()
		done := make(chan error)
		go func() { _, err := b.s.WriteChunk(id, 0, src, upload.Check{}); done <- err }()
		send.Write([]byte("abc")) // it reads, and waits for more
		b.lookup(id)
		b.holds(other, []byte("xyz"))
		if _, err := b.s.Complete(id); !errors.Is(err, upload.ErrOffsetMismatch) {
			b.Errorf("complete: got %v, want %v", err, upload.ErrOffsetMismatch)
		}
		send.Close()
		if err := <-done; err != nil {
			b.Error(err)
		}
		b.at(id, upload.Receiving, 3)
	}},
}

var judgeTests = []test{
	{"is asked once, as soon as the head is stored", func(b *bench) {
		j := &spy{}
		b.open(Setup{Judge: j.judge})
		asked := 0
		for _, length := range []int64{0, 1, 4095, 4096, 4097, 10_000} {
			for _, chunk := range []int64{1, 1000, 4095, 4096, 4097, 10_000} {
				data := noise(length, 1)
				b.judgedOnce(j, data, chunk, length)
				asked++
				j.mu.Lock()
				if len(j.heads) != asked {
					b.Fatalf("length %d in chunks of %d: judge was asked %d times, want once", length, chunk, len(j.heads)-asked+1)
				}
				if head := data[:min(length, upload.HeadBytes)]; !bytes.Equal(j.heads[asked-1], head) {
					b.Fatalf("length %d in chunks of %d: judge was shown %d bytes, want %d", length, chunk, len(j.heads[asked-1]), len(head))
				}
				j.mu.Unlock()
			}
		}
	}},
	{"is asked before more flows", func(b *bench) {
		for _, length := range []int64{4096, 1 << 20, upload.Deferred} {
			j := &spy{says: func([]byte) (string, error) { return "", verdict }}
			b.open(Setup{Judge: j.judge})
			id := b.create(length)
			src := iotest.OneByteReader(bytes.NewReader(noise(1<<20, 1)))
			counted := &counter{Reader: src}
			b.writeFails(id, 0, counted, 0, verdict)
			if counted.n != upload.HeadBytes {
				b.Errorf("length %d: %d bytes were read before the verdict, want %d", length, counted.n, upload.HeadBytes)
			}
			b.h.Close(b.T, b.s)
			b.s = nil
		}
	}},
	{"rejects in any chunk and the upload is settled", func(b *bench) {
		j := &spy{says: func([]byte) (string, error) { return "", verdict }}
		b.open(Setup{Judge: j.judge})
		data := noise(10_000, 1)
		for _, kept := range []int64{0, 1, 4095} {
			id := b.create(10_000)
			b.write(id, 0, data[:kept])
			b.writeFails(id, kept, bytes.NewReader(data[kept:]), 0, verdict)
			b.rejected(id)
		}
	}},
	{"rejects an upload that is short, or empty, or has its length late", func(b *bench) {
		j := &spy{says: func([]byte) (string, error) { return "", verdict }}
		b.open(Setup{Judge: j.judge})
		empty := b.create(0)
		if _, err := b.s.Complete(empty); !errors.Is(err, verdict) {
			b.Errorf("empty: got %v, want %v", err, verdict)
		}
		b.rejected(empty)
		short := b.create(3)
		b.writeFails(short, 0, bytes.NewReader([]byte("abc")), 0, verdict)
		b.rejected(short)
		late := b.create(upload.Deferred)
		b.write(late, 0, []byte("abc"))
		if err := b.s.DeclareLength(late, 3); err != nil {
			b.Fatal(err)
		}
		if _, err := b.s.Complete(late); !errors.Is(err, verdict) {
			b.Errorf("late: got %v, want %v", err, verdict)
		}
		b.rejected(late)
	}},
	{"rejects also what its source then broke", func(b *bench) {
		j := &spy{says: func([]byte) (string, error) { return "", verdict }}
		b.open(Setup{Judge: j.judge})
		id := b.create(10_000)
		b.writeFails(id, 0, broken(noise(4096, 1), errSource), 0, verdict)
		b.rejected(id)
	}},
	{"is asked again for bytes that replace those taken back", func(b *bench) {
		good, bad := bytes.Repeat([]byte("g"), 5000), bytes.Repeat([]byte("b"), 5000)
		j := &spy{says: func(head []byte) (string, error) {
			if bytes.HasPrefix(head, []byte("b")) {
				return "", verdict
			}
			return "text/plain", nil
		}}
		b.open(Setup{Judge: j.judge})
		id := b.create(5000)
		b.writeFails(id, 0, io.MultiReader(bytes.NewReader(good), bytes.NewReader(good)), 0, upload.ErrTooLarge)
		b.at(id, upload.Receiving, 0)
		if got := b.lookup(id).MediaType; got != "" {
			b.Errorf("media type is %q though no byte is stored", got)
		}
		b.writeFails(id, 0, bytes.NewReader(bad), 0, verdict)
		b.rejected(id)
	}},
	{"is not asked about bytes that are refused", func(b *bench) {
		j := &spy{says: func([]byte) (string, error) { return "", verdict }}
		b.open(Setup{Judge: j.judge})
		id := b.create(4096)
		b.writeFails(id, 0, broken(noise(4095, 1), upload.ErrTooLarge), 0, upload.ErrTooLarge)
		b.writeFails(id, 0, iotest.DataErrReader(broken(noise(4096, 1), upload.ErrTooLarge)), 0, upload.ErrTooLarge)
		j.saw(b)
	}},
	{"is asked about an upload of no known length that grows to the limit", func(b *bench) {
		j := &spy{}
		b.open(Setup{Judge: j.judge, MaxBytes: 5000})
		data := noise(5001, 1)
		id := b.create(upload.Deferred)
		b.write(id, 0, data[:5000])
		b.writeFails(id, 5000, bytes.NewReader(data[5000:]), 0, upload.ErrTooLarge)
		b.at(id, upload.Receiving, 5000)
		other := b.create(upload.Deferred)
		b.writeFails(other, 0, bytes.NewReader(data), 0, upload.ErrTooLarge)
		b.at(other, upload.Receiving, 0)
	}},
	{"that fails costs no stored bytes and is asked again", func(b *bench) {
		tries := 0
		j := &spy{says: func([]byte) (string, error) {
			if tries++; tries < 3 {
				return "", errSource
			}
			return "image/png", nil
		}}
		b.open(Setup{Judge: j.judge})
		data := noise(5000, 1)
		id := b.create(5000)
		b.writeFails(id, 0, bytes.NewReader(data), 0, errSource)
		b.write(id, 0, data[:100])
		b.writeFails(id, 100, bytes.NewReader(data[100:]), 3996, errSource)
		b.at(id, upload.Receiving, 4096)
		b.holds(id, data)
		j.saw(b, data[:4096], data[:4096], data[:4096])
	}},
	{"that knows no type is not asked again", func(b *bench) {
		j := &spy{says: func([]byte) (string, error) { return "", nil }}
		b.open(Setup{Judge: j.judge})
		data := noise(5000, 1)
		id := b.create(5000)
		b.write(id, 0, data[:4500])
		b.holds(id, data)
		b.publish(id)
		j.saw(b, data[:4096])
	}},
	{"is not asked again after success, nor after a crash once complete", func(b *bench) {
		j := &spy{}
		b.open(Setup{Judge: j.judge})
		id := b.received(sample)
		b.reopen(Setup{Judge: j.judge}, true)
		b.publish(id)
		j.saw(b, sample)
	}},
	{"is asked after a crash before completion", func(b *bench) {
		j := &spy{}
		b.open(Setup{Judge: j.judge})
		id := b.create(5000)
		data := noise(5000, 1)
		b.write(id, 0, data[:4096])
		again := &spy{says: func([]byte) (string, error) { return "", verdict }}
		b.reopen(Setup{Judge: again.judge}, true)
		b.writeFails(id, 4096, bytes.NewReader(data[4096:]), 0, verdict)
		b.rejected(id)
	}},
	{"is asked at last when nothing else did", func(b *bench) {
		b.open(Setup{})
		id := b.create(3)
		b.write(id, 0, []byte("abc"))
		j := &spy{says: func([]byte) (string, error) { return "", verdict }}
		b.reopen(Setup{Judge: j.judge}, true)
		rec, err := b.s.Publish(id, upload.Outcome{MediaType: "text/plain"})
		if !errors.Is(err, verdict) || rec.State != upload.Rejected {
			b.Errorf("got %s, %v, want rejected, %v", rec.State, err, verdict)
		}
		b.rejected(id)
	}},
}

// judgedOnce sends data in chunks, and sees that the judge is asked with the chunk that completes the head.
func (b *bench) judgedOnce(j *spy, data []byte, chunk, length int64) {
	b.Helper()
	asked := len(j.heads)
	id := b.create(length)
	due := min(length, upload.HeadBytes)
	step := chunk
	if chunk == 1 { // drips where it matters
		step = max(due-3, 1)
	}
	for off := int64(0); off < length; {
		n := min(step, length-off)
		b.write(id, off, data[off:off+n])
		off += n
		if got, want := len(j.heads) > asked, off >= due; got != want {
			b.Fatalf("length %d in chunks of %d: at %d judged is %t, want %t", length, chunk, off, got, want)
		}
		if step = chunk; off > due+3 {
			step = length
		}
	}
	b.complete(id)
	b.publish(id)
}

type counter struct {
	io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// boundaries are the sizes at which something in a store may change: heads, buffers, write-back, syncs.
var boundaries = []int64{
	0, 1, 2, 4095, 4096, 4097, 32<<10 - 1, 32 << 10, 32<<10 + 1, 1<<20 - 1, 1 << 20, 1<<20 + 1,
	8<<20 + 1, 32<<20 - 1, 32<<20 + 1,
}

var resumeTests = []test{
	{"an upload broken at random places arrives whole", func(b *bench) {
		j := &spy{}
		b.open(Setup{Judge: j.judge})
		data := noise(33<<20, 7)
		for _, size := range boundaries {
			b.Run(fmt.Sprint(size), func(t *testing.T) {
				in := &bench{T: t, h: b.h, s: b.s}
				in.arrives(data[:size], rand.New(rand.NewPCG(11, uint64(size))), Setup{Judge: j.judge})
				b.s = in.s
			})
		}
	}},
}

// arrives sends data with random portions and interruptions, crashes included, until it is complete.
func (b *bench) arrives(data []byte, random *rand.Rand, setup Setup) {
	length, deferred := int64(len(data)), random.IntN(2) == 0
	id := b.create(map[bool]int64{true: upload.Deferred, false: length}[deferred])
	for {
		off := b.lookup(id).Offset
		if off == length {
			break
		}
		n := min(1+random.Int64N(length), length-off)
		b.sendPart(id, off, data[off:off+n], random)
		if random.IntN(4) == 0 && off+n < length {
			b.reopen(setup, random.IntN(2) == 0)
		}
	}
	if deferred {
		if err := b.s.DeclareLength(id, length); err != nil {
			b.Fatal(err)
		}
	}
	b.complete(id)
	b.publish(id)
	b.content(id, data)
}

// sendPart sends one chunk whose source ends, breaks, or delivers too much.
func (b *bench) sendPart(id upload.ID, off int64, part []byte, random *rand.Rand) {
	b.Helper()
	src := &portions{data: part, random: random}
	n := int64(len(part))
	var want error
	switch random.IntN(4) {
	case 0:
		src.end, want = errSource, errSource
	case 1:
		src.end, want = upload.ErrTooLarge, upload.ErrTooLarge
		n = 0
	}
	got, err := b.s.WriteChunk(id, off, src, upload.Check{})
	if got != n || !errors.Is(err, want) {
		b.Fatalf("write chunk of %d at %d: got %d, %v, want %d, %v", len(part), off, got, err, n, want)
	}
	if at := b.lookup(id).Offset; at != off+n {
		b.Fatalf("offset is %d after %d bytes at %d", at, n, off)
	}
}

// portions is a source that delivers at random, as a network does.
type portions struct {
	data   []byte
	random *rand.Rand
	end    error // nil: io.EOF
}

func (p *portions) Read(buf []byte) (int, error) {
	if len(p.data) == 0 {
		if p.end != nil {
			return 0, p.end
		}
		return 0, io.EOF
	}
	n := len(buf)
	if p.random.IntN(8) > 0 {
		n = 1 + p.random.IntN(len(buf))
	}
	n = copy(buf[:n], p.data)
	p.data = p.data[n:]
	return n, nil
}

var lockTests = []test{
	{"is for one at a time, whose holder is asked to stop", func(b *bench) {
		b.open(Setup{})
		asked := make(chan struct{}, 8)
		unlock, err := b.s.Lock(b.Context(), "need not exist", func() { asked <- struct{}{} })
		if err != nil {
			b.Fatal(err)
		}
		got := make(chan func())
		go func() {
			next, err := b.s.Lock(b.Context(), "need not exist", func() {})
			if err != nil {
				b.Error(err)
			}
			got <- next
		}()
		<-asked
		select {
		case <-got:
			b.Fatal("two hold the lock")
		default:
		}
		unlock()
		(<-got)()
	}},
	{"of one upload is not another's", func(b *bench) {
		b.open(Setup{})
		for _, id := range []upload.ID{"a", "b", "c"} {
			unlock, err := b.s.Lock(b.Context(), id, func() { b.Error("interrupted") })
			if err != nil {
				b.Fatal(err)
			}
			defer unlock()
		}
	}},
}
