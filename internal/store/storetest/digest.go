package storetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"testing/iotest"

	"sluice/internal/upload"
)

var digesting = Setup{Digest: upload.SHA256}

// digestOf is what the record of data must say.
func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return upload.FormatDigest(upload.SHA256, sum[:])
}

// digested completes id, whose digest must then be want; "" if the store is to leave it to whoever processes the upload.
func (b *bench) digested(id upload.ID, want string) {
	b.Helper()
	b.complete(id)
	if rec := b.lookup(id); rec.Digest != want {
		b.Errorf("got digest %q, want %q", rec.Digest, want)
	}
}

var digestTests = []test{
	{"is of all chunks", func(b *bench) {
		b.open(digesting)
		data := noise(3<<20+17, 1)
		id := b.create(int64(len(data)))
		off := int64(0)
		for _, end := range []int64{1, 4096, 4097, 100_000, 2 << 20, int64(len(data))} {
			b.write(id, off, data[off:end])
			off = end
		}
		b.digested(id, digestOf(data))
		b.reopen(digesting, true)
		if rec := b.lookup(id); rec.Digest != digestOf(data) {
			b.Errorf("after a crash: got digest %q, want %q", rec.Digest, digestOf(data))
		}
	}},
	{"is of nothing where there is nothing", func(b *bench) {
		b.open(digesting)
		b.digested(b.create(0), digestOf(nil))
	}},
	{"is none unless it is wanted, and none of a part", func(b *bench) {
		b.open(Setup{})
		id := b.create(12)
		b.write(id, 0, sample)
		b.digested(id, "")
		b.reopen(digesting, false)
		if rec := b.lookup(b.part(12, sample)); rec.State != upload.Received || rec.Digest != "" {
			b.Errorf("a part is %s with digest %q, want none", rec.State, rec.Digest)
		}
	}},
	{"forgets what was taken back", func(b *bench) {
		b.open(digesting)
		data := noise(300_000, 1)
		id := b.create(int64(len(data)))
		b.write(id, 0, data[:100_000])
		for range 2 {
			b.checked(id, 100_000, bytes.NewReader(noise(50_000, 2)), announced(errVerdict), 0, errVerdict)
			b.checked(id, 100_000, bytes.NewReader(noise(50_000, 3)), upload.Check{Verify: announced(errVerdict).Verify}, 0, errVerdict)
			b.writeFails(id, 100_000, bytes.NewReader(noise(300_000, 4)), 0, upload.ErrTooLarge)
			b.writeFails(id, 99_999, bytes.NewReader(data), 0, upload.ErrOffsetMismatch)
		}
		b.checked(id, 100_000, bytes.NewReader(data[100_000:]), announced(nil), 200_000, nil)
		b.digested(id, digestOf(data))
	}},
	{"goes on where a source broke", func(b *bench) {
		b.open(digesting)
		data := noise(200_000, 1)
		id := b.create(int64(len(data)))
		b.writeFails(id, 0, broken(data[:70_001], errSource), 70_001, errSource)
		b.checked(id, 70_001, iotest.HalfReader(bytes.NewReader(data[70_001:])), upload.Check{}, int64(len(data))-70_001, nil)
		b.digested(id, digestOf(data))
	}},
	{"is not guessed after a restart", func(b *bench) {
		b.open(digesting)
		data := noise(200_000, 1)
		id := b.create(int64(len(data)))
		b.write(id, 0, data[:100_000])
		b.reopen(digesting, true)
		b.write(id, 100_000, data[100_000:])
		b.digested(id, "")
		rec, err := b.s.Publish(id, upload.Outcome{Digest: digestOf(data)})
		if err != nil || rec.Digest != digestOf(data) {
			b.Errorf("publish: got digest %q, %v, want what was found", rec.Digest, err)
		}
	}},
	{"that is known is kept", func(b *bench) {
		b.open(digesting)
		id := b.received(sample)
		rec, err := b.s.Publish(id, upload.Outcome{Digest: "sha-256=:wrong:"})
		if err != nil || rec.Digest != digestOf(sample) {
			b.Errorf("publish: got digest %q, %v, want %q", rec.Digest, err, digestOf(sample))
		}
		b.same(id, rec)
	}},
	{"is there when a direct upload is ready", func(b *bench) {
		setup := digesting
		setup.Direct = true
		b.open(setup)
		followed, cut := b.create(12), b.create(12)
		b.write(followed, 0, sample)
		b.write(cut, 0, sample[:5])
		rec, err := b.s.Complete(followed)
		if err != nil || rec.State != upload.Ready || rec.Digest != digestOf(sample) {
			b.Errorf("got %s with %q, %v, want ready with %q", rec.State, rec.Digest, err, digestOf(sample))
		}
		b.reopen(setup, true)
		b.write(cut, 5, sample[5:])
		b.digested(cut, "") // received: somebody has to look
		b.reopen(setup, true)
		b.at(cut, upload.Received, 12)
	}},
	{"of a final is left to whoever processes it", func(b *bench) {
		b.open(digesting)
		one, two := noise(50_000, 1), noise(4097, 2)
		id := b.final(int64(len(one)+len(two)), b.parts(one, two)...)
		b.assembles(id, slices.Concat(one, two))
		if rec := b.lookup(id); rec.Digest != "" {
			b.Errorf("got digest %q, want none", rec.Digest)
		}
	}},
	{"goes with a rejection", func(b *bench) {
		b.open(digesting)
		id := b.received(sample)
		b.reject(id)
		if rec := b.lookup(id); rec.Digest != "" {
			b.Errorf("got digest %q, want none", rec.Digest)
		}
		_, err := b.s.Publish(id, upload.Outcome{Digest: digestOf(sample)})
		if !errors.Is(err, upload.ErrNotReady) {
			b.Errorf("publish: got %v, want %v", err, upload.ErrNotReady)
		}
	}},
}
