package power

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"time"
)

// digest is the checksum of what lies between two offsets of file.
func digest(file content, from, to int64) string {
	sum := sha256.New()
	if _, err := io.Copy(sum, file.part(from, to)); err != nil {
		panic(err) // no part of it can fail
	}
	return "Upload-Checksum: sha256 " + base64.StdEncoding.EncodeToString(sum.Sum(nil))
}

// body is the bytes of a request on their way.
type body struct {
	w     *worker
	src   io.Reader
	pace  time.Duration // for each MiB
	since int           // bytes since the last pause
	left  int64         // until the connection breaks
}

var errBreaks = errors.New("the connection breaks")

// body sends what lies between two offsets of file, at the plan's pace; if it is cut, not all of it.
func (w *worker) body(p plan, file content, from, to int64, cut bool) *body {
	b := &body{w: w, src: file.part(from, to), pace: p.pace, left: to - from + 1}
	if cut {
		b.left = w.between(0, to-from)
	}
	return b
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, errBreaks
	}
	n, err := b.src.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if b.since += n; b.since >= 1<<20 && b.pace > 0 {
		b.w.pause(b.pace)
		b.since = 0
	}
	return n, err
}
