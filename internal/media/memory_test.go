package media

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

// allocated is how many bytes call allocates, none of them freed: an upper bound of what it holds at once.
func allocated(call func()) int64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	call()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// noise does not compress: the most that encoders put out.
func noise(width, height int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	seed := uint32(1)
	for i := range m.Pix {
		seed = seed*1664525 + 1013904223
		m.Pix[i] = byte(seed >> 24)
	}
	return m
}

func opaqueNoise(width, height int) *image.NRGBA {
	m := noise(width, height)
	for i := 3; i < len(m.Pix); i += 4 {
		m.Pix[i] = 255
	}
	return m
}

// measured are pictures of every mode that makes a difference in memory.
func measured(t testing.TB) map[string][]byte {
	const width, height = 500, 400
	r := image.Rect(0, 0, width, height)
	turned := segment(markerAPP1, "Exif\x00\x00"+string(exif(binary.BigEndian, 6)))
	grey := image.NewGray(r)
	flat := func(sof byte, components ...flatComponent) []byte {
		f := flatJPEG{sof: sof, width: width, height: height, components: components}
		if len(components) == 4 {
			f.segments = [][]byte{segment(markerAPP14, "Adobe\x00\x64\x00\x00\x00\x00\x02")}
		}
		return f.bytes()
	}
	black := flatComponent{4, 0x22, 200}
	rgb := []flatComponent{{'R', 0x11, 50}, {'G', 0x11, 50}, {'B', 0x11, 50}}
	interlaced := gifOf(t, width, height, paletted(r, red, green, blue, yellow))
	interlaced[strings.IndexByte(string(interlaced), ',')+9] |= gifInterlace
	lossy := file(t, "lossy.webp")[webpHeaderLen:]
	return map[string][]byte{
		"jpeg grey":             flat(markerSOF0, flatComponent{1, 0x11, 50}),
		"jpeg 4:2:0":            flat(markerSOF0, ycbcr(0x22)...),
		"jpeg 4:2:0, noise":     jpegOf(t, noise(width, height)),
		"jpeg 4:2:2":            flat(markerSOF0, ycbcr(0x21)...),
		"jpeg 4:4:0":            flat(markerSOF0, ycbcr(0x12)...),
		"jpeg 4:1:1":            flat(markerSOF0, ycbcr(0x41)...),
		"jpeg 4:1:0":            flat(markerSOF0, ycbcr(0x42)...),
		"jpeg 4:4:4":            flat(markerSOF1, ycbcr(0x11)...),
		"jpeg RGB":              flat(markerSOF0, rgb...),
		"jpeg JFIF":             jpegWith(flat(markerSOF0, rgb...), segment(markerAPP0, "JFIF\x00\x01\x01")),
		"jpeg YCCK":             flat(markerSOF0, append(ycbcr(0x22), black)...),
		"jpeg grey, prog.":      flat(markerSOF2, flatComponent{1, 0x22, 50}),
		"jpeg 4:2:0, prog.":     flat(markerSOF2, ycbcr(0x22)...),
		"jpeg 4:4:4, prog.":     flat(markerSOF2, ycbcr(0x11)...),
		"jpeg YCCK, prog.":      flat(markerSOF2, append(ycbcr(0x22), black)...),
		"jpeg 4:2:0, turned":    jpegWith(flat(markerSOF0, ycbcr(0x22)...), turned),
		"png grey":              pngOf(t, grey),
		"png grey, tRNS":        pngWith(pngOf(t, grey), chunk("tRNS", []byte{0, 7}), false),
		"png grey 16":           pngOf(t, image.NewGray16(r)),
		"png RGB":               pngOf(t, picture(width, height)),
		"png RGB, noise":        pngOf(t, opaqueNoise(width, height)),
		"png RGBA":              pngOf(t, noise(width, height)),
		"png RGB 16":            pngOf(t, quarters(image.NewNRGBA64(r), red, green, blue, yellow)),
		"png RGBA 16":           pngOf(t, image.NewNRGBA64(r)),
		"png palette":           pngOf(t, paletted(r, red, green, blue, yellow)),
		"png 1 bit":             pngOf(t, quarters(image.NewPaletted(r, color.Palette{red, blue}), red, blue, red, blue)),
		"png RGB, interlaced":   file(t, "interlaced.png"),
		"gif":                   gifOf(t, width, height, paletted(r, red, green, blue, yellow)),
		"gif, interlaced":       interlaced,
		"gif, moving":           gifOf(t, width, height, paletted(r, red, green, blue, yellow), paletted(r, red, red, red, red)),
		"webp lossy":            file(t, "lossy.webp"),
		"webp lossy, alpha":     riff(extended(1<<4), riffChunk("ALPH", make([]byte, 1+600*400)), lossy),
		"webp lossy, compr.":    file(t, "alpha.webp"),
		"webp lossless":         file(t, "lossless.webp"),
		"small picture, scaled": pngOf(t, picture(20, 30)),
		"tall picture":          pngOf(t, picture(10, 3000)),
	}
}

