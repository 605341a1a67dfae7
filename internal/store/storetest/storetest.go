// Package storetest is the contract of store.Store as a suite of tests: [Run] holds a backend to it.
//
// It looks only at what the interface shows, and at what the backend's own [Harness] tells about its remains. What is
// particular to one backend (its files, its repair after a power cut) is tested beside that backend.
package storetest

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/store"
	"sluice/internal/upload"
)

// Setup is what a test wants of the store that it opens.
type Setup struct {
	Judge               store.Judge
	Variants            []string
	Reserve             int64 // bytes never promised
	MaxBytes            int64
	Lifetime, Retention time.Duration
	KeepParts           bool
	Direct              bool
	KeepRejected        bool
	Digest              string
}

// Harness is one place where uploads are kept, empty at first, and the means to treat the store on it badly. One store is
// open on it at a time.
type Harness struct {
	// Open opens the store, for the first time or again.
	Open func(t *testing.T, s Setup) store.Store
	// Close stops a store in order.
	Close func(t *testing.T, s store.Store)
	// Crash stops a store as the death of its process would: nothing more is written.
	Crash func(t *testing.T, s store.Store)
	// Tear makes the record of id unreadable, while no store is open.
	Tear func(t *testing.T, id upload.ID)
	// Age puts all that is stored about the times of id back by so much, while no store is open.
	Age func(t *testing.T, id upload.ID, by time.Duration)
	// Free is how many bytes may still be stored.
	Free func(t *testing.T) int64
	// Left names whatever is still kept of id.
	Left func(t *testing.T, id upload.ID) []string
}

// Run holds the stores that open makes to the contract.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for _, part := range []struct {
		name  string
		tests []test
	}{
		{"create", createTests},
		{"announce", announceTests},
		{"lookup", lookupTests},
		{"chunk", chunkTests},
		{"check", checkTests},
		{"judge", judgeTests},
		{"length", lengthTests},
		{"complete", completeTests},
		{"publish", publishTests},
		{"reject", rejectTests},
		{"terminate", terminateTests},
		{"read", readTests},
		{"reopen", reopenTests},
		{"lock", lockTests},
		{"resume", resumeTests},
		{"expire", expireTests},
		{"sweep", sweepTests},
		{"join", joinTests},
		{"promise", promiseTests},
		{"keep", keepTests},
		{"digest", digestTests},
	} {
		t.Run(part.name, func(t *testing.T) {
			for _, tt := range part.tests {
				t.Run(tt.name, func(t *testing.T) { tt.run(&bench{T: t, h: open(t)}) })
			}
		})
	}
}

// test is one sentence of the contract.
type test struct {
	name string
	run  func(b *bench)
}

// bench is what a test works with: a store and short words for what is done to it.
type bench struct {
	*testing.T
	h Harness
	s store.Store // nil until opened
}

// open opens the store and closes it with the test.
func (b *bench) open(setup Setup) {
	b.Helper()
	b.s = b.h.Open(b.T, setup)
	b.Cleanup(func() {
		if b.s != nil {
			b.h.Close(b.T, b.s)
		}
	})
}

// reopen ends the store, in order or by a crash, and opens it again.
func (b *bench) reopen(setup Setup, crash bool) {
	b.Helper()
	end := b.h.Close
	if crash {
		end = b.h.Crash
	}
	end(b.T, b.s)
	b.s = nil
	b.s = b.h.Open(b.T, setup)
}

// create makes an upload of length bytes.
func (b *bench) create(length int64) upload.ID {
	b.Helper()
	id := upload.NewID()
	if err := b.s.Create(upload.Record{ID: id, Length: length}); err != nil {
		b.Fatalf("create: %v", err)
	}
	return id
}

// write adds data at off, and all of it must count.
func (b *bench) write(id upload.ID, off int64, data []byte) {
	b.Helper()
	n, err := b.s.WriteChunk(id, off, bytes.NewReader(data), upload.Check{})
	if n != int64(len(data)) || err != nil {
		b.Fatalf("write chunk at %d: got %d, %v, want %d, nil", off, n, err, len(data))
	}
}

// writeFails adds src at off, which must fail with want after n bytes.
func (b *bench) writeFails(id upload.ID, off int64, src io.Reader, n int64, want error) {
	b.Helper()
	got, err := b.s.WriteChunk(id, off, src, upload.Check{})
	if got != n || !errors.Is(err, want) {
		b.Fatalf("write chunk at %d: got %d, %v, want %d, %v", off, got, err, n, want)
	}
}

