package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/upload"
)

var completeTests = []test{
	{"is refused while bytes are missing", func(b *bench) {
		b.open(Setup{})
		deferred := b.create(upload.Deferred)
		b.write(deferred, 0, sample)
		part := b.create(7)
		b.write(part, 0, sample[:6])
		for _, id := range []upload.ID{deferred, part, b.create(1)} {
			before := b.lookup(id)
			if _, err := b.s.Complete(id); !errors.Is(err, upload.ErrOffsetMismatch) {
				b.Errorf("got %v, want %v", err, upload.ErrOffsetMismatch)
			}
			b.same(id, before)
		}
	}},
	{"takes an empty upload", func(b *bench) {
		b.open(Setup{})
		b.content(b.received(nil), nil)
	}},
	{"again is no error and changes nothing", func(b *bench) {
		for _, state := range []upload.State{upload.Received, upload.Ready} {
			if b.s == nil {
				b.open(pictureSetup)
			}
			id := b.bringTo(state)
			want := b.lookup(id)
			rec, err := b.s.Complete(id)
			if diff := cmp.Diff(want, rec); err != nil || diff != "" {
				b.Errorf("%s: got %v, record (-want +got):\n%s", state, err, diff)
			}
			b.same(id, want)
		}
	}},
	{"ends the writing", func(b *bench) {
		for _, state := range []upload.State{upload.Received, upload.Ready} {
			if b.s == nil {
				b.open(pictureSetup)
			}
			id := b.bringTo(state)
			b.writeFails(id, 12, bytes.NewReader(nil), 0, upload.ErrComplete)
			b.writeFails(id, 0, bytes.NewReader(sample), 0, upload.ErrComplete)
			b.content(id, sample)
		}
	}},
	{"is told by the time of change", func(b *bench) {
		b.open(Setup{})
		id := b.create(0)
		before := b.lookup(id)
		b.complete(id)
		if after := b.lookup(id); after.Changed.Before(before.Changed) || !after.Created.Equal(before.Created) {
			b.Errorf("changed %s, then %s; created %s, then %s", before.Changed, after.Changed, before.Created, after.Created)
		}
	}},
}

var publishTests = []test{
	{"shows the content, its type and its variants", func(b *bench) {
		id := b.bring(upload.Ready)
		rec := b.lookup(id)
		if rec.MediaType != "text/plain" {
			b.Errorf("media type is %q, want text/plain", rec.MediaType)
		}
		if diff := cmp.Diff([]upload.Variant{pictures[0].Variant, pictures[1].Variant}, rec.Variants); diff != "" {
			b.Errorf("variants (-want +got):\n%s", diff)
		}
		for _, v := range pictures {
			file, _, err := b.s.OpenVariant(id, v.Name)
			if err != nil {
				b.Fatal(err)
			}
			b.reads(file, v.Data)
		}
	}},
	{"keeps a type that is known", func(b *bench) {
		b.open(Setup{Judge: (&spy{says: func([]byte) (string, error) { return "image/png", nil }}).judge})
		id := b.received(sample)
		b.publish(id)
		if got := b.lookup(id).MediaType; got != "image/png" {
			b.Errorf("media type is %q, want image/png", got)
		}
	}},
	{"leaves a ready upload alone", func(b *bench) {
		id := b.bring(upload.Ready)
		want := b.lookup(id)
		rec, err := b.s.Publish(id, upload.Outcome{MediaType: "image/gif", Variants: []upload.VariantFile{{Variant: upload.Variant{Name: "64"}, Data: []byte("other")}}})
		if diff := cmp.Diff(want, rec); err != nil || diff != "" {
			b.Errorf("got %v, record (-want +got):\n%s", err, diff)
		}
		b.same(id, want)
		file, _, err := b.s.OpenVariant(id, "64")
		if err != nil {
			b.Fatal(err)
		}
		b.reads(file, []byte("small"))
	}},
	{"is refused before and after its time", func(b *bench) {
		for _, state := range []upload.State{upload.Receiving, upload.Rejected} {
			if b.s == nil {
				b.open(pictureSetup)
			}
			id := b.bringTo(state)
			want := b.lookup(id)
			if _, err := b.s.Publish(id, upload.Outcome{MediaType: "text/plain", Variants: pictures}); !errors.Is(err, upload.ErrNotReady) {
				b.Errorf("%s: got %v, want %v", state, err, upload.ErrNotReady)
			}
			b.same(id, want)
		}
	}},
	{"is all or nothing to readers", func(b *bench) {
		id := b.bring(upload.Received)
		done := make(chan string)
		for range 4 {
			go func() { done <- b.watchPublish(id) }()
		}
		b.publish(id, pictures...)
		for range 4 {
			if fault := <-done; fault != "" {
				b.Error(fault)
			}
		}
	}},
}

