package events_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/internal/durable/faultfs"
	"sluice/internal/events"
	"sluice/internal/upload"
)

// crash ends an outbox as the death of its process does: nothing of it reaches the disk any more.
func crash(t *testing.T, b *events.Outbox, fsys *faultfs.FS) {
	t.Helper()
	fsys.Fail(func(faultfs.Op) (faultfs.How, error) { return faultfs.Killed, faultfs.ErrInjected })
	if err := b.Close(); err == nil {
		t.Error("a dead process has come to a clean end")
	}
	fsys.Fail(nil)
}

// reconcile has all uploads looked at, and returns since when.
func reconcile(t *testing.T, b *events.Outbox, all ...upload.Record) (since time.Time) {
	t.Helper()
	err := b.Reconcile(t.Context(), func(_ context.Context, at time.Time, do func(upload.Record) error) error {
		since = at
		for _, rec := range all {
			if err := do(rec); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return since
}

// now is a record of an upload that changed in this moment.
func now(id upload.ID, state upload.State) upload.Record {
	rec := record(id, state)
	rec.Created = time.Now().UTC().Truncate(time.Millisecond)
	rec.Changed = rec.Created
	return rec
}

func TestWhatACrashKeptFromBeingRecordedIsRecordedLater(t *testing.T) {
	e, fsys := newEndpoint(t, nil), faultfs.New(newDir(t))
	o := options(fsys, e.configured())
	b := open(t, o)
	if since := reconcile(t, b, record("before", upload.Ready)); !since.IsZero() {
		t.Error("events lack though there were none")
	}
	told := now("told", upload.Received)
	for _, ev := range upload.EventsOf(told) {
		if err := b.Record(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
	crash(t, b, fsys)

	b = open(t, o)
	if lacking := b.Missing(told); len(lacking) > 0 {
		t.Errorf("%d events are in the log and count as missing", len(lacking))
	}
	old := record("old", upload.Ready)
	since := reconcile(t, b, told, now("untold", upload.Ready), old)
	if since.IsZero() || !since.After(old.Changed) {
		t.Errorf("changes are looked at since %v", since)
	}
	if _, behind := b.Behind(); behind {
		t.Error("there is still something to do")
	}
	checkOrder(t, e.awaitEvents(t, 5))
	tell(t, b, "last", upload.EventCreated)
	taken := e.awaitEvents(t, 6)
	if len(taken) != 6 || taken[5].Data.ID != "last" {
		t.Errorf("got %s", brief(taken))
	}
}

func TestAReconciliationThatWasCutShortIsDueAgain(t *testing.T) {
	e, fsys := newEndpoint(t, nil), faultfs.New(newDir(t))
	o := options(fsys, e.configured())
	o.Window = time.Millisecond // so that the time of the newest event would forget the crash
	b := open(t, o)
	tell(t, b, "u", upload.EventCreated)
	untold := now("untold", upload.Received)
	crash(t, b, fsys)

	b = open(t, o)
	if err := b.Reconcile(t.Context(), func(context.Context, time.Time, func(upload.Record) error) error { return errors.New("cut") }); err == nil {
		t.Error("it was cut short")
	}
	time.Sleep(5 * time.Millisecond) // Window passes, by the real clock
	tell(t, b, "v", upload.EventCreated)
	e.awaitEvents(t, 2)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = open(t, o)
	reconcile(t, b, untold)
	if got := brief(e.awaitEvents(t, 4)[2:]); got != "untold created, untold received" {
		t.Errorf("got %s", got)
	}
}

func TestWhatAFullDiskDidNotTakeIsFoundAgain(t *testing.T) {
	e, fsys := newEndpoint(t, nil), faultfs.New(newDir(t))
	o := options(fsys, e.configured())
	b := open(t, o)
	full := func(faultfs.Op) (faultfs.How, error) { return faultfs.Refused, syscall.ENOSPC }
	fsys.Fail(full)
	rec := now("u", upload.Receiving)
	rec.Metadata = "m " + string(make([]byte, 0)) // no value
	for n := 0; ; n++ {
		if _, behind := b.Behind(); behind {
			break
		}
		if n > 100_000 {
			t.Fatal("all of it is kept in memory")
		}
		if err := recordWithParts(b, rec, 2000); !errors.Is(err, upload.ErrInsufficientStorage) {
			t.Fatalf("got %v", err)
		}
	}
	fsys.Fail(nil)
	lost := now("lost", upload.Receiving)
	reconcile(t, b, lost)
	e.await(t, "event that was found", func() bool {
		for _, g := range e.taken() {
			if g.Data.ID == "lost" {
				return true
			}
		}
		return false
	})
}

// recordWithParts records a large event.
func recordWithParts(b *events.Outbox, rec upload.Record, n int) error {
	for range n {
		rec.Parts = append(rec.Parts, "0123456789abcdef0123456789abcdef")
	}
	return b.Record(context.Background(), upload.NewEvent(upload.EventCreated, rec))
}

func TestTheEventsOfAStateAreThoseThatLedToIt(t *testing.T) {
	for state, want := range map[upload.State][]upload.EventType{
		upload.Receiving: {upload.EventCreated}, upload.Received: life[:2], upload.Ready: life,
		upload.Rejected:   {upload.EventCreated, upload.EventRejected},
		upload.Expired:    {upload.EventCreated, upload.EventExpired},
		upload.Terminated: {upload.EventCreated, upload.EventTerminated},
	} {
		var got []upload.EventType
		for _, ev := range upload.EventsOf(record("u", state)) {
			got = append(got, ev.Type)
			if was := stateAt(ev.Type); ev.Record.State != was {
				t.Errorf("%s says %s, want %s", ev.Type, ev.Record.State, was)
			}
			if again := upload.NewEvent(ev.Type, record("u", "")); again.ID() != ev.ID() || len(ev.ID()) < 20 {
				t.Errorf("got the ids %q and %q", ev.ID(), again.ID())
			}
			if other := upload.NewEvent(ev.Type, record("v", "")); other.ID() == ev.ID() {
				t.Errorf("two uploads have the id %q", ev.ID())
			}
		}
		if len(got) != len(want) || got[len(got)-1] != want[len(want)-1] {
			t.Errorf("%s: got %q, want %q", state, got, want)
		}
	}
}

// stateAt is the state that an upload has come to when typ is told.
func stateAt(typ upload.EventType) upload.State {
	if typ == upload.EventCreated {
		return upload.Receiving
	}
	return upload.State(strings.TrimPrefix(string(typ), "upload."))
}
