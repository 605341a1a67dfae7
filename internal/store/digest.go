package store

import (
	"crypto/sha256"
	"hash"

	"sluice/internal/upload"
)

// The digest of an upload's bytes is followed while they are written, in memory alone: after a restart, or where anything is
// doubtful, nobody knows it, and it is computed from the file when the upload is complete. So what is known is always right,
// and only the speed depends on it.

// running is the digest of the first at bytes of an upload. A nil one is not known.
type running struct {
	hash hash.Hash
	at   int64
}

// add goes on with the bytes that come next.
func (r *running) add(p []byte) {
	if r == nil {
		return
	}
	r.hash.Write(p) // never fails
	r.at += int64(len(p))
}

// clone is a copy as it is now; not known, where that cannot be.
func (r *running) clone() *running {
	cloner, ok := r.hash.(hash.Cloner)
	if !ok {
		return nil
	}
	copied, err := cloner.Clone()
	if err != nil {
		return nil
	}
	return &running{copied, r.at}
}

// beginDigest takes the digest of the bytes before the chunk, and remembers it for when the chunk is taken back. The entry's
// mutex is held.
func (c *chunk) beginDigest() {
	e := c.e
	known := e.sum
	e.sum = nil
	switch {
	case c.f.digest == "" || e.rec.Partial: // the final has one
		return
	case known != nil && known.at == c.off:
		c.sum = known
	case c.off == 0:
		c.sum = &running{hash: sha256.New()}
	default:
		return
	}
	c.before = c.sum.clone()
}

// endDigest leaves behind the digest of the bytes that count. Where a part of the chunk counts, it is not known.
func (c *chunk) endDigest() {
	if c.sum == nil {
		return
	}
	e := c.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.loaded || e.writable() != nil {
		return
	}
	for _, sum := range []*running{c.sum, c.before} {
		if sum != nil && sum.at == e.rec.Offset {
			e.sum = sum
			return
		}
	}
}

// followed is the digest of e, whose bytes are all there, or "" if it was not followed to the end.
func (f *File) followed(e *entry) string {
	sum := e.sum
	switch {
	case f.digest == "" || e.rec.Partial:
		return ""
	case e.rec.Length == 0:
		sum = &running{hash: sha256.New()}
	case sum == nil || sum.at != e.rec.Length:
		return ""
	}
	return upload.FormatDigest(f.digest, sum.hash.Sum(nil))
}
