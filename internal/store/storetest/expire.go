package storetest

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing/iotest"
	"time"

	"sluice/internal/upload"
)

const day = 24 * time.Hour

// week is a store whose unfinished uploads live for a week, and whose finished ones stay for a month.
var week = Setup{Variants: []string{"512", "64"}, Lifetime: 7 * day, Retention: 30 * day}

// aged ends the store, makes id older, and opens it again.
func (b *bench) aged(id upload.ID, by time.Duration, setup Setup) {
	b.Helper()
	b.h.Close(b.T, b.s)
	b.s = nil
	b.h.Age(b.T, id, by)
	b.s = b.h.Open(b.T, setup)
}

// gone checks that id is known, and that nothing can be done with it but remove it.
func (b *bench) gone(id upload.ID, state upload.State) {
	b.Helper()
	b.at(id, state, 0)
	b.writeFails(id, 0, strings.NewReader("x"), 0, upload.ErrGone)
	if _, _, err := b.s.Open(id); !errors.Is(err, upload.ErrGone) {
		b.Errorf("open: got %v, want %v", err, upload.ErrGone)
	}
	if err := b.s.DeclareLength(id, 1); !errors.Is(err, upload.ErrGone) {
		b.Errorf("declare length: got %v, want %v", err, upload.ErrGone)
	}
	if _, err := b.s.Publish(id, upload.Outcome{MediaType: "text/plain"}); !errors.Is(err, upload.ErrNotReady) {
		b.Errorf("publish: got %v, want %v", err, upload.ErrNotReady)
	}
}

var expireTests = []test{
	{"comes a lifetime after the last byte", func(b *bench) {
		b.open(week)
		id := b.create(100)
		made := b.lookup(id)
		if got := made.Expires.Sub(made.Created); got < 7*day || got > 7*day+time.Minute {
			b.Errorf("a new upload expires after %s, want a week", got)
		}
		b.aged(id, 3*day, week)
		if got := time.Until(b.lookup(id).Expires); got > 4*day {
			b.Errorf("after three days it has %s left, want four days", got)
		}
		b.write(id, 0, noise(10, 1))
		if got := time.Until(b.lookup(id).Expires); got < 6*day {
			b.Errorf("after another byte it has %s left, want a week", got)
		}
	}},
	{"takes an upload from everybody at once", func(b *bench) {
		b.open(week)
		id := b.create(100)
		b.write(id, 0, noise(10, 1))
		b.aged(id, 7*day+time.Second, week)
		b.gone(id, upload.Expired)
		if err := b.s.Terminate(id); err != nil {
			b.Error(err)
		}
		b.empty(id)
	}},
	{"does not come while bytes do", func(b *bench) {
		b.open(Setup{Lifetime: 300 * time.Millisecond})
		id := b.create(20)
		slow := iotest.OneByteReader(&pausing{io.LimitReader(&counting{}, 20), 40 * time.Millisecond})
		if n, err := b.s.WriteChunk(id, 0, slow, upload.Check{}); n != 20 || err != nil {
			b.Errorf("got %d, %v, want 20, nil", n, err)
		}
	}},
	{"never comes without a lifetime", func(b *bench) {
		b.open(Setup{})
		id, done := b.create(100), b.received(sample)
		b.publish(done)
		b.aged(id, 1000*day, Setup{})
		if rec := b.lookup(id); rec.State != upload.Receiving || !rec.Expires.IsZero() {
			b.Errorf("got %s, expires %s, want receiving, for ever", rec.State, rec.Expires)
		}
		b.aged(done, 1000*day, Setup{})
		b.at(done, upload.Ready, 12)
	}},
	{"comes for what is ready a retention after it was", func(b *bench) {
		b.open(week)
		id := b.received(sample)
		b.publish(id, pictures...)
		b.aged(id, 30*day-time.Minute, week)
		b.at(id, upload.Ready, 12)
		b.content(id, sample)
		b.aged(id, time.Hour, week)
		b.gone(id, upload.Expired)
		if _, _, err := b.s.OpenVariant(id, "64"); !errors.Is(err, upload.ErrGone) {
			b.Errorf("open variant: got %v, want %v", err, upload.ErrGone)
		}
	}},
	{"leaves what is to be processed alone", func(b *bench) {
		b.open(week)
		id := b.received(sample)
		full := b.create(12)
		b.write(full, 0, sample)
		b.aged(id, 100*day, week)
		b.aged(full, 100*day, week)
		b.at(id, upload.Received, 12)
		b.at(full, upload.Received, 12)
		b.publish(id)
	}},
}

