package store

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sluice/internal/durable"
	"sluice/internal/upload"
)

func newTestFile(t *testing.T) *File {
	t.Helper()
	root, err := durable.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return newFile(root, Options{Flat: true, Profile: "test", Metrics: NewMetrics(), Logger: slog.New(slog.DiscardHandler)})
}

func TestOnlySoManyRecordsAreKeptInMemory(t *testing.T) {
	f := newTestFile(t)
	for i := range 3 {
		id := upload.ID(fmt.Sprint("pinned", i))
		if err := f.Create(upload.Record{ID: id, Length: 9}); err != nil {
			t.Fatal(err)
		}
		f.pin(id)
	}
	for i := range maxCached + 100 {
		id := upload.ID(fmt.Sprint(i))
		f.entries[id] = &entry{id: id, loaded: true, refs: i % 2}
	}
	if _, err := f.Lookup("pinned0"); err != nil {
		t.Fatal(err)
	}
	if len(f.entries) <= maxCached {
		t.Errorf("the use of a pinned entry forgot others")
	}
	if err := f.Create(upload.Record{ID: "last", Length: 1}); err != nil {
		t.Fatal(err)
	}
	if len(f.entries) > maxCached {
		t.Errorf("%d entries are kept, want at most %d", len(f.entries), maxCached)
	}
	used := 0
	for _, e := range f.entries {
		if e.refs > 0 {
			used++
		}
	}
	if want := 3 + maxCached/2 + 50; used != want {
		t.Errorf("%d entries in use are kept, want %d", used, want)
	}
}

func TestWhatIsForgottenIsReadAgain(t *testing.T) {
	f := newTestFile(t)
	if err := f.Create(upload.Record{ID: "x", Length: 9}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteChunk("x", 0, strings.NewReader("five!"), upload.Check{}); err != nil {
		t.Fatal(err)
	}
	want, err := f.Lookup("x")
	if err != nil {
		t.Fatal(err)
	}
	clear(f.entries)
	if got, err := f.Lookup("x"); err != nil || got.Offset != want.Offset || got.Profile != want.Profile || !got.Changed.Equal(want.Changed) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestNothingIsKeptOfUploadsThatAreNotThere(t *testing.T) {
	f := newTestFile(t)
	f.Lookup("x")
	f.Terminate("x")
	f.WriteChunk("x", 0, strings.NewReader(""), upload.Check{})
	if err := f.Create(upload.Record{ID: "y", Length: 1 << 60}); err == nil {
		t.Error("there is room for an exbibyte")
	}
	if err := f.Create(upload.Record{ID: "z"}); err != nil {
		t.Fatal(err)
	}
	if err := f.Terminate("z"); err != nil {
		t.Fatal(err)
	}
	if len(f.entries) > 0 {
		t.Errorf("%d entries are kept, want 0", len(f.entries))
	}
}

// The first to give an entry up found nothing in it; the last has made the upload meanwhile.
func TestAnEntryThatBecameUsefulIsKept(t *testing.T) {
	f := newTestFile(t)
	e := f.pin("x") // somebody who looked up what was not there
	if err := f.Create(upload.Record{ID: "x", Length: 1}); err != nil {
		t.Fatal(err)
	}
	f.unpin(e)
	if f.entries["x"] != e {
		t.Error("the entry is forgotten")
	}
}

func TestATerminatedUploadStaysGoneWhileSomebodyHasItsEntry(t *testing.T) {
	f := newTestFile(t)
	if err := f.Create(upload.Record{ID: "x", Length: 1}); err != nil {
		t.Fatal(err)
	}
	e := f.pin("x")
	if err := f.Terminate("x"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Lookup("x"); !errors.Is(err, upload.ErrNotFound) {
		t.Errorf("look up: got %v, want %v", err, upload.ErrNotFound)
	}
	if err := f.Create(upload.Record{ID: "x", Length: 1}); !errors.Is(err, upload.ErrExists) {
		t.Errorf("create: got %v, want %v", err, upload.ErrExists)
	}
	f.unpin(e)
	if err := f.Create(upload.Record{ID: "x", Length: 1}); err != nil {
		t.Errorf("create, when nobody has it any more: %v", err)
	}
}

// Many do everything to a few uploads at once, each under its lock where the contract says so; records are forgotten now
// and then. Nobody may see an error that the contract does not know.
func TestManyAtOnceOnFewUploads(t *testing.T) {
	f := newTestFile(t)
	var all sync.WaitGroup
	for seed := range uint64(8) {
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, 2))
			for range 150 {
				id := upload.ID(fmt.Sprint("u", random.IntN(3)))
				if err := f.something(t, id, random); err != nil && !known(err) {
					t.Errorf("%s: %v", id, err)
				}
			}
		})
	}
	all.Wait()
	for id, e := range f.entries {
		if e.refs != 0 {
			t.Errorf("%d still have the entry of %s", e.refs, id)
		}
	}
	if len(f.held) > 0 {
		t.Errorf("%d locks are kept, want 0", len(f.held))
	}
	if left, err := filepath.Glob("*.tmp"); err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}

const tale = "a tale of twenty-one."

// something does one thing to id.
func (f *File) something(t *testing.T, id upload.ID, random *rand.Rand) error {
	switch random.IntN(8) {
	case 0:
		f.mu.Lock()
		for other, e := range f.entries {
			if e.refs == 0 {
				delete(f.entries, other)
			}
		}
		f.mu.Unlock()
		return nil
	case 1:
		return f.Create(upload.Record{ID: id, Length: int64(len(tale))})
	case 2:
		_, err := f.Publish(id, upload.Outcome{MediaType: "text/plain"})
		return err
	case 3:
		return f.readTale(id)
	}
	unlock, err := f.Lock(t.Context(), id, func() {})
	if err != nil {
		return err
	}
	defer unlock()
	rec, err := f.Lookup(id)
	if err != nil {
		return err
	}
	if random.IntN(5) == 0 {
		return f.Terminate(id)
	}
	if rec.State != upload.Receiving {
		return nil
	}
	n := rec.Offset + random.Int64N(int64(len(tale))-rec.Offset+1)
	if wrote, err := f.WriteChunk(id, rec.Offset, strings.NewReader(tale[rec.Offset:n]), upload.Check{}); err != nil || wrote != n-rec.Offset {
		return fmt.Errorf("wrote %d of %d: %w", wrote, n-rec.Offset, err)
	}
	if n < int64(len(tale)) {
		return nil
	}
	_, err = f.Complete(id)
	return err
}

func (f *File) readTale(id upload.ID) error {
	file, _, err := f.Open(id)
	if err != nil {
		return err
	}
	defer file.Close()
	got, err := io.ReadAll(file)
	if err == nil && string(got) != tale {
		err = fmt.Errorf("content is %q", got)
	}
	return err
}

func known(err error) bool {
	return errors.Is(err, upload.ErrNotFound) || errors.Is(err, upload.ErrExists) || errors.Is(err, upload.ErrNotReady)
}
