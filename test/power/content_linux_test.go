package power

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
)

// content is a file that is never held: each byte follows from its place. head stands at its beginning.
type content struct {
	size int64
	seed int64 // files of different seeds differ in every block
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

// noise is what repeats in a content, none of it zero, so that what was never written shows. Its length is prime, so that
// what lies a power of two too far shows as well.
var noise = sync.OnceValue(func() []byte {
	block := make([]byte, 1048573)
	rand.NewChaCha8([32]byte{'s', 'l', 'u', 'i', 'c', 'e'}).Read(block) //nolint:errcheck // never fails
	for i := range block {
		block[i] |= 1
	}
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
func (c content) part(from, to int64) *io.SectionReader { return io.NewSectionReader(c, from, to-from) }

// check compares the first n bytes of r, and that nothing follows if n is all there is.
func (c content) check(r io.Reader, n int64) error {
	got, want := make([]byte, 256<<10), make([]byte, 256<<10)
	for at := int64(0); at < n; {
		piece := int(min(n-at, int64(len(got))))
		if m, err := io.ReadFull(r, got[:piece]); err != nil {
			return fmt.Errorf("it ends at %d of %d: %w", at+int64(m), n, err)
		}
		if _, err := c.ReadAt(want[:piece], at); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if !bytes.Equal(got[:piece], want[:piece]) {
			return describe(at, n, got[:piece], want[:piece])
		}
		at += int64(piece)
	}
	if extra, _ := r.Read(got[:1]); n == c.size && extra > 0 {
		return fmt.Errorf("more than %d bytes", n)
	}
	return nil
}

// describe says where got is not what it should be.
func describe(at, n int64, got, want []byte) error {
	for i := range got {
		if got[i] == want[i] {
			continue
		}
		what := "other bytes"
		if len(bytes.TrimLeft(got[i:], "\x00")) == 0 {
			what = "zeros"
		}
		return fmt.Errorf("%s at %d, of %d bytes that should be right", what, at+int64(i), n)
	}
	return nil
}

// picture is a PNG of that many pixels square which cannot be made much smaller.
func picture(edge int, random *rand.Rand) content {
	img := image.NewGray(image.Rect(0, 0, edge, edge))
	for i := range img.Pix {
		img.Pix[i] = byte(random.Uint32())
	}
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.NoCompression}
	if err := encoder.Encode(&out, img); err != nil {
		panic(err) // into memory
	}
	return content{size: int64(out.Len()), head: out.Bytes()}
}
