package storetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"sluice/internal/upload"
)

// part makes a partial upload of length bytes, of which data is there.
func (b *bench) part(length int64, data []byte) upload.ID {
	b.Helper()
	id := upload.NewID()
	if err := b.s.Create(upload.Record{ID: id, Length: length, Partial: true, Concat: "partial"}); err != nil {
		b.Fatalf("create: %v", err)
	}
	b.write(id, 0, data)
	if int64(len(data)) == length {
		b.complete(id)
	}
	return id
}

// parts makes complete partial uploads.
func (b *bench) parts(contents ...[]byte) (ids []upload.ID) {
	b.Helper()
	for _, data := range contents {
		ids = append(ids, b.part(int64(len(data)), data))
	}
	return ids
}

// final makes an upload of parts, of length bytes.
func (b *bench) final(length int64, parts ...upload.ID) upload.ID {
	b.Helper()
	id := upload.NewID()
	if err := b.s.Create(upload.Record{ID: id, Length: length, Final: true, Parts: parts, Concat: "final;"}); err != nil {
		b.Fatalf("create: %v", err)
	}
	return id
}

// assembles assembles id, which must become data.
func (b *bench) assembles(id upload.ID, data []byte) {
	b.Helper()
	rec, err := b.s.Assemble(b.Context(), id)
	if err != nil || rec.State != upload.Received || rec.Length != int64(len(data)) {
		b.Fatalf("assemble: got %s, %d bytes, %v, want received, %d bytes", rec.State, rec.Length, err, len(data))
	}
	b.same(id, rec)
	b.content(id, data)
}

// waits checks that id cannot be assembled yet.
func (b *bench) waits(id upload.ID) {
	b.Helper()
	if _, err := b.s.Assemble(b.Context(), id); !errors.Is(err, upload.ErrNotReady) {
		b.Fatalf("assemble: got %v, want %v", err, upload.ErrNotReady)
	}
	b.at(id, upload.Receiving, 0)
}

// refuses checks that id is rejected instead of assembled.
func (b *bench) refuses(id upload.ID, code string) {
	b.Helper()
	rec, err := b.s.Assemble(b.Context(), id)
	var why *upload.Rejection
	if !errors.As(err, &why) || why.Code != code || rec.State != upload.Rejected {
		b.Fatalf("assemble: got %s, %v, want rejected, %s", rec.State, err, code)
	}
	b.same(id, rec)
}

