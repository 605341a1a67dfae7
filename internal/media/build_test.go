package media

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"sluice/internal/media/mediatest"
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

// pngWith puts a chunk behind the header of a PNG, or before its end.
func pngWith(data, chunk []byte, atEnd bool) []byte {
	at := 8 + 12 + 13
	if atEnd {
		at = len(data) - 12
	}
	return bytes.Join([][]byte{data[:at], chunk, data[at:]}, nil)
}

// extended is the VP8X chunk of a WebP of 600 x 400, the size of those in testdata.
func extended(flags byte) []byte {
	return mediatest.RIFFChunk("VP8X", []byte{flags, 0, 0, 0, 599 & 255, 599 >> 8, 0, 399 & 255, 399 >> 8, 0})
}

// restarting says in a JPEG that there is a restart every 65,535 groups of blocks: more than there are.
func restarting(data []byte) []byte {
	return mediatest.JPEGWith(data, mediatest.Segment(0xdd, "\xff\xff"))
}
