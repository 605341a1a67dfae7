package examples

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

const mebibyte = 1 << 20

// source is a file on disk to be sent, of random bytes: a piece stored twice or at the wrong place changes the digest.
type source struct {
	path   string
	size   int64
	digest string
}

func newSource(t *testing.T, size int64) source {
	t.Helper()
	return writeSource(t, filepath.Join(t.TempDir(), "holiday.bin"), size, 'a')
}

// writeSource writes a file whose bytes follow from seed.
func writeSource(t *testing.T, path string, size int64, seed byte) source {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.New()
	random := rand.NewChaCha8([32]byte{seed})
	if _, err := io.CopyN(io.MultiWriter(f, digest), random, size); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return source{path, size, sum(digest)}
}

func sum(digest hash.Hash) string { return hex.EncodeToString(digest.Sum(nil)) }

// checkStored compares what the server serves at url with the file.
func (f source) checkStored(t *testing.T, url string) {
	t.Helper()
	digest := sha256.New()
	n, err := io.Copy(digest, get(t, url, 200))
	if err != nil {
		t.Fatal(err)
	}
	if got := sum(digest); got != f.digest || n != f.size {
		t.Errorf("got %d bytes of digest %s, want %d of %s", n, got, f.size, f.digest)
	}
}

// checkResumed sees that no client began anew: half passed twice would be one and a half.
func (f source) checkResumed(t *testing.T, gate *gate) {
	t.Helper()
	passed := gate.passed.Load()
	t.Logf("%d bytes passed for a file of %d", passed, f.size)
	if passed >= f.size*3/2 {
		t.Errorf("%d bytes passed for a file of %d: it began anew", passed, f.size)
	}
}

// text writes a file that is plainly text, whatever its name says.
func text(t *testing.T, name string, size int) string {
	t.Helper()
	raw := make([]byte, size)
	for i := range raw {
		raw[i] = "Minutes of the meeting.\n"[i%24]
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