var joinTests = []test{
	{"puts parts together in their order", func(b *bench) {
		b.open(Setup{})
		one, two := noise(9<<20, 1), noise(4097, 2)
		parts := b.parts(one, nil, two)
		whole := slices.Concat(two, one, two)
		id := b.final(int64(len(whole)), parts[2], parts[0], parts[1], parts[2])
		b.assembles(id, whole)
		b.publish(id)
		b.reopen(Setup{}, true)
		b.content(id, whole)
		for _, part := range parts {
			b.joined(part, id)
		}
	}},
	{"waits for the last part, and is told", func(b *bench) {
		b.open(Setup{})
		done, late := b.part(12, sample), b.part(12, sample[:5])
		id := b.final(24, done, late)
		b.waits(id)
		if got := b.s.Finals(late); !slices.Equal(got, []upload.ID{id}) {
			b.Errorf("finals of the part are %q, want %q", got, id)
		}
		b.write(late, 5, sample[5:])
		b.waits(id) // all its bytes are there, but it is not received
		b.complete(late)
		b.assembles(id, slices.Concat(sample, sample))
		if got := b.s.Finals(late); len(got) > 0 {
			b.Errorf("finals of the part are %q, want none", got)
		}
	}},
	{"learns its length at last", func(b *bench) {
		b.open(Setup{})
		late := upload.NewID()
		if err := b.s.Create(upload.Record{ID: late, Length: upload.Deferred, Partial: true, Concat: "partial"}); err != nil {
			b.Fatal(err)
		}
		id := b.final(upload.Deferred, late, late)
		b.waits(id)
		b.write(late, 0, sample)
		if err := b.s.DeclareLength(late, 12); err != nil {
			b.Fatal(err)
		}
		b.complete(late)
		b.assembles(id, slices.Concat(sample, sample))
	}},
	{"goes on after a crash", func(b *bench) {
		b.open(Setup{})
		late := b.part(12, sample[:5])
		id := b.final(24, late, late)
		b.reopen(Setup{}, true)
		if due := b.due(); !slices.Equal(due, []upload.ID{id}) {
			b.Errorf("due are %q, want %q", due, id)
		}
		if got := b.s.Finals(late); !slices.Equal(got, []upload.ID{id}) {
			b.Errorf("finals of the part are %q, want %q", got, id)
		}
		b.write(late, 5, sample[5:])
		b.reopen(Setup{}, true) // the part is complete, though nobody said so
		b.assembles(id, slices.Concat(sample, sample))
		b.reopen(Setup{}, true)
		b.assembles(id, slices.Concat(sample, sample)) // again: it does no harm
	}},
	{"keeps its parts if it shall", func(b *bench) {
		b.open(Setup{KeepParts: true})
		parts := b.parts(sample)
		b.assembles(b.final(12, parts...), sample)
		b.at(parts[0], upload.Received, 12)
		b.assembles(b.final(12, parts...), sample)
	}},
	{"leaves parts that another waits for", func(b *bench) {
		b.open(Setup{})
		parts := b.parts(sample, sample)
		first, second := b.final(12, parts[0]), b.final(24, parts...)
		b.assembles(first, sample)
		b.at(parts[0], upload.Received, 12)
		b.assembles(second, slices.Concat(sample, sample))
		b.joined(parts[0], second)
	}},
	{"is refused when a part is gone", func(b *bench) {
		b.open(Setup{})
		parts := b.parts(sample, sample)
		id := b.final(24, parts...)
		if err := b.s.Terminate(parts[1]); err != nil {
			b.Fatal(err)
		}
		b.refuses(id, upload.CodePartsMissing)
		b.joined(parts[0], id) // nobody waits for it any more
	}},
	{"is refused when it has no parts, or others than partial ones", func(b *bench) {
		b.open(Setup{})
		b.refuses(b.final(0), upload.CodePartsMissing)
		plain := b.received(sample)
		b.refuses(b.final(12, plain), upload.CodePartsMissing)
		b.at(plain, upload.Received, 12)
	}},
	{"is refused when it is too large", func(b *bench) {
		b.open(Setup{MaxBytes: 23})
		parts := b.parts(sample, sample)
		b.refuses(b.final(24, parts...), upload.CodeTooLarge)
	}},
	{"is judged, and its parts are not", func(b *bench) {
		judge := &spy{says: func(head []byte) (string, error) {
			if !bytes.HasPrefix(head, sample) {
				return "", verdict
			}
			return "text/x-sample", nil
		}}
		b.open(Setup{Judge: judge.judge})
		parts := b.parts(sample, noise(5000, 1))
		good, bad := b.final(5012, parts[0], parts[1]), b.final(5012, parts[1], parts[0])
		b.assembles(good, slices.Concat(sample, noise(5000, 1)))
		if got := b.lookup(good).MediaType; got != "text/x-sample" {
			b.Errorf("media type is %q", got)
		}
		b.refuses(bad, verdict.Code)
	}},
	{"nobody writes to a final, or reads it early", func(b *bench) {
		b.open(Setup{})
		id := b.final(24, b.part(24, sample))
		b.writeFails(id, 0, bytes.NewReader(sample), 0, upload.ErrFinal)
		if _, _, err := b.s.Open(id); !errors.Is(err, upload.ErrNotReady) {
			b.Errorf("open: got %v, want %v", err, upload.ErrNotReady)
		}
		b.completesNothing(id)
	}},
	{"a part is never read, or published", func(b *bench) {
		b.open(Setup{})
		part := b.part(12, sample)
		if _, _, err := b.s.Open(part); !errors.Is(err, upload.ErrNotReady) {
			b.Errorf("open: got %v, want %v", err, upload.ErrNotReady)
		}
		if _, err := b.s.Publish(part, upload.Outcome{MediaType: "text/plain"}); !errors.Is(err, upload.ErrNotReady) {
			b.Errorf("publish: got %v, want %v", err, upload.ErrNotReady)
		}
		if due := b.due(); len(due) > 0 {
			b.Errorf("due are %q", due)
		}
	}},
	{"lets go when somebody wants it", func(b *bench) {
		b.open(Setup{})
		parts := b.parts(noise(8<<20, 1))
		many := slices.Repeat(parts, 32)
		id := b.final(32*8<<20, many...)
		done := make(chan error)
		go func() {
			_, err := b.s.Assemble(b.Context(), id)
			done <- err
		}()
		ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
		defer cancel()
		unlock, err := b.s.Lock(ctx, id, func() {})
		if err != nil {
			b.Fatal(err)
		}
		if err := b.s.Terminate(id); err != nil {
			b.Error(err)
		}
		unlock()
		if err := <-done; err != nil && !errors.Is(err, upload.ErrInterrupted) && !errors.Is(err, upload.ErrNotFound) {
			b.Errorf("assemble: got %v", err)
		}
		b.empty(id)
	}},
	{"a part that is wanted does not expire", func(b *bench) {
		b.open(week)
		done, late, alone := b.part(12, sample), b.part(12, sample[:5]), b.part(12, sample)
		id := b.final(24, done, late)
		b.aged(done, 8*day, week)
		b.aged(alone, 8*day, week)
		b.sweeps(alone, upload.UnusedPart)
		b.at(done, upload.Received, 12)
		b.write(late, 5, sample[5:])
		b.complete(late)
		b.assembles(id, slices.Concat(sample, sample))
	}},
	{"a part that was joined is forgotten after a week", func(b *bench) {
		b.open(week)
		part := b.part(12, sample)
		b.assembles(b.final(12, part), sample)
		b.aged(part, 6*day, week)
		if swept := b.sweep(false); len(swept) > 0 {
			b.Errorf("swept %+v", swept)
		}
		b.aged(part, 2*day, week)
		b.sweeps(part, upload.Tombstone)
	}},
	{"a final goes with a part that nobody finished", func(b *bench) {
		b.open(week)
		late := b.part(12, sample[:5])
		id := b.final(12, late)
		b.aged(late, 8*day, week)
		if swept := b.sweep(false); len(swept) != 2 {
			b.Errorf("swept %+v, want the part and the final", swept)
		}
		b.gone(late, upload.Expired)
		b.gone(id, upload.Rejected)
	}},
}

