package media

import (
	"encoding/binary"
	"image"
	"testing"

	"sluice/internal/media/mediatest"
)

var avatarEdges = []int{512, 256, 64}

// phonePhoto is a photo of 12 megapixels from a phone held upright, the common case.
func phonePhoto(t testing.TB) []byte {
	photo := image.NewYCbCr(image.Rect(0, 0, 4032, 3024), image.YCbCrSubsampleRatio420)
	for i := range photo.Y {
		x, y := i%4032, i/4032
		photo.Y[i] = byte((x*y>>9)&127 + (x/16+y/16)&63)
	}
	for i := range photo.Cb {
		photo.Cb[i], photo.Cr[i] = byte(i>>8), byte(i>>10)
	}
	return mediatest.JPEGWith(jpegOf(t, photo), mediatest.Segment(markerAPP1, "Exif\x00\x00"+string(exif(binary.BigEndian, 6))))
}

func BenchmarkSquares12Megapixels(b *testing.B) {
	data := phonePhoto(b)
	info, err := Inspect(data)
	if err != nil || info.Orientation != 6 {
		b.Fatal(info, err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Squares(b.Context(), data, info, avatarEdges); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(info.DecodeBytes(avatarEdges)), "B-estimated/op")
}
