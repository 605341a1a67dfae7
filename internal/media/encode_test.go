package media

import (
	"bytes"
	"image"
	"runtime"
	"testing"

	xwebp "golang.org/x/image/webp"
)

func TestEverySizeIsThereInBothFormats(t *testing.T) {
	got := squares(t, jpegOf(t, picture(400, 300)), 128, 64)
	want := []Picture{{Edge: 128, MediaType: "image/jpeg"}, {Edge: 128, MediaType: "image/webp"}, {Edge: 64, MediaType: "image/jpeg"}, {Edge: 64, MediaType: "image/webp"}}
	if len(got) != len(want) {
		t.Fatalf("got %d pictures, want %d", len(got), len(want))
	}
	for i, p := range got {
		if p.Edge != want[i].Edge || p.MediaType != want[i].MediaType {
			t.Errorf("picture %d is %d pixels of %s, want %d of %s", i, p.Edge, p.MediaType, want[i].Edge, want[i].MediaType)
		}
		wantCorners(t, p, red, green, blue, yellow)
	}
}

// A decoder that is not the encoder's own takes what was encoded.
func TestOtherDecodersReadTheWebP(t *testing.T) {
	data := jpegOf(t, noise(80, 80))
	for _, edge := range []int{0, 1, 6, 7, 8, 14, 15, 16, 17, 31, 32, 47, 62, 63, 64, 69} {
		for _, p := range squares(t, data, edge+1) {
			if p.MediaType != "image/webp" {
				continue
			}
			if m, err := xwebp.Decode(bytes.NewReader(p.Data)); err != nil || m.Bounds() != image.Rect(0, 0, edge+1, edge+1) {
				t.Errorf("edge %d: %v", edge+1, err)
			}
		}
	}
}

// Nor do they depend on the machine, or on what was encoded before.
func TestEncodersWriteTheSameBytesAnywhere(t *testing.T) {
	photo, other := squareOf(noise(160, 160)), squareOf(noise(100, 100))
	want, err := encode(photo)
	if err != nil {
		t.Fatal(err)
	}
	for _, processors := range []int{1, 2, 3, 8} {
		old := runtime.GOMAXPROCS(processors)
		_, err := encode(other)
		got, err2 := encode(photo)
		runtime.GOMAXPROCS(old)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		for i := range want {
			if !bytes.Equal(got[i].Data, want[i].Data) {
				t.Errorf("%s on %d processors is another", want[i].MediaType, processors)
			}
		}
	}
}

func squareOf(m *image.NRGBA) *image.RGBA {
	square := image.NewRGBA(m.Rect)
	copy(square.Pix, m.Pix)
	for i := 3; i < len(square.Pix); i += 4 {
		square.Pix[i] = 255
	}
	return square
}

func TestFormatThatSavesNothingIsLeftOut(t *testing.T) {
	defer func(all []encoding) { encodings = all }(encodings)
	padded := func(out *bytes.Buffer, m *image.RGBA) error {
		err := encodeJPEG(out, m)
		out.WriteByte(0)
		return err
	}
	encodings = []encoding{encodings[0], {"image/padded", padded}, encodings[1]}
	for i, p := range squares(t, jpegOf(t, picture(90, 90)), 64) {
		if want := []string{"image/jpeg", "image/webp"}[i]; p.MediaType != want {
			t.Errorf("picture %d is %s, want %s", i, p.MediaType, want)
		}
	}
}

func TestPanickingEncoderEndsOnlyItsPicture(t *testing.T) {
	defer func(all []encoding) { encodings = all }(encodings)
	encodings = []encoding{{"image/jpeg", func(*bytes.Buffer, *image.RGBA) error { panic("out of range") }}}
	if _, err := encode(opaque(8)); err == nil {
		t.Error("it was encoded")
	}
}
