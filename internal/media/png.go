package media

import (
	"encoding/binary"
	"fmt"
	"image"
)

// pngHeader is what the memory of image/png depends on.
type pngHeader struct {
	depth       byte // bits a channel
	colour      byte // colour type, a set of bits
	interlaced  bool
	transparent bool // has a tRNS chunk: one colour, or some of the palette, is transparent
	orientation int
}

// The bits of a PNG's colour type (PNG, third edition, 11.2.1).
const (
	pngPalette = 1
	pngColour  = 2
	pngAlpha   = 4
)

// walkPNG goes from chunk to chunk: length, type, data, checksum. The decoder verifies the checksums.
func walkPNG(data []byte, size image.Point) (facts, error) {
	const frame = 4 + 4 + 4 // length, type and checksum
	var header pngHeader
	for rest := data[8:]; ; {
		if len(rest) < frame {
			return facts{}, errCutShort
		}
		length, name := int64(binary.BigEndian.Uint32(rest)), string(rest[4:8])
		if length+frame > int64(len(rest)) {
			return facts{}, fmt.Errorf("%w: chunk %q of %d bytes", ErrMalformed, name, length)
		}
		if name == "IEND" {
			return facts{header.orientation, header.bytes(int64(size.X), int64(size.Y))}, nil
		}
		header.take(name, rest[8:8+length])
		rest = rest[length+frame:]
	}
}

// take notes what a chunk says. The decoder has read the first one already and found it right.
func (h *pngHeader) take(name string, body []byte) {
	switch name {
	case "IHDR":
		if len(body) == 13 && h.depth == 0 { // the decoder refuses a second one, but may have decoded by then
			h.depth, h.colour, h.interlaced = body[8], body[9], body[12] != 0
		}
	case "tRNS":
		h.transparent = true
	case "eXIf":
		if h.orientation == 0 {
			h.orientation = orientation(body)
		}
	}
}

// bytes is what image/png allocates: the picture (readImagePass), two rows as they are stored, and for an interlaced one
// its seven parts as pictures of their own, which together have as many pixels.
func (h *pngHeader) bytes(width, height int64) int64 {
	const rows = 2
	pixel := h.pixelBytes()
	total := width*height*pixel + rows*(width*8+1)
	if h.interlaced {
		const parts = 7
		total += width*height*pixel + parts*rows*(width*8+1)
	}
	return total
}

func (h *pngHeader) pixelBytes() int64 {
	var bytes int64 = 4 // colours are always kept with a fourth channel
	if h.colour&(pngColour|pngAlpha) == 0 && !h.transparent {
		bytes = 1
	}
	if h.colour&pngPalette != 0 {
		bytes = 1
	}
	if h.depth == 16 {
		bytes *= 2
	}
	return bytes
}
