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
	profile     embedded
}

// The bits of a PNG's colour type (PNG, third edition, 11.2.1).
const (
	pngPalette = 1
	pngColour  = 2
	pngAlpha   = 4
)

// maxChunks bounds the chunks that are not the picture itself: the library allocates 4 KB to skip one. An animation has two
// or three for each of its pictures, a photo from a camera ten.
const maxChunks = 10_000

// checkChunks counts them as far as the file goes.
func checkChunks(data []byte) error {
	chunks := 0
	for rest := data[8:]; ; {
		name, _, after, err := nextPNGChunk(rest)
		if err != nil || string(name) == "IEND" {
			return nil // walkPNG says more of it
		}
		if string(name) != "IDAT" {
			chunks++
		}
		if chunks > maxChunks {
			return fmt.Errorf("%w: more than %d chunks", ErrMalformed, maxChunks)
		}
		rest = after
	}
}

// walkPNG goes from chunk to chunk.
func walkPNG(data []byte, size image.Point) (facts, error) {
	var header pngHeader
	for rest := data[8:]; ; {
		name, body, after, err := nextPNGChunk(rest)
		if err != nil {
			return facts{}, err
		}
		if string(name) == "IEND" {
			return facts{header.orientation, header.bytes(int64(size.X), int64(size.Y)), header.profile}, nil
		}
		header.take(name, body)
		rest = after
	}
}

// nextPNGChunk reads length, type, data, checksum. The decoder verifies the checksums.
func nextPNGChunk(data []byte) (name, body, rest []byte, err error) {
	const frame = 4 + 4 + 4 // length, type and checksum
	if len(data) < frame {
		return nil, nil, nil, errCutShort
	}
	length := int64(binary.BigEndian.Uint32(data))
	name = data[4:8]
	if length+frame > int64(len(data)) {
		return nil, nil, nil, fmt.Errorf("%w: chunk %q of %d bytes", ErrMalformed, name, length)
	}
	return name, data[8 : 8+length], data[length+frame:], nil
}

// take notes what a chunk says. The decoder has read the first one already and found it right.
func (h *pngHeader) take(name, body []byte) {
	switch string(name) {
	case "IHDR":
		if len(body) == 13 && h.depth == 0 { // the decoder refuses a second one, but may have decoded by then
			h.depth, h.colour, h.interlaced = body[8], body[9], body[12] != 0
		}
	case "tRNS":
		h.transparent = true
	case "iCCP":
		h.profile.takePNG(body)
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
