package e2e

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// content is a file that is never held, however large: each byte follows from its place. head stands at its beginning.
type content struct {
	size int64
	seed int64 // files of different seeds differ
	head []byte
}

// movie is the beginning of an MP4 file by whose headers it plays: its ftyp box, an index with a track of pictures, and a box
// of media data that takes in all the rest.
var movie = []byte(box("ftyp", "isom\x00\x00\x02\x00isomiso2") +
	box("moov", box("trak", box("mdia", box("hdlr", zeros, "vide"), box("minf", box("stbl", box("stsd", zeros, box("avc1"))))))) +
	"\x00\x00\x00\x00mdat")

// zeros are what a box of an index begins with that we have nothing to say in.
const zeros = "\x00\x00\x00\x00\x00\x00\x00\x00"

// box is a box of an MP4 file.
func box(kind string, parts ...string) string {
	body := strings.Join(parts, "")
	size := len("size") + len(kind) + len(body) // less than 64 KiB
	return string([]byte{0, 0, byte(size >> 8), byte(size)}) + kind + body
}

// noise is what repeats in a content. Its length is prime, so that what lies a power of two too far is noticed.
var noise = sync.OnceValue(func() []byte {
	block := make([]byte, 1048573)
	random := rand.NewChaCha8([32]byte{'s', 'l', 'u', 'i', 'c', 'e'})
	random.Read(block) //nolint:errcheck // never fails
	return block
})

// ReadAt implements io.ReaderAt.
func (c content) ReadAt(p []byte, off int64) (n int, err error) {
	if left := max(c.size-off, 0); int64(len(p)) > left {
		p, err = p[:left], io.EOF
	}
	for n < len(p) {
		at := off + int64(n)
		if at < int64(len(c.head)) {
			n += copy(p[n:], c.head[at:])
			continue
		}
		n += copy(p[n:], noise()[(at+c.seed*7919)%int64(len(noise())):])
	}
	return n, err
}

// part reads what lies between two offsets.
func (c content) part(from, to int64) io.Reader { return io.NewSectionReader(c, from, to-from) }

// bytes is part, held.
func (c content) bytes(from, to int64) []byte {
	p := make([]byte, to-from)
	if _, err := c.ReadAt(p, from); err != nil && !errors.Is(err, io.EOF) {
		panic(err) // there is no other
	}
	return p
}

// check reads r to its end and compares each byte.
func (c content) check(t *testing.T, r io.Reader) {
	t.Helper()
	got, want := make([]byte, 256<<10), make([]byte, 256<<10)
	for at := int64(0); ; {
		n, err := io.ReadFull(r, got)
		m, _ := c.ReadAt(want[:n], at)
		if n != m || !bytes.Equal(got[:n], want[:m]) {
			t.Fatalf("the content differs within the %d bytes from %d", n, at)
		}
		at += int64(n)
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			if at != c.size {
				t.Fatalf("got %d bytes, want %d", at, c.size)
			}
			return
		case err != nil:
			t.Fatal(err)
		}
	}
}

// file writes the content to disk and returns its name.
func (c content) file(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "content.bin")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, c.part(0, c.size)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}
