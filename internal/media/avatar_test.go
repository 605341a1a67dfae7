package media

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"os"
	"testing"

	"github.com/deepteams/webp"

	"sluice/internal/media/mediatest"
)

// squares is what a caller does.
func squares(t testing.TB, data []byte, edges ...int) []Picture {
	t.Helper()
	pictures, err := Squares(t.Context(), data, inspected(t, data), edges)
	if err != nil {
		t.Fatal(err)
	}
	return pictures
}

func inspected(t testing.TB, data []byte) Info {
	t.Helper()
	info, err := Inspect(data)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// decoded is a result as a browser has it.
func decoded(t testing.TB, p Picture) image.Image {
	t.Helper()
	read := map[string]func(io.Reader) (image.Image, error){"image/jpeg": jpeg.Decode, "image/webp": webp.Decode}[p.MediaType]
	m, err := read(bytes.NewReader(p.Data))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// corners decodes a result and returns the colours well within its quarters: top left, top right, bottom left and right.
func corners(t testing.TB, p Picture) [4]color.RGBA {
	t.Helper()
	m := decoded(t, p)
	if m.Bounds() != image.Rect(0, 0, p.Edge, p.Edge) {
		t.Fatalf("edge %d: bounds %v", p.Edge, m.Bounds())
	}
	var got [4]color.RGBA
	for i := range got {
		x, y := p.Edge/8+i%2*p.Edge*3/4, p.Edge/8+i/2*p.Edge*3/4
		got[i] = color.RGBAModel.Convert(m.At(x, y)).(color.RGBA)
	}
	return got
}

// alike leaves room for what two rounds of JPEG do to a colour.
func alike(a, b color.RGBA, by int) bool {
	near := func(a, b byte) bool { return max(int(a)-int(b), int(b)-int(a)) <= by }
	return near(a.R, b.R) && near(a.G, b.G) && near(a.B, b.B)
}

func wantCorners(t *testing.T, p Picture, want ...color.RGBA) {
	t.Helper()
	got := corners(t, p)
	for i := range got {
		if !alike(got[i], want[i], 12) {
			t.Errorf("edge %d: corner %d: got %v, want %v", p.Edge, i, got[i], want[i])
		}
	}
}

func TestEveryOrientationStandsUpright(t *testing.T) {
	want := map[int][]color.RGBA{ // as seen, when red, green, blue, yellow are stored
		0: {red, green, blue, yellow}, 1: {red, green, blue, yellow}, 9: {red, green, blue, yellow},
		2: {green, red, yellow, blue}, 3: {yellow, blue, green, red}, 4: {blue, yellow, red, green},
		5: {red, blue, green, yellow}, 6: {blue, red, yellow, green},
		7: {yellow, green, blue, red}, 8: {green, yellow, red, blue},
	}
	for stored, colours := range want {
		for name, data := range oriented(t, stored) {
			t.Run(fmt.Sprintf("%s %d", name, stored), func(t *testing.T) {
				for _, p := range squares(t, data, 64, 32) {
					wantCorners(t, p, colours...)
				}
			})
		}
	}
}

// oriented says the same in every container that can.
func oriented(t testing.TB, value int) map[string][]byte {
	photo := jpegOf(t, picture(120, 80))
	big, little := exif(binary.BigEndian, uint16(value)), exif(binary.LittleEndian, uint16(value))
	lossy := file(t, "lossy.webp")[webpHeaderLen:]
	xmp := mediatest.Segment(markerAPP1, "http://xmp")
	return map[string][]byte{
		"jpeg":           mediatest.JPEGWith(photo, mediatest.Segment(markerAPP1, "Exif\x00\x00"+string(big))),
		"jpeg, second":   mediatest.JPEGWith(photo, xmp, []byte{0xff}, mediatest.Segment(markerAPP1, "Exif\x00\x00"+string(little))),
		"png":            pngWith(pngOf(t, picture(80, 120)), mediatest.Chunk("eXIf", little), false),
		"png at end":     pngWith(pngOf(t, picture(80, 120)), mediatest.Chunk("eXIf", big), true),
		"webp":           mediatest.RIFF(extended(8), lossy, mediatest.RIFFChunk("EXIF", big)),
		"webp, prefixed": mediatest.RIFF(extended(8), lossy, mediatest.RIFFChunk("EXIF", append([]byte("Exif\x00\x00"), little...))),
	}
}

func TestEveryKindOfPictureComesOutRight(t *testing.T) {
	r := image.Rect(0, 0, 90, 60)
	clear := color.NRGBA{200, 30, 30, 0}
	faint := color.NRGBA{0, 0, 0, 128}
	grey := func(y uint8) color.RGBA { return color.RGBA{y, y, y, 255} }
	greys := []color.RGBA{grey(0), grey(90), grey(180), grey(255)}
	plain := []color.RGBA{red, green, blue, yellow}
	faded := []color.RGBA{white, grey(127), blue, yellow}
	corner := []color.RGBA{white, white, white, blue}
	cleared := []color.RGBA{white, green, blue, yellow}
	for name, c := range map[string]struct {
		data []byte
		want []color.RGBA
	}{
		"jpeg":             {jpegOf(t, picture(90, 60)), plain},
		"jpeg grey":        {jpegOf(t, quarters(image.NewGray(r), greys[0], greys[1], greys[2], greys[3])), greys},
		"jpeg progressive": {file(t, "progressive.jpg"), plain},
		"jpeg cmyk":        {file(t, "cmyk.jpg"), plain},
		"jpeg and garbage": {append(jpegOf(t, picture(90, 60)), "<script>\xff\xd8\xff\xc0"...), plain},
		"png":              {pngOf(t, picture(90, 60)), plain},
		"png tall":         {pngOf(t, quarters(image.NewRGBA(image.Rect(0, 0, 40, 200)), red, green, blue, yellow)), plain},
		"png 16 bit":       {pngOf(t, quarters(image.NewNRGBA64(r), clear, green, blue, yellow)), cleared},
		"png 16 bit grey":  {pngOf(t, quarters(image.NewGray16(r), greys[0], greys[1], greys[2], greys[3])), greys},
		"png paletted":     {pngOf(t, paletted(r, color.RGBA{}, green, blue, yellow)), cleared},
		"png transparent":  {pngOf(t, quarters(image.NewNRGBA(r), clear, faint, blue, yellow)), faded},
		"png interlaced":   {file(t, "interlaced.png"), plain},
		"gif":              {gifOf(t, 90, 60, paletted(r, red, green, blue, yellow)), plain},
		"gif moving":       {gifOf(t, 90, 60, paletted(r, red, green, blue, yellow), paletted(r, white, white, white, white)), plain},
		"gif transparent":  {gifOf(t, 90, 60, paletted(r, color.RGBA{}, green, blue, yellow)), cleared},
		"gif small frame":  {gifOf(t, 90, 60, paletted(image.Rect(45, 30, 90, 60), blue, blue, blue, blue)), corner},
		"webp lossy":       {file(t, "lossy.webp"), plain},
		"webp lossless":    {file(t, "lossless.webp"), plain},
		"webp transparent": {file(t, "alpha.webp"), cleared},
	} {
		t.Run(name, func(t *testing.T) {
			for _, p := range squares(t, c.data, 128, 64, 32) {
				wantCorners(t, p, c.want...)
			}
		})
	}
}

func TestColoursOfFourAndThreeChannels(t *testing.T) {
	adobe := func(transform string) [][]byte {
		return [][]byte{mediatest.Segment(markerAPP14, "Adobe\x00\x64\x00\x00\x00\x00"+transform)}
	}
	// Stored inverted: no cyan, half magenta, full yellow, no black.
	inks := []mediatest.FlatComponent{{ID: 1, Sampling: 0x11, Level: 255}, {ID: 2, Sampling: 0x11, Level: 128}, {ID: 3, Sampling: 0x11, Level: 0}, {ID: 4, Sampling: 0x11, Level: 255}}
	withBlack := append(mediatest.YCbCr(0x11), mediatest.FlatComponent{ID: 4, Sampling: 0x11, Level: 255})
	unnamed := []mediatest.FlatComponent{{ID: 1, Sampling: 0x11, Level: 200}, {ID: 2, Sampling: 0x11, Level: 30}, {ID: 3, Sampling: 0x11, Level: 30}}
	channels := []mediatest.FlatComponent{{ID: 'R', Sampling: 0x11, Level: 200}, {ID: 'G', Sampling: 0x11, Level: 30}, {ID: 'B', Sampling: 0x11, Level: 30}}
	for name, c := range map[string]struct {
		data mediatest.FlatJPEG
		want color.RGBA
	}{
		"CMYK":  {mediatest.FlatJPEG{SOF: markerSOF0, Components: inks, Segments: adobe("\x00")}, color.RGBA{255, 128, 0, 255}},
		"YCCK":  {mediatest.FlatJPEG{SOF: markerSOF0, Components: withBlack, Segments: adobe("\x02")}, color.RGBA{68, 193, 187, 255}},
		"RGB":   {mediatest.FlatJPEG{SOF: markerSOF2, Components: channels}, red},
		"Adobe": {mediatest.FlatJPEG{SOF: markerSOF1, Components: unnamed, Segments: adobe("\x00")}, red},
		"YCbCr": {mediatest.FlatJPEG{SOF: markerSOF0, Components: mediatest.YCbCr(0x42)}, color.RGBA{187, 62, 68, 255}},
	} {
		t.Run(name, func(t *testing.T) {
			c.data.Width, c.data.Height = 50, 40
			wantCorners(t, squares(t, c.data.Bytes(), 32)[0], c.want, c.want, c.want, c.want)
		})
	}
}

func TestSmallAndThinPicturesAreScaledUp(t *testing.T) {
	for _, size := range []image.Point{{1, 1}, {2, 2}, {1, 500}, {500, 1}, {3, 2}} {
		data := pngOf(t, quarters(image.NewRGBA(image.Rectangle{Max: size}), blue, blue, blue, blue))
		for _, p := range squares(t, data, 100, 7, 1) {
			wantCorners(t, p, blue, blue, blue, blue)
		}
	}
	for _, p := range squares(t, pngOf(t, picture(20, 20)), 512, 256) {
		wantCorners(t, p, red, green, blue, yellow)
	}
}

func TestResultHasNoMetadata(t *testing.T) {
	for name, data := range oriented(t, 6) {
		for _, p := range squares(t, data, 64, 32) {
			for _, secret := range []string{"Exif", "EXIF", "Photoshop", "48.137", "AAAA", "http", "JFIF", "Adobe", "VP8X", "ICC"} {
				if bytes.Contains(p.Data, []byte(secret)) {
					t.Errorf("%s: %q is in the result", name, secret)
				}
			}
			if Sniff(p.Data) != p.MediaType {
				t.Errorf("%s: got %s, looks like %s", name, p.MediaType, Sniff(p.Data))
			}
		}
	}
}

func TestSameBytesForTheSamePicture(t *testing.T) {
	for _, name := range []string{"progressive.jpg", "alpha.webp", "interlaced.png"} {
		first, second := squares(t, file(t, name), 100, 50), squares(t, file(t, name), 100, 50)
		for i := range first {
			if !bytes.Equal(first[i].Data, second[i].Data) {
				t.Errorf("%s: edge %d differs from one time to the next", name, first[i].Edge)
			}
		}
	}
}

func TestOtherBytesThanInspectedAreRefused(t *testing.T) {
	small, large := jpegOf(t, picture(30, 30)), jpegOf(t, picture(60, 60))
	info := inspected(t, small)
	if _, err := Squares(t.Context(), large, info, []int{16}); !errors.Is(err, ErrMalformed) {
		t.Errorf("another picture: got %v, want %v", err, ErrMalformed)
	}
	grey := jpegOf(t, image.NewGray(image.Rect(0, 0, 30, 30))) // of the same size, but it takes less memory
	if _, err := Squares(t.Context(), small, inspected(t, grey), []int{16}); !errors.Is(err, ErrMalformed) {
		t.Errorf("another picture of that size: got %v, want %v", err, ErrMalformed)
	}
	if _, err := Squares(t.Context(), small, Info{}, []int{16}); !errors.Is(err, ErrMalformed) {
		t.Errorf("nothing inspected: got %v, want %v", err, ErrMalformed)
	}
	if got, err := Squares(t.Context(), small, info, []int{16, 0}); err == nil || got != nil {
		t.Errorf("edge 0: got %v, %v, want an error and nothing else", got, err)
	}
}

func TestContextEndsTheWork(t *testing.T) {
	data := jpegOf(t, picture(400, 400))
	info := inspected(t, data)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Squares(ctx, data, info, []int{64}); !errors.Is(err, context.Canceled) || errors.Is(err, ErrMalformed) {
		t.Errorf("before decoding: got %v, want %v", err, context.Canceled)
	}
	if _, err := scale(ctx, picture(9, 9), image.Rect(0, 0, 9, 9), jfif, 3); !errors.Is(err, context.Canceled) {
		t.Errorf("while scaling: got %v, want %v", err, context.Canceled)
	}
	if _, err := io.ReadAll(untilDone(ctx, bytes.NewReader(data))); !errors.Is(err, context.Canceled) {
		t.Errorf("while reading: got %v, want %v", err, context.Canceled)
	}
}

func TestPanickingDecoderIsAMalformedPicture(t *testing.T) {
	_, err := shielded(func() (image.Image, error) { return nil, []error{}[len(os.Args)] })
	if !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v, want %v", err, ErrMalformed)
	}
}
