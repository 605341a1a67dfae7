package media

import (
	"encoding/binary"
	"fmt"
	"image"
)

// walkGIF goes from block to block up to the trailer (GIF89a, appendix B), as image/gif would if it read more than the
// first frame.
func walkGIF(data []byte, size image.Point) (facts, error) {
	const header = 13
	rest, err := pastColours(data, header, header-3)
	first := facts{}
	for err == nil && len(rest) > 0 {
		switch rest[0] {
		case ',':
			if first.decoder == 0 {
				first.decoder = frameBytes(rest)
			}
			rest, err = pastFrame(rest)
		case '!':
			rest, err = pastExtension(rest)
		case ';':
			if first.decoder == 0 {
				return facts{}, fmt.Errorf("%w: no picture in it", ErrMalformed)
			}
			return first, nil
		default:
			return facts{}, fmt.Errorf("%w: unknown block %#x", ErrMalformed, rest[0])
		}
	}
	if err == nil {
		err = errCutShort
	}
	return facts{}, err
}

const (
	gifFrameLen  = 10   // of a frame's descriptor, its separator included
	gifColours   = 0x80 // flag: a table of colours follows
	gifInterlace = 0x40 // flag of a frame
)

// frameBytes is what image/gif allocates for a frame: a byte a pixel, twice if interlaced (uninterlace).
func frameBytes(frame []byte) int64 {
	const colours = 16 << 10 // two tables of 256 colours: interfaces and what they point to
	if len(frame) < gifFrameLen {
		return 0
	}
	pixels := int64(binary.LittleEndian.Uint16(frame[5:])) * int64(binary.LittleEndian.Uint16(frame[7:]))
	if frame[9]&gifInterlace != 0 {
		pixels *= 2
	}
	return pixels + colours
}

func pastFrame(data []byte) ([]byte, error) {
	rest, err := pastColours(data, gifFrameLen, gifFrameLen-1)
	if err != nil || len(rest) == 0 {
		return nil, errCutShort
	}
	return pastBlocks(rest[1:]) // after the size of the first codes
}

func pastExtension(data []byte) ([]byte, error) {
	const text = 0x01
	// image/gif takes the first block of a text to be of 12 bytes, whatever it says: where that is not so, it and we would
	// see different frames.
	if len(data) > 2 && data[1] == text && data[2] != 12 {
		return nil, fmt.Errorf("%w: text block of %d bytes", ErrMalformed, data[2])
	}
	if len(data) < 2 {
		return nil, errCutShort
	}
	return pastBlocks(data[2:])
}

// pastColours skips length bytes and the table of colours that the byte at flags announces.
func pastColours(data []byte, length, flags int) ([]byte, error) {
	if len(data) < length {
		return nil, errCutShort
	}
	if data[flags]&gifColours != 0 {
		length += 3 << (1 + data[flags]&7)
	}
	if len(data) < length {
		return nil, errCutShort
	}
	return data[length:], nil
}

// pastBlocks skips blocks of a length and as many bytes, up to the empty one that ends them.
func pastBlocks(data []byte) ([]byte, error) {
	for len(data) > 0 {
		length := 1 + int(data[0])
		if len(data) < length {
			break
		}
		data = data[length:]
		if length == 1 {
			return data, nil
		}
	}
	return nil, errCutShort
}
