package storetest

import (
	"errors"
	"testing"

	"sluice/internal/upload"
)

var keeping = Setup{Variants: []string{"512", "64"}, KeepRejected: true, Lifetime: 7 * day}

// kept checks that id is rejected, that its bytes are there beside its record, and that nobody is given them.
func (b *bench) kept(id upload.ID) {
	b.Helper()
	b.gone(id, upload.Rejected)
	if left := b.h.Left(b.T, id); len(left) != 2 {
		b.Errorf("left of the upload: %q, want its record and its content", left)
	}
	if err := closed(b.s.OpenVariant(id, "64")); !errors.Is(err, upload.ErrNotFound) {
		b.Errorf("open variant: got %v, want %v", err, upload.ErrNotFound)
	}
}

var keepTests = []test{
	{"keeps what was complete, for nobody to read", func(b *bench) {
		b.open(keeping)
		id := b.received(sample)
		b.reject(id)
		b.kept(id)
		b.reject(id) // again changes nothing
		b.kept(id)
		for _, crash := range []bool{false, true} {
			b.reopen(keeping, crash)
			b.kept(id)
		}
	}},
	{"goes on when the policy has changed", func(b *bench) {
		b.open(keeping)
		id := b.received(sample)
		b.reject(id)
		b.reopen(pictureSetup, false)
		b.kept(id)
		other := b.received(sample)
		b.reject(other)
		b.rejected(other)
		b.reopen(keeping, false)
		b.rejected(other)
	}},
	{"removes what was not complete", func(b *bench) {
		b.open(keeping)
		id := b.create(int64(len(sample)))
		b.write(id, 0, sample[:6])
		b.reject(id)
		b.rejected(id)
	}},
	{"removes what the judge refuses", func(b *bench) {
		bad := &spy{says: func([]byte) (string, error) { return "", verdict }}
		setup := keeping
		setup.Judge = bad.judge
		b.open(setup)
		id := b.create(int64(len(sample)))
		b.checked(id, 0, broken(sample, nil), upload.Check{}, 0, verdict)
		b.rejected(id)
	}},
	{"goes with its record", func(b *bench) {
		b.open(keeping)
		swept, deleted := b.received(sample), b.received(sample)
		b.reject(swept)
		b.reject(deleted)
		if err := b.s.Terminate(deleted); err != nil {
			b.Fatal(err)
		}
		b.nobody(deleted)
		b.aged(swept, 6*day, keeping)
		if swept := b.sweep(false); len(swept) > 0 {
			b.Errorf("swept %+v", swept)
		}
		b.kept(swept)
		b.aged(swept, 2*day, keeping)
		b.sweeps(swept, upload.Tombstone)
		b.nobody(swept)
	}},
	{"is owed no room", func(b *bench) {
		b.open(keeping)
		id := b.received(sample)
		b.reject(id)
		b.Run("due", func(t *testing.T) {
			err := b.s.Due(t.Context(), func(rec upload.Record) bool {
				t.Errorf("due: %s, %s", rec.ID, rec.State)
				return true
			})
			if err != nil {
				t.Error(err)
			}
		})
		b.kept(id)
	}},
}
