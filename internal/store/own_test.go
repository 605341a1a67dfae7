package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/store"
	"sluice/internal/upload"
)

// publishOf makes a ready upload of an owner.
func publishOf(t *testing.T, f *store.File, id upload.ID, owner upload.Owner) {
	t.Helper()
	receiveOf(t, f, id, owner)
	_, err := f.Publish(id, upload.Outcome{})
	must(t, err)
}

func receiveOf(t *testing.T, f *store.File, id upload.ID, owner upload.Owner) {
	t.Helper()
	must(t, f.Create(upload.Record{ID: id, Owner: owner, Length: 5}), fill(f, id, "hello"))
}

// states are the states of uploads.
func states(t *testing.T, f *store.File, ids ...upload.ID) (states []upload.State) {
	t.Helper()
	for _, id := range ids {
		rec, err := f.Lookup(id)
		must(t, err)
		states = append(states, rec.State)
	}
	return states
}

func TestANewerUploadOfAnOwnerTakesThePlaceOfTheOldest(t *testing.T) {
	for _, c := range []struct {
		keep int
		want []upload.State
	}{{0, []upload.State{upload.Ready, upload.Ready, upload.Ready}}, {1, []upload.State{upload.Expired, upload.Expired, upload.Ready}}, {2, []upload.State{upload.Expired, upload.Ready, upload.Ready}}} {
		f := openFile(t, t.TempDir(), store.Options{Durable: true, PerOwner: c.keep})
		for _, id := range []upload.ID{"a", "b", "c"} {
			publishOf(t, f, id, "me")
			publishOf(t, f, "other-"+id, upload.Owner("them-"+id))
			publishOf(t, f, "nobody-"+id, "")
		}
		if diff := cmp.Diff(c.want, states(t, f, "a", "b", "c")); diff != "" {
			t.Errorf("%d kept: -want +got\n%s", c.keep, diff)
		}
		if diff := cmp.Diff([]upload.State{upload.Ready, upload.Ready, upload.Ready, upload.Ready}, states(t, f, "other-a", "other-c", "nobody-a", "nobody-c")); diff != "" {
			t.Errorf("others': -want +got\n%s", diff)
		}
		must(t, f.Close())
	}
}

func TestTheNewestIsTheOneThatWasMadeLast(t *testing.T) {
	f := openFile(t, t.TempDir(), store.Options{PerOwner: 1})
	defer f.Close()
	receiveOf(t, f, "old", "me")
	time.Sleep(time.Millisecond) // the time of creation has no more digits
	publishOf(t, f, "new", "me")
	_, err := f.Publish("old", upload.Outcome{}) // its processing took longer
	must(t, err)
	if diff := cmp.Diff([]upload.State{upload.Expired, upload.Ready}, states(t, f, "old", "new")); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestReplacingGoesOnAfterACrash(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, dir, store.Options{}) // keeps all
	publishOf(t, f, "a", "me")
	time.Sleep(time.Millisecond) // the time of creation has no more digits
	publishOf(t, f, "b", "me")
	must(t, f.Terminate("b"))
	time.Sleep(time.Millisecond) // the time of creation has no more digits
	publishOf(t, f, "c", "me")
	must(t, f.Crash())
	f = openFile(t, dir, store.Options{PerOwner: 1})
	defer f.Close()
	must(t, f.Due(t.Context(), func(upload.Record) bool { return true }))
	if diff := cmp.Diff([]upload.State{upload.Expired, upload.Ready}, states(t, f, "a", "c")); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	must(t, f.Terminate("c"))
	publishOf(t, f, "d", "me") // what is gone does not count
	if diff := cmp.Diff([]upload.State{upload.Ready}, states(t, f, "d")); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestWhatIsReplacedWhileItIsReadIsReadToItsEnd(t *testing.T) {
	f := openFile(t, t.TempDir(), store.Options{PerOwner: 1})
	defer f.Close()
	publishOf(t, f, "a", "me")
	file, _, err := f.Open("a")
	must(t, err)
	defer file.Close()
	time.Sleep(time.Millisecond) // the time of creation has no more digits
	publishOf(t, f, "b", "me")
	var b [5]byte
	if _, err := file.Read(b[:]); err != nil || string(b[:]) != "hello" {
		t.Errorf("got %q, %v", b, err)
	}
	if _, _, err := f.Open("a"); !errors.Is(err, upload.ErrExpired) {
		t.Errorf("got %v", err)
	}
}