// The memory gate counts estimates: below what is needed the process dies, far above it uploads wait for nothing.
func TestEstimateCoversWhatIsAllocated(t *testing.T) {
	for name, data := range measured(t) {
		for _, edges := range [][]int{{256, 128, 32}, {16}} {
			t.Run(fmt.Sprint(name, edges), func(t *testing.T) { wantEstimate(t, data, edges) })
		}
	}
	large := pngOf(t, image.NewGray(image.Rect(0, 0, 2500, 2500)))
	t.Run("large to small", func(t *testing.T) { wantEstimate(t, large, []int{9, 8}) })
}

func wantEstimate(t *testing.T, data []byte, edges []int) {
	info := inspected(t, data)
	var err error
	took := allocated(func() { _, err = Squares(t.Context(), data, info, edges) })
	if err != nil {
		t.Fatal(err)
	}
	estimated := info.DecodeBytes(edges)
	t.Logf("%8d measured, %8d estimated, %.2f", took, estimated, float64(estimated)/float64(took))
	if estimated < took {
		t.Errorf("estimated %d bytes, took %d", estimated, took)
	}
	if estimated > 2*took {
		t.Errorf("estimated %d bytes, took only %d", estimated, took)
	}
}

func TestTurningTakesASecondPicture(t *testing.T) {
	stored := Info{Width: 900, Height: 600, Orientation: upright}
	turned := stored
	turned.Orientation = 6
	edges := []int{100, 50}
	if got := turned.DecodeBytes(edges) - stored.DecodeBytes(edges); got != 4*100*100 {
		t.Errorf("got %d bytes more, want those of the largest picture", got)
	}
}

// A header that is said twice must not talk the estimate down: a decoder may have gone by the first.
func TestEstimateGoesByTheFirstHeader(t *testing.T) {
	deep := pngOf(t, image.NewNRGBA64(image.Rect(0, 0, 300, 300)))
	shallow := pngHeaderOf(300, 300, 1, 0, 0)[8:]
	lossy := file(t, "lossy.webp")[webpHeaderLen:]
	compressed, plain := riffChunk("ALPH", bytes.Repeat([]byte{1}, 1000)), riffChunk("ALPH", []byte{0})
	for name, c := range map[string]struct{ once, twice []byte }{
		"png":  {deep, pngWith(deep, shallow, true)},
		"webp": {riff(extended(1<<4), compressed, lossy), riff(extended(1<<4), compressed, plain, lossy)},
	} {
		once, err := Inspect(c.once)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := Inspect(c.twice); err == nil && twice.DecodeBytes(nil) < once.DecodeBytes(nil) {
			t.Errorf("%s: got %d bytes, %d without the second header", name, twice.DecodeBytes(nil), once.DecodeBytes(nil))
		}
	}
}

// A photo of 12 megapixels from a phone held upright, the common case.
func BenchmarkSquares12Megapixels(b *testing.B) {
	photo := image.NewYCbCr(image.Rect(0, 0, 4032, 3024), image.YCbCrSubsampleRatio420)
	for i := range photo.Y {
		x, y := i%4032, i/4032
		photo.Y[i] = byte((x*y>>9)&127 + (x/16+y/16)&63)
	}
	for i := range photo.Cb {
		photo.Cb[i], photo.Cr[i] = byte(i>>8), byte(i>>10)
	}
	data := jpegWith(jpegOf(b, photo), segment(markerAPP1, "Exif\x00\x00"+string(exif(binary.BigEndian, 6))))
	info, err := Inspect(data)
	if err != nil || info.Orientation != 6 {
		b.Fatal(info, err)
	}
	edges := []int{512, 256, 64}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Squares(b.Context(), data, info, edges); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(info.DecodeBytes(edges)), "B-estimated/op")
}
