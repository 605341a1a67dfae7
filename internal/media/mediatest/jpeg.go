package mediatest

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// Segment is a segment of a JPEG; body has at most 65,533 bytes.
func Segment(marker byte, body string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(body)+2))
	return append(b, body...)
}

// JPEGWith puts segments behind the first marker of a JPEG.
func JPEGWith(data []byte, segments ...[]byte) []byte {
	return bytes.Join([][]byte{data[:2], bytes.Join(segments, nil), data[2:]}, nil)
}

// The markers of a JPEG (ITU-T T.81, table B.1).
const (
	SOF0  = 0xc0 // baseline frame
	SOF2  = 0xc2 // progressive frame
	EOI   = 0xd9 // end of the picture
	SOS   = 0xda // start of a scan
	APP2  = 0xe2 // a colour profile
	APP14 = 0xee // Adobe
)

// FlatJPEG is a JPEG of one colour, in any mode that there is: its blocks have nothing but their mean.
type FlatJPEG struct {
	SOF           byte
	Width, Height int // in pixels
	Components    []FlatComponent
	Segments      [][]byte // in front
	Scans         int      // how often to say it, 0 is once
}

// FlatComponent is a channel: its sampling factors, four bits each, and its only level.
type FlatComponent struct{ ID, Sampling, Level byte }

// YCbCr are the channels of a photo, of which luma has these sampling factors.
func YCbCr(sampling byte) []FlatComponent {
	return []FlatComponent{{1, sampling, 100}, {2, 0x11, 110}, {3, 0x11, 190}}
}

// Bytes is the file.
func (f FlatJPEG) Bytes() []byte {
	frame := []byte{8, byte(f.Height >> 8), byte(f.Height), byte(f.Width >> 8), byte(f.Width), byte(len(f.Components))}
	scan := []byte{byte(len(f.Components))}
	for _, c := range f.Components {
		frame = append(frame, c.ID, c.Sampling, 0)
		scan = append(scan, c.ID, 0)
	}
	last := byte(63)
	if f.SOF == SOF2 {
		last = 0
	}
	scan = append(scan, 0, last, 0)
	means := "\x00\x00\x00\x00\x0c" + string(make([]byte, 12)) + "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b"
	rest := "\x10\x01" + string(make([]byte, 15)) + "\x00"
	out := [][]byte{{0xff, 0xd8}, bytes.Join(f.Segments, nil),
		Segment(0xdb, "\x00"+string(bytes.Repeat([]byte{1}, 64))),
		Segment(f.SOF, string(frame)), Segment(0xc4, means), Segment(0xc4, rest)}
	for range max(f.Scans, 1) {
		out = append(out, Segment(SOS, string(scan)), f.coded(last != 0))
	}
	return bytes.Join(append(out, []byte{0xff, EOI}), nil)
}

// coded is the scan: for each block the length of the difference to the one before in 4 bits, the difference, and one bit
// for "nothing else".
func (f FlatJPEG) coded(whole bool) []byte {
	var out []byte
	var acc, n uint
	put := func(value, width uint) {
		for acc, n = acc<<width|value, n+width; n >= 8; n -= 8 {
			out = append(out, byte(acc>>(n-8)))
			if out[len(out)-1] == 0xff {
				out = append(out, 0)
			}
		}
	}
	h, v := int(f.Components[0].Sampling>>4), int(f.Components[0].Sampling&15)
	if len(f.Components) == 1 {
		h, v = 1, 1
	}
	groups := ((f.Width + 8*h - 1) / (8 * h)) * ((f.Height + 8*v - 1) / (8 * v))
	for group := range groups {
		for _, c := range f.Components {
			blocks := int(c.Sampling>>4) * int(c.Sampling&15)
			if len(f.Components) == 1 {
				blocks = 1
			}
			for block := range blocks {
				if diff := 8 * (int(c.Level) - 128); group+block == 0 && diff != 0 {
					width := bits.Len(uint(max(diff, -diff)))
					put(uint(width), 4)
					if diff < 0 {
						diff-- // as T.81, F.1.2.1 has negative numbers
					}
					put(uint(diff)&(1<<width-1), uint(width))
				} else {
					put(0, 4)
				}
				if whole {
					put(0, 1)
				}
			}
		}
	}
	put(0x7f, 7)
	return out
}
