package crash

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"strings"
)

// content is a file that is never held, however large: each byte follows from its place. head stands at its beginning.
type content struct {
	seed  uint64
	begin int64 // where it begins in all that follows from seed; the parts of one file share a seed
	size  int64
	head  []byte
}

// ReadAt implements io.ReaderAt.
func (c content) ReadAt(p []byte, off int64) (n int, err error) {
	if left := max(c.size-off, 0); int64(len(p)) > left {
		p, err = p[:left], io.EOF
	}
	if off < int64(len(c.head)) {
		n = copy(p, c.head[off:])
	}
	noise(p[n:], c.seed, c.begin+off+int64(n))
	return len(p), err
}

// noise fills p with what follows from seed at a place.
func noise(p []byte, seed uint64, at int64) {
	var word [8]byte
	for len(p) > 0 {
		next := scramble(seed + uint64(at/8)*0x9e3779b97f4a7c15)
		if at%8 == 0 && len(p) >= 8 {
			binary.LittleEndian.PutUint64(p, next)
			p, at = p[8:], at+8
			continue
		}
		binary.LittleEndian.PutUint64(word[:], next)
		n := copy(p, word[at%8:])
		p, at = p[n:], at+int64(n)
	}
}

// scramble is the finaliser of SplitMix64: every bit of x moves every bit of the result.
func scramble(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// other is a content in which nearly every byte is another.
func (c content) other() content {
	c.seed, c.head = ^c.seed, nil
	return c
}

// compare reads from r what should lie between two offsets, and returns where it first differs.
func (c content) compare(r io.Reader, from, to int64) error {
	const piece = 64 << 10
	got, want := make([]byte, min(piece, to-from)), make([]byte, min(piece, to-from))
	for at := from; at < to; {
		n := int(min(piece, to-at))
		m, err := io.ReadFull(r, got[:n])
		c.ReadAt(want[:m], at)
		if !bytes.Equal(got[:m], want[:m]) {
			return firstDifference(got[:m], want[:m], at)
		}
		if at += int64(m); err != nil {
			return fmt.Errorf("it ends at byte %d of %d: %w", at, to, err)
		}
	}
	return nil
}

func firstDifference(got, want []byte, at int64) error {
	for i := range got {
		if got[i] != want[i] {
			return fmt.Errorf("byte %d is %#02x, want %#02x", at+int64(i), got[i], want[i])
		}
	}
	return errors.New("no difference")
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

// picture makes a small PNG or JPEG. What follows the end of a picture is nobody's business, so noise may.
func picture(seed uint64) []byte {
	img := image.NewGray(image.Rect(0, 0, 48, 36))
	noise(img.Pix, seed, 0)
	var out bytes.Buffer
	var err error
	if seed%2 == 0 {
		err = png.Encode(&out, img)
	} else {
		err = jpeg.Encode(&out, img, nil)
	}
	if err != nil {
		panic(err) // a buffer takes everything
	}
	return out.Bytes()
}

// tornPicture has a right header, and its middle missing.
func tornPicture(seed uint64) []byte {
	whole := picture(seed &^ 1) // a PNG, which has checksums
	return whole[:len(whole)/2]
}
