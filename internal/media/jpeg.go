package media

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
)

// The markers of a JPEG that we act on (ITU-T T.81, table B.1).
const (
	markerSOF0  = 0xc0 // baseline frame
	markerSOF1  = 0xc1 // extended frame
	markerSOF2  = 0xc2 // progressive frame
	markerRST0  = 0xd0 // restarts, to 0xd7, stand alone
	markerRST7  = 0xd7
	markerEOI   = 0xd9 // end of the picture
	markerSOS   = 0xda // start of a scan
	markerAPP0  = 0xe0 // JFIF
	markerAPP1  = 0xe1 // EXIF
	markerAPP2  = 0xe2 // a colour profile
	markerAPP14 = 0xee // Adobe
)

// The time that a file can ask for is bounded by its scans: one of a few bytes makes the decoder go through every block of
// the picture, 0.1 s for 50 megapixels, and looks at no context meanwhile. Encoders write about 10.
const (
	maxScans   = 100
	maxScanned = 1_000_000_000 // pixels, in all scans together: 20 scans of 50 megapixels
)

// jpegFrame is what the memory of image/jpeg depends on.
type jpegFrame struct {
	size        image.Point
	progressive bool
	components  []jpegComponent
	scans       int
	jfif        bool
	adobe       bool // the file has Adobe's segment
	transform   byte // and this is its word on the colours
	orientation int
	profile     embedded
}

// jpegComponent is a colour channel with its sampling factors, 1 to 4 each.
type jpegComponent struct {
	id   byte
	h, v int64
}

// walkJPEG goes from segment to segment as image/jpeg does, scans included, up to the end of the picture.
func walkJPEG(data []byte, size image.Point) (facts, error) {
	var frame jpegFrame
	rest := data[2:]
	for {
		marker, body, after, err := nextSegment(rest)
		if err != nil {
			return facts{}, err
		}
		if marker == markerEOI {
			break
		}
		if err := frame.take(marker, body); err != nil {
			return facts{}, err
		}
		rest = after
	}
	if err := frame.check(size); err != nil {
		return facts{}, err
	}
	return facts{frame.orientation, frame.bytes(), frame.profile}, nil
}

// nextSegment finds the next marker with a meaning and its body, which is empty at the end of the picture. Anything before
// it is passed over, as the decoder passes over it: the entropy-coded data of a scan, in which 0xff is followed by 0 or is
// a restart, and garbage between segments.
func nextSegment(data []byte) (marker byte, body, rest []byte, err error) {
	for {
		at := bytes.IndexByte(data, 0xff)
		if at < 0 {
			return 0, nil, nil, errCutShort
		}
		for at++; at < len(data) && data[at] == 0xff; at++ { // a marker may be preceded by any number of 0xff
		}
		if at == len(data) {
			return 0, nil, nil, errCutShort
		}
		marker, data = data[at], data[at+1:]
		if marker == 0 || markerRST0 <= marker && marker <= markerRST7 {
			continue
		}
		if marker == markerEOI {
			return marker, nil, data, nil
		}
		if len(data) < 2 {
			return 0, nil, nil, errCutShort
		}
		length := int(binary.BigEndian.Uint16(data))
		if length < 2 || length > len(data) {
			return 0, nil, nil, fmt.Errorf("%w: segment %#x of %d bytes", ErrMalformed, marker, length)
		}
		return marker, data[2:length], data[length:], nil
	}
}

// take notes what a segment says. Where several say the same the decoder's choice is ours.
func (f *jpegFrame) take(marker byte, body []byte) error {
	switch marker {
	case markerSOF0, markerSOF1, markerSOF2:
		f.progressive = marker == markerSOF2
		return f.takeFrame(body)
	case markerSOS:
		f.scans++
		if f.scans > maxScans {
			return fmt.Errorf("%w: more than %d scans", ErrMalformed, maxScans)
		}
	case markerAPP0:
		if len(body) >= 5 {
			f.jfif = string(body[:5]) == "JFIF\x00"
		}
	case markerAPP1:
		if f.orientation == 0 && bytes.HasPrefix(body, []byte("Exif\x00\x00")) {
			f.orientation = orientation(body)
		}
	case markerAPP2:
		f.profile.takeSegment(body)
	case markerAPP14:
		if len(body) >= 12 && string(body[:5]) == "Adobe" {
			f.adobe, f.transform = true, body[11]
		}
	}
	return nil
}

// takeFrame reads a frame header (T.81, B.2.2): precision, height, width, then three bytes for each component.
func (f *jpegFrame) takeFrame(body []byte) error {
	if f.components != nil {
		return fmt.Errorf("%w: two frames", ErrMalformed)
	}
	if len(body) < 6 || len(body) != 6+3*int(body[5]) || body[5] == 0 || body[5] > 4 {
		return fmt.Errorf("%w: frame header of %d bytes", ErrMalformed, len(body))
	}
	f.size = image.Pt(int(binary.BigEndian.Uint16(body[3:])), int(binary.BigEndian.Uint16(body[1:])))
	for c := body[6:]; len(c) > 0; c = c[3:] {
		f.components = append(f.components, jpegComponent{id: c[0], h: int64(c[1] >> 4), v: int64(c[1] & 15)})
	}
	if len(f.components) == 1 {
		f.components[0].h, f.components[0].v = 1, 1 // T.81, A.2.2: a single component is never sampled in groups
	}
	for _, c := range f.components {
		if c.h < 1 || c.v < 1 || c.h > f.components[0].h || c.v > f.components[0].v {
			return fmt.Errorf("%w: sampling factors", ErrMalformed)
		}
	}
	return nil
}

func (f *jpegFrame) check(size image.Point) error {
	switch {
	case f.components == nil || f.scans == 0:
		return fmt.Errorf("%w: no picture in it", ErrMalformed)
	case f.size != size:
		return fmt.Errorf("%w: two sizes", ErrMalformed)
	case int64(f.scans)*int64(size.X)*int64(size.Y) > maxScanned && f.scans > 1:
		return fmt.Errorf("%w: %d scans of so large a picture", ErrMalformed, f.scans)
	case len(f.components) == 4 && !f.adobe:
		return fmt.Errorf("%w: four components of unknown colours", ErrUnsupported)
	}
	return nil
}

// bytes is what image/jpeg allocates: a byte for each sample, in whole groups of blocks (makeImg); for a progressive
// picture every coefficient as well, 4 bytes each (progCoeffs); and what is not grey or YCbCr is converted into a second
// picture of 4 bytes a pixel (applyBlack, convertToRGB).
func (f *jpegFrame) bytes() int64 {
	luma := f.components[0]
	width, height := int64(f.size.X), int64(f.size.Y)
	groups := ((width + 8*luma.h - 1) / (8 * luma.h)) * ((height + 8*luma.v - 1) / (8 * luma.v))
	var total int64
	for _, c := range f.components {
		samples := groups * c.h * c.v * 64
		total += samples
		if f.progressive {
			total += 4 * samples
		}
	}
	if len(f.components) == 4 || len(f.components) == 3 && f.isRGB() {
		total += 4 * width * height
	}
	return total
}

// isRGB is image/jpeg's rule for three components that are not YCbCr.
func (f *jpegFrame) isRGB() bool {
	if f.jfif {
		return false
	}
	named := f.components[0].id == 'R' && f.components[1].id == 'G' && f.components[2].id == 'B'
	return named || f.adobe && f.transform == 0
}
