package storetest

import (
	"bytes"
	"errors"
	"slices"
	"testing/iotest"

	"sluice/internal/upload"
)

// announce makes an upload of length bytes whose record comes later.
func (b *bench) announce(length int64) upload.ID {
	b.Helper()
	id := upload.NewID()
	if err := b.s.Announce(upload.Record{ID: id, Length: length, Metadata: "a YQ=="}); err != nil {
		b.Fatalf("announce: %v", err)
	}
	return id
}

func (b *bench) confirm(id upload.ID) {
	b.Helper()
	for range 2 { // the second time there is nothing to do
		if err := b.s.Confirm(id); err != nil {
			b.Fatalf("confirm: %v", err)
		}
	}
}

var announceTests = []test{
	{"is an upload like any other once it is confirmed", func(b *bench) {
		for _, crash := range []bool{false, true} {
			if b.s == nil {
				b.open(Setup{})
			}
			id := b.announce(12)
			b.write(id, 0, sample[:5])
			b.confirm(id)
			before := b.lookup(id)
			b.reopen(Setup{}, crash)
			b.same(id, before)
			b.holds(id, sample)
		}
	}},
	{"is confirmed by its change of state", func(b *bench) {
		b.open(Setup{})
		id := b.announce(12)
		b.write(id, 0, sample)
		b.complete(id)
		b.reopen(Setup{}, true)
		b.at(id, upload.Received, 12)
		b.content(id, sample)
	}},
	{"is confirmed by its rejection", func(b *bench) {
		judge := &spy{says: func([]byte) (string, error) { return "", verdict }}
		b.open(Setup{Judge: judge.judge})
		id := b.announce(12)
		b.writeFails(id, 0, bytes.NewReader(sample), 0, verdict)
		b.reopen(Setup{Judge: judge.judge}, true)
		b.at(id, upload.Rejected, 0)
	}},
	{"keeps what arrived before its first chunk was cut", func(b *bench) {
		b.open(Setup{})
		id := b.announce(12)
		b.writeFails(id, 0, iotest.DataErrReader(broken(sample[:5], errSource)), 5, errSource)
		b.confirm(id)
		b.reopen(Setup{}, true)
		b.holds(id, sample)
	}},
	{"is there whole or not at all after a crash that came before it was confirmed", func(b *bench) {
		b.open(Setup{})
		id := b.announce(12)
		b.write(id, 0, sample[:5])
		b.reopen(Setup{}, true)
		if _, err := b.s.Lookup(id); !errors.Is(err, upload.ErrNotFound) {
			b.holds(id, sample)
			return
		}
		if due := b.due(); slices.Contains(due, id) {
			b.Error("it is to be processed")
		}
	}},
	{"leaves a confirmed one alone", func(b *bench) {
		id := b.bring(upload.Ready)
		want := b.lookup(id)
		b.confirm(id)
		b.same(id, want)
		if err := b.s.Confirm("unknown"); !errors.Is(err, upload.ErrNotFound) {
			b.Errorf("unknown: got %v, want %v", err, upload.ErrNotFound)
		}
	}},
	{"is ready when complete where nothing is to be done", func(b *bench) {
		b.open(Setup{Direct: true})
		id, empty := b.announce(12), b.create(0)
		b.write(id, 0, sample)
		for _, id := range []upload.ID{id, empty} {
			if rec, err := b.s.Complete(id); err != nil || rec.State != upload.Ready {
				b.Errorf("complete: got %s, %v, want ready", rec.State, err)
			}
		}
		late := b.create(12)
		b.write(late, 0, sample)
		b.reopen(Setup{Direct: true}, true)
		b.content(id, sample)
		b.content(empty, nil)
		if due := b.due(); !slices.Equal(due, []upload.ID{late}) {
			b.Errorf("due are %q, want the one that nobody completed, %q", due, late)
		}
		b.publish(late)
	}},
	{"a part is not ready by itself", func(b *bench) {
		b.open(Setup{Direct: true})
		part := b.part(12, sample)
		b.at(part, upload.Received, 12)
		b.assembles(b.final(12, part), sample)
	}},
}