func (b *bench) lookup(id upload.ID) upload.Record {
	b.Helper()
	rec, err := b.s.Lookup(id)
	if err != nil {
		b.Fatalf("look up: %v", err)
	}
	return rec
}

// at checks the state and the offset of id.
func (b *bench) at(id upload.ID, state upload.State, offset int64) {
	b.Helper()
	rec := b.lookup(id)
	if rec.State != state || rec.Offset != offset {
		b.Fatalf("upload is %s at %d, want %s at %d", rec.State, rec.Offset, state, offset)
	}
}

// received makes an upload of data that is received.
func (b *bench) received(data []byte) upload.ID {
	b.Helper()
	id := b.create(int64(len(data)))
	b.write(id, 0, data)
	b.complete(id)
	return id
}

func (b *bench) complete(id upload.ID) {
	b.Helper()
	rec, err := b.s.Complete(id)
	if err != nil || rec.State != upload.Received {
		b.Fatalf("complete: got %s, %v, want received", rec.State, err)
	}
}

func (b *bench) publish(id upload.ID, variants ...upload.VariantFile) {
	b.Helper()
	rec, err := b.s.Publish(id, upload.Outcome{MediaType: "text/plain", Variants: variants})
	if err != nil || rec.State != upload.Ready {
		b.Fatalf("publish: got %s, %v, want ready", rec.State, err)
	}
}

func (b *bench) reject(id upload.ID) {
	b.Helper()
	rec, err := b.s.Reject(id, verdict)
	if err != nil || rec.State != upload.Rejected {
		b.Fatalf("reject: got %s, %v, want rejected", rec.State, err)
	}
}

// content checks that id, which is complete, is data.
func (b *bench) content(id upload.ID, data []byte) {
	b.Helper()
	file, _, err := b.s.Open(id)
	if err != nil {
		b.Fatalf("open: %v", err)
	}
	b.reads(file, data)
}

// reads checks that file is data, and closes it.
func (b *bench) reads(file io.ReadCloser, data []byte) {
	b.Helper()
	got, err := io.ReadAll(file)
	if err = errors.Join(err, file.Close()); err != nil {
		b.Fatalf("read: %v", err)
	}
	if !bytes.Equal(got, data) {
		b.Fatalf("content of %d bytes differs from what was sent (%d bytes) at %d", len(got), len(data), differ(got, data))
	}
}

// holds checks that the bytes of id, which is receiving, are the beginning of data, by sending the rest.
func (b *bench) holds(id upload.ID, data []byte) {
	b.Helper()
	b.write(id, b.lookup(id).Offset, data[b.lookup(id).Offset:])
	b.complete(id)
	b.content(id, data)
}

// same checks that id's record is want.
func (b *bench) same(id upload.ID, want upload.Record) {
	b.Helper()
	if diff := cmp.Diff(want, b.lookup(id)); diff != "" {
		b.Fatalf("record (-want +got):\n%s", diff)
	}
}

func (b *bench) empty(id upload.ID) {
	b.Helper()
	if left := b.h.Left(b.T, id); len(left) > 0 {
		b.Fatalf("left of the upload: %q, want nothing", left)
	}
}

func differ(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// verdict is why the tests reject.
var verdict = upload.Reject(upload.CodeUnsupportedType, "This is %s.", "no picture")

// noise is n bytes that are the same for the same seed.
func noise(n int64, seed uint64) []byte {
	data := make([]byte, n)
	var key [32]byte
	key[0] = byte(seed)
	rand.NewChaCha8(key).Read(data)
	return data
}

// broken is data and then err.
func broken(data []byte, err error) io.Reader {
	return io.MultiReader(bytes.NewReader(data), failing{err})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

var errSource = errors.New("source broke")

// spy is a judge that remembers what it was shown.
type spy struct {
	says func(head []byte) (string, error) // nil: everything is text

	mu    sync.Mutex
	heads [][]byte
}

func (s *spy) judge(head []byte) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heads = append(s.heads, bytes.Clone(head))
	if s.says == nil {
		return "text/plain", nil
	}
	return s.says(head)
}

// saw checks that the judge was asked once for each of heads, in order, and never else.
func (s *spy) saw(b *bench, heads ...[]byte) {
	b.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.heads) != len(heads) {
		b.Fatalf("judge was asked %d times, want %d", len(s.heads), len(heads))
	}
	for i := range heads {
		if !bytes.Equal(s.heads[i], heads[i]) {
			b.Fatalf("judge was shown %d bytes the %d. time, want %d others", len(s.heads[i]), i+1, len(heads[i]))
		}
	}
}
