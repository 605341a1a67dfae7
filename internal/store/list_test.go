package store_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/store"
	"sluice/internal/upload"
)

// What a list says of an upload is what a look at it alone says, whether it is in memory or not.
func TestAListSaysWhatALookSays(t *testing.T) {
	dir := t.TempDir()
	o := store.Options{Variants: []string{"64"}, Lifetime: time.Hour}
	f := openFile(t, dir, o)
	begun, done, late, deferred := upload.NewID(), upload.NewID(), upload.NewID(), upload.NewID()
	for id, length := range map[upload.ID]int64{begun: 10, done: 4, late: 10, deferred: upload.Deferred} {
		if err := f.Create(upload.Record{ID: id, Length: length, Owner: "ada", Metadata: "filename YQ=="}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteChunk(id, 0, bytes.NewReader([]byte("four")), upload.Check{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Complete(done); err != nil {
		t.Fatal(err)
	}
	inMemory := listOf(t, f)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	age(t, append(namesOf(t, dir, late), filepath.Join(dir, ".sluice", "mark.json")), 2*time.Hour)

	f = openFile(t, dir, o)
	defer f.Close()
	onDisk := listOf(t, f)
	for _, id := range []upload.ID{begun, done, late, deferred} {
		want, err := f.Lookup(id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, onDisk[id]); diff != "" {
			t.Errorf("%s (-look +list from the disk):\n%s", id, diff)
		}
		if got := inMemory[id]; got.Offset != 4 || got.State == upload.Expired || got.Owner != "ada" {
			t.Errorf("list from memory: got %+v, want four bytes", got)
		}
	}
	if onDisk[late].State != upload.Expired || onDisk[done].State != upload.Received {
		t.Errorf("got %+v and %+v, want one expired and one received", onDisk[late], onDisk[done])
	}
}

func listOf(t *testing.T, f *store.File) map[upload.ID]upload.Record {
	t.Helper()
	listed := make(map[upload.ID]upload.Record)
	err := f.List(t.Context(), func(rec upload.Record) error {
		listed[rec.ID] = rec
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return listed
}

func TestAListHasWhatCannotBeReadAndNotWhatIsNone(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, dir, store.Options{Flat: true})
	defer f.Close()
	torn, empty := upload.NewID(), upload.NewID()
	writeFile(t, filepath.Join(dir, string(torn)+".info"), "{")
	writeFile(t, filepath.Join(dir, string(empty)+".info"), "")
	writeFile(t, filepath.Join(dir, "notes.txt"), "not an upload")
	want := map[upload.ID]upload.Record{torn: {ID: torn, Profile: "test", State: upload.Unreadable}}
	if diff := cmp.Diff(want, listOf(t, f)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAListEndsWhenItsReaderDoes(t *testing.T) {
	f := openFile(t, t.TempDir(), store.Options{Flat: true})
	defer f.Close()
	for range 3 {
		if err := f.Create(upload.Record{ID: upload.NewID(), Length: 1}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen, enough := 0, errors.New("enough")
	err := f.List(ctx, func(upload.Record) error { seen++; return enough })
	if !errors.Is(err, enough) || seen != 1 {
		t.Errorf("got %v after %d, want %v after the first", err, seen, enough)
	}
	err = f.List(ctx, func(upload.Record) error { seen++; cancel(); return nil })
	if !errors.Is(err, context.Canceled) || seen != 2 {
		t.Errorf("got %v after %d more, want %v after one", err, seen-1, context.Canceled)
	}
}