// watchPublish reads id until it is ready, and says what it saw that should not be.
func (b *bench) watchPublish(id upload.ID) string {
	for {
		rec, err := b.s.Lookup(id)
		if err != nil {
			return fmt.Sprintf("look up: %v", err)
		}
		if rec.State != upload.Ready {
			if len(rec.Variants) > 0 || rec.MediaType != "" {
				return fmt.Sprintf("%s with %d variants of type %q", rec.State, len(rec.Variants), rec.MediaType)
			}
			continue
		}
		for _, v := range pictures {
			file, _, err := b.s.OpenVariant(id, v.Name)
			if err != nil {
				return fmt.Sprintf("variant of a ready upload: %v", err)
			}
			got, err := io.ReadAll(file)
			file.Close()
			if err != nil || !bytes.Equal(got, v.Data) {
				return fmt.Sprintf("variant is %q, %v, want %q", got, err, v.Data)
			}
		}
		return ""
	}
}

// readUntilGone reads id until it is not found any more, and says what it saw that should not be.
func (b *bench) readUntilGone(id upload.ID) string {
	for {
		file, _, err := b.s.Open(id)
		if errors.Is(err, upload.ErrNotFound) {
			return ""
		}
		if err != nil {
			return fmt.Sprintf("open: %v", err)
		}
		got, err := io.ReadAll(file)
		file.Close()
		if err != nil || !bytes.Equal(got, sample) {
			return fmt.Sprintf("read %q, %v, want %q", got, err, sample)
		}
	}
}

var rejectTests = []test{
	{"settles with the reason and removes the bytes", func(b *bench) {
		for _, state := range []upload.State{upload.Receiving, upload.Received} {
			if b.s == nil {
				b.open(pictureSetup)
			}
			id := b.bringTo(state)
			b.reject(id)
			b.rejected(id)
		}
	}},
	{"again keeps the first reason", func(b *bench) {
		id := b.bring(upload.Rejected)
		want := b.lookup(id)
		rec, err := b.s.Reject(id, upload.Reject(upload.CodeTooManyPixels, "Another."))
		if diff := cmp.Diff(want, rec); err != nil || diff != "" {
			b.Errorf("got %v, record (-want +got):\n%s", err, diff)
		}
	}},
	{"does not take a ready upload away", func(b *bench) {
		id := b.bring(upload.Ready)
		want := b.lookup(id)
		if _, err := b.s.Reject(id, verdict); err == nil {
			b.Error("got nil, want an error")
		}
		b.same(id, want)
		b.content(id, sample)
	}},
	{"ends a chunk that flows", func(b *bench) {
		b.open(Setup{})
		id := b.create(1 << 20)
		src, send := io.Pipe()
		done := make(chan error)
		go func() {
			n, err := b.s.WriteChunk(id, 0, src, upload.Check{})
			src.Close()
			if n != 0 {
				err = errors.Join(err, fmt.Errorf("%d bytes count, want 0", n))
			}
			done <- err
		}()
		send.Write(noise(64<<10, 1))
		b.reject(id)
		send.Write(noise(64<<10, 2)) // the store may stop reading before
		send.Close()
		if err := <-done; !errors.Is(err, upload.ErrGone) {
			b.Errorf("got %v, want %v", err, upload.ErrGone)
		}
		b.rejected(id)
	}},
}

