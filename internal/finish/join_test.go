package finish

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"sluice/internal/store"
	"sluice/internal/upload"
)

// part stores the first n bytes of content as a partial upload of all of it.
func part(t *testing.T, files *store.File, content string, n int) upload.ID {
	t.Helper()
	rec := upload.Record{ID: upload.NewID(), Length: int64(len(content)), Partial: true, Concat: "partial"}
	if err := files.Create(rec); err != nil {
		t.Fatal(err)
	}
	addRest(t, files, rec.ID, content[:n])
	return rec.ID
}

// addRest adds content to a part, and completes it if that was all.
func addRest(t *testing.T, files *store.File, id upload.ID, content string) {
	t.Helper()
	rec, err := files.Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := files.WriteChunk(id, rec.Offset, strings.NewReader(content), upload.Check{}); err != nil {
		t.Fatal(err)
	}
	if rec.Offset+int64(len(content)) < rec.Length {
		return
	}
	if _, err := files.Complete(id); err != nil {
		t.Fatal(err)
	}
}

func final(t *testing.T, files *store.File, parts ...upload.ID) upload.Record {
	t.Helper()
	rec := upload.Record{ID: upload.NewID(), Length: upload.Deferred, Final: true, Parts: parts, Concat: "final;"}
	if err := files.Create(rec); err != nil {
		t.Fatal(err)
	}
	rec, err := files.Lookup(rec.ID)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestPartsBecomeOnePicture(t *testing.T) {
	p := profile(t, "avatar")
	files := openStore(t, p)
	pl := pipeline(t, p, files, 1<<30)
	whole := picture(t, 100, 100)
	one, two := part(t, files, whole[:300], 300), part(t, files, whole[300:], 0)
	rec := final(t, files, one, two)
	if got, err := pl.Join(t.Context(), rec); err != nil || got.State != upload.Receiving {
		t.Errorf("without its second part it is %s, %v", got.State, err)
	}
	addRest(t, files, two, whole[300:])
	if got, err := pl.Join(t.Context(), rec); err != nil || got.State != upload.Ready || len(got.Variants) != 6 {
		t.Errorf("it is %s with %d variants, %v", got.State, len(got.Variants), err)
	}
}

func TestPartsThatAreNoPictureTogetherAreRejected(t *testing.T) {
	p := profile(t, "avatar")
	files := openStore(t, p)
	got, err := pipeline(t, p, files, 1<<30).Join(t.Context(), final(t, files, part(t, files, "no picture", 10)))
	if err != nil || got.State != upload.Rejected || got.Reason.Code != upload.CodeUnsupportedType {
		t.Errorf("got %+v, %v", got, err)
	}
}

// late is a store that, once, has found a part unfinished and has not said so yet.
type late struct {
	Store
	once   atomic.Bool
	found  chan struct{}
	answer chan struct{}
}

func (l *late) Assemble(ctx context.Context, id upload.ID) (upload.Record, error) {
	rec, err := l.Store.Assemble(ctx, id)
	if errors.Is(err, upload.ErrNotReady) && l.once.CompareAndSwap(false, true) {
		close(l.found)
		<-l.answer
	}
	return rec, err
}

// The last part is completed when the work on its final has looked at it already, and is not over.
func TestLastPartIsNotMissed(t *testing.T) {
	p := profile(t, "file")
	files := openStore(t, p)
	window := &late{Store: files, found: make(chan struct{}), answer: make(chan struct{})}
	pl := pipeline(t, p, window, 1)
	last := part(t, files, "hello", 2)
	rec := final(t, files, last)
	pl.Resume(rec)
	<-window.found
	addRest(t, files, last, "llo")
	settled := make(chan upload.Record)
	go func() {
		got, err := pl.Join(t.Context(), rec)
		if err != nil {
			t.Error(err)
		}
		settled <- got
	}()
	for { // until it has asked
		pl.mu.Lock()
		job := pl.jobs[jobKey{rec.Profile, rec.ID}]
		asked := job != nil && job.asked
		pl.mu.Unlock()
		if asked {
			break
		}
	}
	close(window.answer)
	if got := <-settled; got.State != upload.Ready {
		t.Errorf("it is %s, want ready", got.State)
	}
}

func TestRecoverAssemblesWhatCanBeAndSaysWhenItIsDone(t *testing.T) {
	p := profile(t, "file")
	files := openStore(t, p)
	done := final(t, files, part(t, files, "hello", 5))
	waits := final(t, files, part(t, files, "hello", 2))
	<-pipeline(t, p, files, 1).Recover()
	for id, want := range map[upload.ID]upload.State{done.ID: upload.Ready, waits.ID: upload.Receiving} {
		if got, err := files.Lookup(id); err != nil || got.State != want {
			t.Errorf("it is %s, %v, want %s", got.State, err, want)
		}
	}
}
