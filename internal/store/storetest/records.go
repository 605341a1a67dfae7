package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/upload"
)

var createTests = []test{
	{"makes a receiving upload of what it was given", func(b *bench) {
		b.open(Setup{})
		for _, want := range []upload.Record{
			{ID: "a", Length: 0},
			{ID: "0123456789abcdef", Length: 1},
			{ID: upload.NewID(), Length: upload.Deferred},
			{ID: "-_-", Length: 3, Owner: "somebody <s@example.org>", Metadata: "filename eA==,is_secret , b ZGQ="},
			{ID: upload.ID(strings.Repeat("x", 128)), Length: 7, Metadata: `odd "quotes" \u0000 <&> kept`},
		} {
			if err := b.s.Create(want); err != nil {
				b.Fatalf("create %s: %v", want.ID, err)
			}
			got := b.lookup(want.ID)
			if got.Profile == "" || got.Created.IsZero() || !got.Changed.Equal(got.Created) {
				b.Errorf("got profile %q, created %s, changed %s", got.Profile, got.Created, got.Changed)
			}
			want.State, want.Profile, want.Created, want.Changed = upload.Receiving, got.Profile, got.Created, got.Changed
			b.same(want.ID, want)
		}
	}},
	{"ignores a state and an offset that it is given", func(b *bench) {
		b.open(Setup{})
		if err := b.s.Create(upload.Record{ID: "x", Length: 9, Offset: 9, State: upload.Ready}); err != nil {
			b.Fatal(err)
		}
		b.at("x", upload.Receiving, 0)
	}},
	inEveryState("refuses an id that is there and changes nothing", func(b *bench, state upload.State, id upload.ID) {
		before, beforeErr := b.s.Lookup(id)
		if err := b.s.Create(upload.Record{ID: id, Length: 1}); !errors.Is(err, upload.ErrExists) {
			b.Fatalf("got %v, want %v", err, upload.ErrExists)
		}
		after, afterErr := b.s.Lookup(id)
		if diff := cmp.Diff(before, after); diff != "" || !errors.Is(afterErr, beforeErr) && state != torn {
			b.Errorf("record (-before +after): %v\n%s", afterErr, diff)
		}
	}),
	{"one of many at once wins", func(b *bench) {
		b.open(Setup{})
		errs := make(chan error)
		for range 8 {
			go func() { errs <- b.s.Create(upload.Record{ID: "x", Length: 1}) }()
		}
		made := 0
		for range 8 {
			switch err := <-errs; {
			case err == nil:
				made++
			case !errors.Is(err, upload.ErrExists):
				b.Errorf("got %v, want %v", err, upload.ErrExists)
			}
		}
		if made != 1 {
			b.Errorf("%d creations succeeded, want 1", made)
		}
	}},
	{"without room leaves nothing", func(b *bench) {
		b.open(Setup{})
		if err := b.s.Create(upload.Record{ID: "x", Length: 1 << 60}); !errors.Is(err, upload.ErrInsufficientStorage) {
			b.Fatalf("got %v, want %v", err, upload.ErrInsufficientStorage)
		}
		b.nobody("x")
	}},
	{"keeps the reserve", func(b *bench) {
		b.open(Setup{Reserve: 1 << 60})
		for _, length := range []int64{0, 1, upload.Deferred} {
			if err := b.s.Create(upload.Record{ID: "x", Length: length}); !errors.Is(err, upload.ErrInsufficientStorage) {
				b.Errorf("length %d: got %v, want %v", length, err, upload.ErrInsufficientStorage)
			}
		}
		if err := b.s.Check(); !errors.Is(err, upload.ErrInsufficientStorage) {
			b.Errorf("check: got %v, want %v", err, upload.ErrInsufficientStorage)
		}
	}},
	{"check finds room", func(b *bench) {
		b.open(Setup{})
		if err := b.s.Check(); err != nil {
			b.Error(err)
		}
	}},
}

var lookupTests = []test{
	{"an unknown id is not found by any call", func(b *bench) {
		b.open(Setup{})
		b.nobody("unknown")
	}},
	{"an unreadable record is unreadable by every call", func(b *bench) {
		b.fails(b.bring(torn), upload.ErrUnreadable)
	}},
	{"follows the offset", func(b *bench) {
		b.open(Setup{})
		id := b.create(3)
		for i := range int64(3) {
			b.at(id, upload.Receiving, i)
			b.write(id, i, []byte{'x'})
		}
		b.at(id, upload.Receiving, 3)
	}},
	{"hands out copies", func(b *bench) {
		id := b.bring(upload.Ready)
		want := b.lookup(id)
		rec := b.lookup(id)
		rec.State, rec.Metadata = upload.Rejected, "changed"
		b.same(id, want)
	}},
}

