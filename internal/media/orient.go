package media

import (
	"bytes"
	"encoding/binary"
	"image"
)

// upright is the orientation of a picture that needs no turning (TIFF 6.0, "Orientation": row 0 is the top).
const upright = 1

// orientation reads the orientation from a block of EXIF data, a TIFF structure: tag 0x0112 of its first directory. It
// returns 0 where it finds none that makes sense.
//
// A parser of our own, since [Inspect] has walked to the block already: the libraries walk through the container again, by
// other rules than the decoder's.
func orientation(exif []byte) int {
	exif = bytes.TrimPrefix(exif, []byte("Exif\x00\x00")) // JPEG's has it always, WebP's at times
	if len(exif) < 8 {
		return 0
	}
	var order binary.ByteOrder
	switch string(exif[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 0
	}
	directory := int64(order.Uint32(exif[4:]))
	if directory+2 > int64(len(exif)) {
		return 0
	}
	return findOrientation(exif[directory:], order)
}

// findOrientation looks through a TIFF directory: a count, then entries of 12 bytes: tag, type, count, value.
func findOrientation(directory []byte, order binary.ByteOrder) int {
	const (
		entryLen = 12
		tag      = 0x0112
		short    = 3
	)
	entries := directory[2:]
	for range order.Uint16(directory) {
		if len(entries) < entryLen {
			return 0
		}
		if order.Uint16(entries) == tag && order.Uint16(entries[2:]) == short {
			if v := int(order.Uint16(entries[8:])); v <= 8 {
				return v
			}
			return 0
		}
		entries = entries[entryLen:]
	}
	return 0
}

// orient turns a square so that it stands as the orientation asks. It returns square itself where it is upright.
func orient(square *image.RGBA, orientation int) *image.RGBA {
	if orientation == upright {
		return square
	}
	last := square.Rect.Dx() - 1
	turned := image.NewRGBA(square.Rect)
	for y := range last + 1 {
		for x := range last + 1 {
			from := stored(x, y, last, orientation)
			copy(turned.Pix[turned.PixOffset(x, y):][:4], square.Pix[square.PixOffset(from.X, from.Y):])
		}
	}
	return turned
}

// stored is where the pixel that is to be seen at x, y lies in the stored square, whose last row and column is last.
func stored(x, y, last, orientation int) image.Point {
	switch orientation {
	case 2: // mirrored left to right
		return image.Pt(last-x, y)
	case 3: // upside down
		return image.Pt(last-x, last-y)
	case 4: // mirrored top to bottom
		return image.Pt(x, last-y)
	case 5: // mirrored at the falling diagonal
		return image.Pt(y, x)
	case 6: // to be turned right
		return image.Pt(y, last-x)
	case 7: // mirrored at the rising diagonal
		return image.Pt(last-y, last-x)
	case 8: // to be turned left
		return image.Pt(last-y, x)
	}
	return image.Pt(x, y)
}