// rejected checks that id is rejected, with nothing left but its record.
func (b *bench) rejected(id upload.ID) {
	b.Helper()
	rec := b.lookup(id)
	if diff := cmp.Diff(verdict, rec.Reason); rec.State != upload.Rejected || rec.Offset != 0 || diff != "" {
		b.Errorf("upload is %s at %d, want rejected at 0; reason (-want +got):\n%s", rec.State, rec.Offset, diff)
	}
	if left := b.h.Left(b.T, id); len(left) != 1 {
		b.Errorf("left of the upload: %q, want its record alone", left)
	}
	if err := closed(b.s.Open(id)); !errors.Is(err, upload.ErrGone) {
		b.Errorf("open: got %v, want %v", err, upload.ErrGone)
	}
	b.writeFails(id, 0, bytes.NewReader(sample), 0, upload.ErrGone)
}

var readTests = []test{
	inEveryState("opens by state", func(b *bench, state upload.State, id upload.ID) {
		want := map[upload.State]error{
			upload.Receiving: upload.ErrNotReady, upload.Rejected: upload.ErrGone, torn: upload.ErrUnreadable}[state]
		file, rec, err := b.s.Open(id)
		if !errors.Is(err, want) {
			b.Fatalf("got %v, want %v", err, want)
		}
		if err == nil {
			b.reads(file, sample)
		}
		if state != torn && rec.State != state {
			b.Errorf("record says %s, want %s", rec.State, state)
		}
	}),
	inEveryState("opens variants of ready uploads alone", func(b *bench, state upload.State, id upload.ID) {
		want := map[upload.State]error{upload.Ready: nil, torn: upload.ErrUnreadable}
		if wanted, ok := want[state]; !errors.Is(closed(b.s.OpenVariant(id, "64")), wanted) && ok {
			b.Errorf("got another error than %v", wanted)
		} else if err := closed(b.s.OpenVariant(id, "64")); !ok && !errors.Is(err, upload.ErrNotFound) {
			b.Errorf("got %v, want %v", err, upload.ErrNotFound)
		}
	}),
	{"knows no other variants", func(b *bench) {
		id := b.bring(upload.Ready)
		for _, name := range []string{"", "65", "info", "../" + string(id), "512.tmp", "status"} {
			if err := closed(b.s.OpenVariant(id, name)); !errors.Is(err, upload.ErrNotFound) {
				b.Errorf("variant %q: got %v, want %v", name, err, upload.ErrNotFound)
			}
		}
	}},
	{"readers do not share a place", func(b *bench) {
		id := b.bring(upload.Ready)
		first, _, err := b.s.Open(id)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := first.Seek(-5, io.SeekEnd); err != nil {
			b.Fatal(err)
		}
		b.content(id, sample)
		b.reads(first, []byte("bytes"))
	}},
	{"received finds exactly the received", func(b *bench) {
		b.open(pictureSetup)
		var want []upload.ID
		for _, state := range append(everyState, upload.Received, upload.Received) {
			if id := b.bringTo(state); state == upload.Received {
				want = append(want, id)
			}
		}
		slices.Sort(want)
		for _, when := range []string{"at once", "after a crash"} {
			if got := b.listReceived(); !slices.Equal(got, want) {
				b.Errorf("%s: got %v, want %v", when, got, want)
			}
			b.reopen(pictureSetup, true)
		}
	}},
	{"received stops when told", func(b *bench) {
		b.open(Setup{})
		for range 3 {
			b.received(sample)
		}
		ctx, cancel := context.WithCancel(b.Context())
		for name, stop := range map[string]func() bool{
			"by its answer":  func() bool { return false },
			"by its context": func() bool { cancel(); return true },
		} {
			calls := 0
			b.s.Due(ctx, func(upload.Record) bool { calls++; return stop() })
			if calls > 1 {
				b.Errorf("%s: %d calls, want at most 1", name, calls)
			}
		}
	}},
}
