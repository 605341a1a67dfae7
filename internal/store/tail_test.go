package store_test

import (
	"bytes"
	"os"
	"testing"

	"sluice/internal/upload"
)

// newEnding makes the victim of data, of which sent bytes have arrived; if that is all of it, it is complete.
func newEnding(t *testing.T, isDurable bool, data []byte, sent int64) *cut {
	t.Helper()
	c := &cut{newRig(t, isDurable, false), data}
	c.must(c.s.Create(upload.Record{ID: victim, Length: int64(len(data))}))
	c.send(0, sent)
	if sent == int64(len(data)) {
		_, err := c.s.Complete(victim)
		c.must(err)
	}
	return c
}

// A length may be on the disk before bytes that were added to a block which is there already: they read as zeros.
func TestZerosAtTheEndOfABlockCountOnlyIfTheyWereSynced(t *testing.T) {
	text, zeros := bytes.Repeat([]byte("sixteen bytes..."), 1000), make([]byte, 16000)
	half := append(bytes.Clone(text[:5000]), zeros...)
	for _, tt := range []struct {
		name    string
		durable bool
		data    []byte
		sent    int64
		tail    int64 // of zeros that are not what was sent
		offset  int64
		damaged bool
	}{
		{"bytes that were not written", true, text, 5000, 1000, 5000, false},
		{"bytes that were not written, to the end of the block", true, text, 5000, 8192 - 5000, 5000, false},
		{"bytes that were not written, not durable", false, text, 5000, 1000, 5000, false},
		{"zeros that were sent", true, half, 6000, 0, 6000, false},
		{"zeros that were sent, and some that were not", true, half, 6000, 1000, 6000, false},
		{"zeros to the end of a block", true, half, 8192, 0, 8192, false},
		{"nothing but zeros", true, zeros, 9000, 0, 9000, false},
		{"zeros that were sent, not durable", false, half, 6000, 0, 5000, false},
		{"complete, ending in zeros", true, half[:6000], 6000, 0, 6000, false},
		{"complete, ending in zeros, not durable", false, half[:6000], 6000, 0, 6000, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newEnding(t, tt.durable, tt.data, tt.sent)
			c.tail(tt.tail)
			c.crash(true)
			rec, err := c.s.Lookup(victim)
			if err != nil || rec.Offset != tt.offset || rec.Damaged != tt.damaged {
				t.Fatalf("got %d, damaged %t, %v, want %d, damaged %t", rec.Offset, rec.Damaged, err, tt.offset, tt.damaged)
			}
			if !rec.State.Complete() {
				c.resumes(tt.data)
			}
		})
	}
}

// The bytes that make an upload complete may be missing in its last block.
func TestACompleteUploadWithoutItsLastBytesIsDamaged(t *testing.T) {
	data := bytes.Repeat([]byte("sixteen bytes..."), 400)
	c := newEnding(t, false, data, int64(len(data)))
	c.must(os.Truncate(c.file(), 5000))
	c.tail(int64(len(data)) - 5000)
	c.crash(true)
	if rec, err := c.s.Lookup(victim); err != nil || rec.State != upload.Receiving || rec.Offset != 5000 || !rec.Damaged {
		t.Fatalf("got %s at %d, damaged %t, %v, want receiving at 5000, damaged", rec.State, rec.Offset, rec.Damaged, err)
	}
	c.resumes(data)
}
