package storetest

import (
	"errors"
	"io"
	"testing"

	"sluice/internal/upload"
)

// Where an upload can stand, for tables. torn is one whose record cannot be read.
const torn upload.State = "torn"

var everyState = []upload.State{upload.Receiving, upload.Received, upload.Ready, upload.Rejected, torn}

// sample is what uploads in tables are made of; half of it has arrived while receiving.
var sample = []byte("twelve bytes")

var pictures = []upload.VariantFile{
	{Variant: upload.Variant{Name: "512", MediaType: "image/jpeg", Width: 512, Height: 512, Bytes: 5}, Data: []byte("large")},
	{Variant: upload.Variant{Name: "64", MediaType: "image/jpeg", Width: 64, Height: 64, Bytes: 5}, Data: []byte("small")},
}

var pictureSetup = Setup{Variants: []string{"512", "64"}}

// bring opens the store and makes an upload in state.
func (b *bench) bring(state upload.State) upload.ID {
	b.Helper()
	b.open(pictureSetup)
	return b.bringTo(state)
}

// bringTo makes an upload in state in the open store. A torn one costs a reopening.
func (b *bench) bringTo(state upload.State) upload.ID {
	b.Helper()
	id := b.create(int64(len(sample)))
	b.write(id, 0, sample[:6])
	if state == torn {
		b.h.Close(b.T, b.s)
		b.s = nil
		b.h.Tear(b.T, id)
		b.s = b.h.Open(b.T, pictureSetup)
	}
	if state == upload.Receiving || state == torn {
		return id
	}
	b.write(id, 6, sample[6:])
	b.complete(id)
	switch state {
	case upload.Ready:
		b.publish(id, pictures...)
	case upload.Rejected:
		b.reject(id)
	}
	return id
}

// inEveryState runs do for an upload in each state.
func inEveryState(name string, do func(b *bench, state upload.State, id upload.ID)) test {
	return test{name, func(b *bench) {
		b.open(pictureSetup)
		for _, state := range everyState {
			b.Run(string(state), func(t *testing.T) {
				in := &bench{T: t, h: b.h, s: b.s}
				do(in, state, in.bringTo(state))
				b.s = in.s // tearing reopens
			})
		}
	}}
}

// calls are the methods that act on an existing upload.
var calls = []struct {
	name string
	do   func(b *bench, id upload.ID) error
}{
	{"Lookup", func(b *bench, id upload.ID) error { _, err := b.s.Lookup(id); return err }},
	{"WriteChunk", func(b *bench, id upload.ID) error {
		_, err := b.s.WriteChunk(id, 0, broken(sample, nil), upload.Check{})
		return err
	}},
	{"DeclareLength", func(b *bench, id upload.ID) error { return b.s.DeclareLength(id, 1) }},
	{"Complete", func(b *bench, id upload.ID) error { _, err := b.s.Complete(id); return err }},
	{"Open", func(b *bench, id upload.ID) error { return closed(b.s.Open(id)) }},
	{"OpenVariant", func(b *bench, id upload.ID) error { return closed(b.s.OpenVariant(id, "64")) }},
	{"Publish", func(b *bench, id upload.ID) error {
		_, err := b.s.Publish(id, upload.Outcome{MediaType: "text/plain"})
		return err
	}},
	{"Reject", func(b *bench, id upload.ID) error { _, err := b.s.Reject(id, verdict); return err }},
}

// closed closes what was opened by mistake.
func closed(file io.ReadSeekCloser, _ upload.Record, err error) error {
	if file != nil {
		return errors.Join(err, file.Close())
	}
	return err
}

// fails checks that every call on id returns want.
func (b *bench) fails(id upload.ID, want error) {
	b.Helper()
	for _, call := range calls {
		if err := call.do(b, id); !errors.Is(err, want) {
			b.Errorf("%s: got %v, want %v", call.name, err, want)
		}
	}
}

// nobody checks that there is no upload of that id.
func (b *bench) nobody(id upload.ID) {
	b.Helper()
	b.fails(id, upload.ErrNotFound)
	if err := b.s.Terminate(id); !errors.Is(err, upload.ErrNotFound) {
		b.Errorf("Terminate: got %v, want %v", err, upload.ErrNotFound)
	}
	b.empty(id)
}