var lengthTests = []test{
	{"is declared once", func(b *bench) {
		b.open(Setup{})
		id := b.create(upload.Deferred)
		b.write(id, 0, []byte("abc"))
		if err := b.s.DeclareLength(id, 5); err != nil {
			b.Fatal(err)
		}
		for _, length := range []int64{4, 5, 6, upload.Deferred} {
			if err := b.s.DeclareLength(id, length); err == nil {
				b.Errorf("declared %d after 5, want an error", length)
			}
		}
		if got := b.lookup(id).Length; got != 5 {
			b.Errorf("length is %d, want 5", got)
		}
		b.holds(id, []byte("abcde"))
	}},
	{"may be what is there", func(b *bench) {
		b.open(Setup{})
		id := b.create(upload.Deferred)
		b.write(id, 0, []byte("abc"))
		if err := b.s.DeclareLength(id, 3); err != nil {
			b.Fatal(err)
		}
		b.holds(id, []byte("abc"))
	}},
	{"may not be less than is there", func(b *bench) {
		b.open(Setup{})
		id := b.create(upload.Deferred)
		b.write(id, 0, []byte("abc"))
		for _, length := range []int64{2, 0, -1, -2} {
			if err := b.s.DeclareLength(id, length); !errors.Is(err, upload.ErrTooLarge) {
				b.Errorf("declared %d: got %v, want %v", length, err, upload.ErrTooLarge)
			}
		}
		if got := b.lookup(id).Length; got != upload.Deferred {
			b.Errorf("length is %d, want deferred", got)
		}
	}},
	{"needs room", func(b *bench) {
		b.open(Setup{})
		id := b.create(upload.Deferred)
		if err := b.s.DeclareLength(id, 1<<60); !errors.Is(err, upload.ErrInsufficientStorage) {
			b.Errorf("got %v, want %v", err, upload.ErrInsufficientStorage)
		}
	}},
	{"is not declared for a rejected upload", func(b *bench) {
		b.open(Setup{})
		id := b.create(upload.Deferred)
		b.reject(id)
		if err := b.s.DeclareLength(id, 3); !errors.Is(err, upload.ErrGone) {
			b.Errorf("got %v, want %v", err, upload.ErrGone)
		}
	}},
	{"survives a crash", func(b *bench) {
		b.open(Setup{})
		id := b.create(upload.Deferred)
		if err := b.s.DeclareLength(id, 5); err != nil {
			b.Fatal(err)
		}
		b.reopen(Setup{}, true)
		b.holds(id, []byte("abcde"))
	}},
}

// reopenTests compare what is known before and after, in order and by a crash.
var reopenTests = []test{
	reopened("after a close", false),
	reopened("after a crash", true),
	{"an upload whose last byte was stored before a crash is received", func(b *bench) {
		b.open(Setup{})
		id := b.create(3)
		b.write(id, 0, []byte("abc"))
		b.reopen(Setup{}, true)
		b.at(id, upload.Received, 3)
		if got := b.listReceived(); !slices.Equal(got, []upload.ID{id}) {
			b.Errorf("received are %v, want %v", got, id)
		}
		b.complete(id)
		b.publish(id)
		b.content(id, []byte("abc"))
	}},
	{"a rejected upload of unknown length stands at 0", func(b *bench) {
		b.open(Setup{})
		id := b.create(upload.Deferred)
		b.write(id, 0, []byte("abc"))
		b.reject(id)
		want := b.lookup(id)
		if want.Offset != 0 {
			b.Errorf("offset is %d, want 0: there are no bytes", want.Offset)
		}
		b.reopen(Setup{}, true)
		b.same(id, want)
	}},
	{"a torn record is no obstacle", func(b *bench) {
		b.bring(torn)
		id := b.received(sample)
		b.content(id, sample)
	}},
}

func reopened(name string, crash bool) test {
	return test{name + " records and bytes are the same", func(b *bench) {
		b.open(pictureSetup)
		before := make(map[upload.ID]upload.Record)
		for i, state := range everyState[:4] {
			id := b.bringTo(state)
			before[id] = b.lookup(id)
			odd := upload.ID(fmt.Sprintf("odd-%d", i))
			if err := b.s.Create(upload.Record{ID: odd, Length: upload.Deferred, Owner: "me", Metadata: "b eA==,a ,c eQ=="}); err != nil {
				b.Fatal(err)
			}
			before[odd] = b.lookup(odd)
		}
		b.reopen(pictureSetup, crash)
		for id, want := range before {
			b.same(id, want)
			switch want.State {
			case upload.Ready, upload.Received:
				b.content(id, sample)
			case upload.Receiving:
				if want.Length > 0 {
					b.holds(id, sample)
				}
			}
		}
	}}
}

var terminateTests = []test{
	inEveryState("removes everything", func(b *bench, _ upload.State, id upload.ID) {
		if err := b.s.Terminate(id); err != nil {
			b.Fatal(err)
		}
		b.nobody(id)
		b.reopen(pictureSetup, true)
		b.nobody(id)
	}),
	{"frees the id", func(b *bench) {
		id := b.bring(upload.Ready)
		if err := b.s.Terminate(id); err != nil {
			b.Fatal(err)
		}
		if err := b.s.Create(upload.Record{ID: id, Length: 3}); err != nil {
			b.Fatal(err)
		}
		b.at(id, upload.Receiving, 0)
		b.holds(id, []byte("new"))
	}},
	{"leaves readers and other uploads alone", func(b *bench) {
		id := b.bring(upload.Ready)
		other := b.bringTo(upload.Ready)
		file, _, err := b.s.Open(id)
		if err != nil {
			b.Fatal(err)
		}
		if err := b.s.Terminate(id); err != nil {
			b.Fatal(err)
		}
		b.reads(file, sample)
		b.content(other, sample)
	}},
	{"any number of readers meanwhile see all or nothing", func(b *bench) {
		id := b.bring(upload.Ready)
		done := make(chan string)
		for range 8 {
			go func() { done <- b.readUntilGone(id) }()
		}
		err := b.s.Terminate(id)
		for range 8 {
			if fault := <-done; fault != "" {
				b.Error(fault)
			}
		}
		if err != nil {
			b.Error(err)
		}
		b.nobody(id)
	}},
}

// listReceived returns the ids that the store finds received.
func (b *bench) listReceived() (ids []upload.ID) {
	b.Helper()
	err := b.s.Due(b.Context(), func(rec upload.Record) bool {
		if rec.State != upload.Received {
			b.Errorf("found %s, which is %s", rec.ID, rec.State)
		}
		ids = append(ids, rec.ID)
		return true
	})
	if err != nil {
		b.Fatalf("received: %v", err)
	}
	slices.Sort(ids)
	return ids
}
