package media

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/bits"
	"os"
	"path/filepath"
	"testing"
)

// The colours of the corners of every test picture, the files in testdata included.
var (
	red    = color.RGBA{200, 30, 30, 255}
	green  = color.RGBA{30, 180, 30, 255}
	blue   = color.RGBA{30, 30, 200, 255}
	yellow = color.RGBA{200, 200, 30, 255}
	white  = color.RGBA{255, 255, 255, 255}
)

// quarters fills the four quarters of a picture: top left, top right, bottom left, bottom right.
func quarters[P interface {
	Bounds() image.Rectangle
	Set(x, y int, c color.Color)
}](m P, colours ...color.Color) P {
	b := m.Bounds()
	for y := range b.Dy() {
		for x := range b.Dx() {
			m.Set(b.Min.X+x, b.Min.Y+y, colours[2*(2*y/b.Dy())+2*x/b.Dx()])
		}
	}
	return m
}

func picture(width, height int) *image.RGBA {
	return quarters(image.NewRGBA(image.Rect(0, 0, width, height)), red, green, blue, yellow)
}

func jpegOf(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pngOf(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// gifOf makes a GIF of frames on a screen of width x height.
func gifOf(t testing.TB, width, height int, frames ...*image.Paletted) []byte {
	t.Helper()
	all := &gif.GIF{Image: frames, Delay: make([]int, len(frames)), Config: image.Config{Width: width, Height: height}}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, all); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func paletted(r image.Rectangle, colours ...color.Color) *image.Paletted {
	return quarters(image.NewPaletted(r, color.Palette{red, green, blue, yellow, white, color.RGBA{}}), colours...)
}

func file(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// exif is EXIF data with an orientation, and things in it that nobody is to see.
func exif(order binary.AppendByteOrder, orientation uint16) []byte {
	b := []byte("II*\x00")
	if order == binary.AppendByteOrder(binary.BigEndian) {
		b = []byte("MM\x00*")
	}
	entry := func(tag, kind uint16, count, value uint32) {
		b = order.AppendUint16(order.AppendUint16(b, tag), kind)
		b = order.AppendUint32(order.AppendUint32(b, count), value)
	}
	b = order.AppendUint32(b, 8)
	b = order.AppendUint16(b, 3)
	entry(0x010f, 2, 4, 0x41414141) // maker
	b = order.AppendUint16(order.AppendUint16(b, 0x0112), 3)
	b = order.AppendUint16(order.AppendUint16(order.AppendUint32(b, 1), orientation), 0)
	entry(0x8825, 4, 1, 0) // GPS
	b = order.AppendUint32(b, 0)
	return append(b, "Photoshop 48.137 N 11.575 E"...)
}

// segment is a JPEG segment.
func segment(marker byte, body string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(body)+2))
	return append(b, body...)
}

// jpegWith puts segments behind the first marker of a JPEG.
func jpegWith(data []byte, segments ...[]byte) []byte {
	return bytes.Join([][]byte{data[:2], bytes.Join(segments, nil), data[2:]}, nil)
}

func chunk(name string, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	b = append(append(b, name...), body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// pngWith puts a chunk behind the header of a PNG, or before its end.
func pngWith(data, chunk []byte, atEnd bool) []byte {
	at := 8 + 12 + 13
	if atEnd {
		at = len(data) - 12
	}
	return bytes.Join([][]byte{data[:at], chunk, data[at:]}, nil)
}

func pngHeaderOf(width, height uint32, depth, colour, interlace byte) []byte {
	b := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)
	return append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", append(b, depth, colour, 0, 0, interlace))...)
}

// riff is a WebP made of chunks.
func riff(chunks ...[]byte) []byte {
	body := append([]byte("WEBP"), bytes.Join(chunks, nil)...)
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
}

func riffChunk(name string, body []byte) []byte {
	b := append(binary.LittleEndian.AppendUint32([]byte(name), uint32(len(body))), body...)
	return append(b, make([]byte, len(body)&1)...)
}

// extended is the VP8X chunk of a WebP of 600 x 400, the size of those in testdata.
func extended(flags byte) []byte {
	return riffChunk("VP8X", []byte{flags, 0, 0, 0, 599 & 255, 599 >> 8, 0, 399 & 255, 399 >> 8, 0})
}

// flatJPEG is a JPEG of one colour, in any mode that there is: its blocks have nothing but their mean.
type flatJPEG struct {
	sof           byte
	width, height int
	components    []flatComponent
	segments      [][]byte // in front
	scans         int      // how often to say it, 0 is once
}

type flatComponent struct{ id, sampling, level byte }

func ycbcr(sampling byte) []flatComponent {
	return []flatComponent{{1, sampling, 100}, {2, 0x11, 110}, {3, 0x11, 190}}
}

func (f flatJPEG) bytes() []byte {
	frame := []byte{8, byte(f.height >> 8), byte(f.height), byte(f.width >> 8), byte(f.width), byte(len(f.components))}
	scan := []byte{byte(len(f.components))}
	for _, c := range f.components {
		frame = append(frame, c.id, c.sampling, 0)
		scan = append(scan, c.id, 0)
	}
	last := byte(63)
	if f.sof == markerSOF2 {
		last = 0
	}
	scan = append(scan, 0, last, 0)
	means := "\x00\x00\x00\x00\x0c" + string(make([]byte, 12)) + "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b"
	rest := "\x10\x01" + string(make([]byte, 15)) + "\x00"
	out := [][]byte{{0xff, 0xd8}, bytes.Join(f.segments, nil),
		segment(0xdb, "\x00"+string(bytes.Repeat([]byte{1}, 64))),
		segment(f.sof, string(frame)), segment(0xc4, means), segment(0xc4, rest)}
	for range max(f.scans, 1) {
		out = append(out, segment(markerSOS, string(scan)), f.coded(last != 0))
	}
	return bytes.Join(append(out, []byte{0xff, markerEOI}), nil)
}

// coded is the scan: for each block the length of the difference to the one before in 4 bits, the difference, and one bit
// for "nothing else".
func (f flatJPEG) coded(whole bool) []byte {
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
	h, v := int(f.components[0].sampling>>4), int(f.components[0].sampling&15)
	if len(f.components) == 1 {
		h, v = 1, 1
	}
	groups := ((f.width + 8*h - 1) / (8 * h)) * ((f.height + 8*v - 1) / (8 * v))
	for group := range groups {
		for _, c := range f.components {
			blocks := int(c.sampling>>4) * int(c.sampling&15)
			if len(f.components) == 1 {
				blocks = 1
			}
			for block := range blocks {
				if diff := 8 * (int(c.level) - 128); group+block == 0 && diff != 0 {
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
