package media

import (
	"encoding/binary"
	"fmt"
	"image"
)

const (
	webpAnimation = 1 << 1 // flag in VP8X
	webpHeaderLen = 12     // "RIFF", length, "WEBP"
)

// walkWebP goes from chunk to chunk: name, length, data, padded to an even length (WebP container specification). The
// orientation comes after the picture.
func walkWebP(data []byte, size image.Point) (facts, error) {
	length := 8 + int64(binary.LittleEndian.Uint32(data[4:]))
	if length < webpHeaderLen || length > int64(len(data)) {
		return facts{}, errCutShort
	}
	var found facts
	var alpha int64
	for rest := data[webpHeaderLen:length]; len(rest) > 0; {
		name, body, after, err := nextChunk(rest)
		if err != nil {
			return facts{}, err
		}
		switch {
		case name == "ANMF", name == "VP8X" && len(body) > 0 && body[0]&webpAnimation != 0:
			return facts{}, fmt.Errorf("%w: animated", ErrUnsupported)
		case name == "ICCP":
			found.profile.takeWhole(body)
		case name == "ALPH":
			alpha += alphaBytes(body, size) // the decoder refuses a second one when it has decoded the first
		case name == "VP8 " && found.decoder == 0:
			found.decoder = alpha + lossyBytes(size) + int64(len(body)) // the decoder copies the chunk
		case name == "VP8L" && found.decoder == 0:
			found.decoder = alpha + losslessBytes(len(body), size)
		case name == "EXIF" && found.orientation == 0:
			found.orientation = orientation(body)
		}
		rest = after
	}
	if found.decoder == 0 {
		return facts{}, fmt.Errorf("%w: no picture in it", ErrMalformed)
	}
	return found, nil
}

func nextChunk(data []byte) (name string, body, rest []byte, err error) {
	const header = 8
	if len(data) < header {
		return "", nil, nil, errCutShort
	}
	length := int64(binary.LittleEndian.Uint32(data[4:]))
	padded := length + length&1
	if header+padded > int64(len(data)) {
		return "", nil, nil, errCutShort
	}
	return string(data[:4]), data[header : header+length], data[header+padded:], nil
}

// lossyBytes is what golang.org/x/image/vp8 allocates: a byte for each sample of 4:2:0 in whole blocks of 16 x 16, and a
// few bytes for each block.
func lossyBytes(size image.Point) int64 {
	const blockBytes = 256 + 2*64 + 16
	return int64((size.X+15)/16) * int64((size.Y+15)/16) * blockBytes
}

// alphaBytes is what golang.org/x/image/webp allocates for the transparency of a lossy picture: a byte a pixel, and before
// that, if it is compressed, a lossless picture.
func alphaBytes(chunk []byte, size image.Point) int64 {
	plain := int64(size.X) * int64(size.Y)
	if len(chunk) > 0 && chunk[0]&3 == 0 {
		return plain
	}
	return plain + losslessBytes(len(chunk), size)
}

// losslessBytes is what golang.org/x/image/vp8l may allocate for a chunk. Pixels: 4 bytes, half as much again for packed
// indices of colours, and three quarters of a byte for tiles of 4 x 4: predictors, colours, code tables. Code tables: the
// decoder takes 2,600 groups of five at most, no more than there are tiles. How many there are, and how large, is coded too
// deep to be read here, so a photo is charged for what a hostile file gets: the largest group takes 57 KB, and the most
// for its length, one of 2,048 symbols and four of one, 35.5 KB out of 82 bits.
func losslessBytes(chunk int, size image.Point) int64 {
	const (
		maxGroups  = 2600
		groupBytes = 57_000
		byteBytes  = 3_500 // of tables, out of a byte of the file
	)
	pixels := int64(size.X) * int64(size.Y)
	tiles := int64((size.X+3)/4) * int64((size.Y+3)/4)
	return 6*pixels + 12*tiles + min(min(maxGroups, tiles)*groupBytes, int64(chunk)*byteBytes)
}