// counting gives bytes for ever.
type counting struct{}

func (counting) Read(p []byte) (int, error) { return len(p), nil }

// pausing waits before each read.
type pausing struct {
	io.Reader
	pause time.Duration
}

func (p *pausing) Read(b []byte) (int, error) {
	time.Sleep(p.pause)
	return p.Reader.Read(b)
}

// sweep sweeps and returns what went, in the order of ids.
func (b *bench) sweep(dry bool) (swept []upload.Swept) {
	b.Helper()
	if err := b.s.Sweep(b.Context(), dry, func(one upload.Swept) { swept = append(swept, one) }); err != nil {
		b.Fatalf("sweep: %v", err)
	}
	slices.SortFunc(swept, func(x, y upload.Swept) int { return strings.Compare(string(x.ID), string(y.ID)) })
	return swept
}

// sweeps checks that a sweep takes id for that cause, and nothing else; first that a dry one says so and does nothing.
func (b *bench) sweeps(id upload.ID, cause upload.Cause) {
	b.Helper()
	before := b.h.Left(b.T, id)
	for _, dry := range []bool{true, false} {
		swept := b.sweep(dry)
		if len(swept) != 1 || swept[0].ID != id || swept[0].Cause != cause || swept[0].Bytes == 0 {
			b.Fatalf("swept %+v (dry: %t), want %s as %s", swept, dry, id, cause)
		}
		if dry && !slices.Equal(b.h.Left(b.T, id), before) {
			b.Fatalf("a dry sweep left %q of %q", b.h.Left(b.T, id), before)
		}
	}
	if again := b.sweep(false); len(again) > 0 {
		b.Fatalf("the next sweep takes %+v", again)
	}
}

var sweepTests = []test{
	{"frees an unfinished upload and says so for a week", func(b *bench) {
		b.open(week)
		id := b.create(100)
		b.write(id, 0, noise(10, 1))
		b.aged(id, 8*day, week)
		b.sweeps(id, upload.Unfinished)
		b.gone(id, upload.Expired)
		b.aged(id, 6*day, week)
		b.gone(id, upload.Expired)
		if left := b.h.Left(b.T, id); len(left) != 1 {
			b.Errorf("left are %q, want the record alone", left)
		}
		b.aged(id, 2*day, week)
		b.sweeps(id, upload.Tombstone)
		b.empty(id)
		b.nobody(id)
	}},
	{"frees what was kept for long enough, with its variants", func(b *bench) {
		b.open(week)
		id := b.received(sample)
		b.publish(id, pictures...)
		b.aged(id, 31*day, week)
		b.sweeps(id, upload.Finished)
		b.gone(id, upload.Expired)
		if left := b.h.Left(b.T, id); len(left) != 1 {
			b.Errorf("left are %q, want the record alone", left)
		}
	}},
	{"forgets a rejection after a week", func(b *bench) {
		b.open(week)
		id := b.received(sample)
		b.reject(id)
		b.aged(id, 8*day, week)
		b.sweeps(id, upload.Tombstone)
		b.nobody(id)
	}},
	{"leaves the living alone", func(b *bench) {
		b.open(week)
		var ids []upload.ID
		for _, state := range []upload.State{upload.Receiving, upload.Received, upload.Ready, upload.Rejected} {
			ids = append(ids, b.bringTo(state))
		}
		for _, id := range ids {
			b.aged(id, 5*day, week)
		}
		if swept := b.sweep(false); len(swept) > 0 {
			b.Errorf("swept %+v", swept)
		}
	}},
	{"waits for nobody", func(b *bench) {
		b.open(week)
		id := b.create(100)
		b.aged(id, 8*day, week)
		interrupted := false
		unlock, err := b.s.Lock(b.Context(), id, func() { interrupted = true })
		if err != nil {
			b.Fatal(err)
		}
		if swept := b.sweep(false); len(swept) > 0 || interrupted {
			b.Errorf("swept %+v, interrupted %t", swept, interrupted)
		}
		unlock()
		b.sweeps(id, upload.Unfinished)
	}},
	{"is not stopped by a record that cannot be read", func(b *bench) {
		b.open(week)
		broken, id := b.create(1), b.create(1)
		b.h.Close(b.T, b.s)
		b.h.Tear(b.T, broken)
		b.s = b.h.Open(b.T, week)
		b.aged(id, 8*day, week)
		b.sweeps(id, upload.Unfinished)
	}},
}