// joined checks that the bytes of a part have gone into a final, and that it is known as complete: its client may not have
// heard so.
func (b *bench) joined(part, final upload.ID) {
	b.Helper()
	rec := b.lookup(part)
	if rec.State != upload.Received || !rec.Full() || rec.JoinedIn != final {
		b.Errorf("part is %s at %d of %d, joined in %q, want received, in %q", rec.State, rec.Offset, rec.Length, rec.JoinedIn, final)
	}
	if left := b.h.Left(b.T, part); len(left) != 1 {
		b.Errorf("left are %q, want the record alone", left)
	}
	b.refuses(b.final(rec.Length, part), upload.CodePartsMissing)
}

// completesNothing checks that a final is not completed by saying so.
func (b *bench) completesNothing(id upload.ID) {
	b.Helper()
	if rec, err := b.s.Complete(id); err != nil || rec.State != upload.Receiving {
		b.Errorf("complete: got %s, %v, want receiving still", rec.State, err)
	}
}

// due lists what is to be processed.
func (b *bench) due() (ids []upload.ID) {
	b.Helper()
	if err := b.s.Due(b.Context(), func(rec upload.Record) bool { ids = append(ids, rec.ID); return true }); err != nil {
		b.Fatalf("due: %v", err)
	}
	return ids
}

var promiseTests = []test{
	{"what is promised is not promised again", func(b *bench) {
		free := b.h.Free(b.T)
		b.open(Setup{Reserve: free / 2})
		half := (free - free/2) * 3 / 5
		first := b.create(half)
		id := upload.NewID()
		if err := b.s.Create(upload.Record{ID: id, Length: half}); !errors.Is(err, upload.ErrInsufficientStorage) {
			b.Errorf("second: got %v, want %v", err, upload.ErrInsufficientStorage)
		}
		b.empty(id)
		later := b.create(upload.Deferred)
		if err := b.s.DeclareLength(later, half); !errors.Is(err, upload.ErrInsufficientStorage) {
			b.Errorf("declared: got %v, want %v", err, upload.ErrInsufficientStorage)
		}
		b.create(half / 4)
		b.reopen(Setup{Reserve: free / 2}, true)
		b.due() // what lies there is learned
		if err := b.s.Create(upload.Record{ID: id, Length: half}); !errors.Is(err, upload.ErrInsufficientStorage) {
			b.Errorf("second, after a crash: got %v, want %v", err, upload.ErrInsufficientStorage)
		}
		if err := b.s.Terminate(first); err != nil {
			b.Fatal(err)
		}
		b.create(half)
	}},
	{"is kept when it is settled", func(b *bench) {
		free := b.h.Free(b.T)
		b.open(Setup{Reserve: free / 2})
		half := (free - free/2) * 3 / 5
		b.reject(b.create(half))
		id := b.create(half)
		b.writeFails(id, 0, bytes.NewReader(nil), 0, nil)
	}},
}
