package media

import (
	"bytes"
	"image"
	"image/color"
	"testing"

	"github.com/deepteams/webp"

	"sluice/internal/media/mediatest"
)

// The library converts JPEG's colours rightly, and knows how chroma lies below luma.
func TestRowsOfPhotosAreTheLibrarys(t *testing.T) {
	for _, ratio := range []image.YCbCrSubsampleRatio{
		image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420,
		image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410,
	} {
		photo := image.NewYCbCr(image.Rect(0, 0, 37, 29), ratio)
		for i, plane := range [][]byte{photo.Y, photo.Cb, photo.Cr} {
			copy(plane, noise(37, 29).Pix[i*7:])
		}
		for _, crop := range []image.Rectangle{image.Rect(4, 0, 33, 29), image.Rect(5, 1, 30, 26)} {
			r, row := newRows(photo, crop, jfif, byLevel), make([]uint16, channels*crop.Dx())
			for y := crop.Min.Y; y < crop.Max.Y; y++ {
				r.read(row, y)
				for x := range crop.Dx() {
					want := color.RGBAModel.Convert(photo.At(crop.Min.X+x, y)).(color.RGBA)
					got := color.RGBA{byLevel.to[row[3*x]], byLevel.to[row[3*x+1]], byLevel.to[row[3*x+2]], 255}
					if !alike(got, want, 1) {
						t.Fatalf("%v at %d, %d of %v: got %v, want %v", ratio, x, y, crop, got, want)
					}
				}
			}
		}
	}
}

// A lossy WebP has black at level 16 and white at 235. Taken for JPEG's its black is grey and its white too.
func TestWebPHasItsFullContrast(t *testing.T) {
	black := color.RGBA{0, 0, 0, 255}
	strong := []color.Color{black, white, color.RGBA{255, 0, 0, 255}, color.RGBA{0, 0, 255, 255}}
	options := webp.DefaultOptions()
	options.Quality = 95
	var data bytes.Buffer
	if err := webp.Encode(&data, quarters(image.NewRGBA(image.Rect(0, 0, 120, 120)), strong...), options); err != nil {
		t.Fatal(err)
	}
	lossy := data.Bytes()[webpHeaderLen:]
	alpha := append([]byte{0}, bytes.Repeat([]byte{255}, 120*120)...)
	canvas := mediatest.RIFFChunk("VP8X", []byte{1 << 4, 0, 0, 0, 119, 0, 0, 119, 0, 0})
	for name, data := range map[string][]byte{"opaque": data.Bytes(), "alpha": mediatest.RIFF(canvas, mediatest.RIFFChunk("ALPH", alpha), lossy)} {
		t.Run(name, func(t *testing.T) {
			for _, p := range squares(t, data, 64) {
				for i, got := range corners(t, p) {
					if want := strong[i].(color.RGBA); !alike(got, want, 5) {
						t.Errorf("%s: corner %d: got %v, want %v", p.MediaType, i, got, want)
					}
				}
			}
		})
	}
}
