package media

import (
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
	r := image.Rect(0, 0, 900, 700)
	grey := image.NewGray(r)
	flat := func(sof byte, components ...flatComponent) []byte {
		f := flatJPEG{sof: sof, width: 900, height: 700, components: components}
		if len(components) == 4 {
			f.segments = [][]byte{segment(markerAPP14, "Adobe\x00\x64\x00\x00\x00\x00\x02")}
		}
		return f.bytes()
	}
	black := flatComponent{4, 0x22, 200}
	interlaced := gifOf(t, 900, 700, paletted(r, red, green, blue, yellow))
	interlaced[strings.IndexByte(string(interlaced), ',')+9] |= gifInterlace
	lossy := file(t, "lossy.webp")[webpHeaderLen:]
	return map[string][]byte{
		"jpeg grey":             flat(markerSOF0, flatComponent{1, 0x11, 50}),
		"jpeg 4:2:0":            flat(markerSOF0, ycbcr(0x22)...),
		"jpeg 4:2:0, noise":     jpegOf(t, noise(900, 700)),
		"jpeg 4:2:2":            flat(markerSOF0, ycbcr(0x21)...),
		"jpeg 4:4:0":            flat(markerSOF0, ycbcr(0x12)...),
		"jpeg 4:1:1":            flat(markerSOF0, ycbcr(0x41)...),
		"jpeg 4:1:0":            flat(markerSOF0, ycbcr(0x42)...),
		"jpeg 4:4:4":            flat(markerSOF1, ycbcr(0x11)...),
		"jpeg RGB":              flat(markerSOF0, flatComponent{'R', 0x11, 50}, flatComponent{'G', 0x11, 50}, flatComponent{'B', 0x11, 50}),
		"jpeg YCCK":             flat(markerSOF0, append(ycbcr(0x22), black)...),
		"jpeg grey, prog.":      flat(markerSOF2, flatComponent{1, 0x22, 50}),
		"jpeg 4:2:0, prog.":     flat(markerSOF2, ycbcr(0x22)...),
		"jpeg 4:4:4, prog.":     flat(markerSOF2, ycbcr(0x11)...),
		"jpeg YCCK, prog.":      flat(markerSOF2, append(ycbcr(0x22), black)...),
		"jpeg 4:2:0, turned":    jpegWith(flat(markerSOF0, ycbcr(0x22)...), segment(markerAPP1, "Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00")),
		"png grey":              pngOf(t, grey),
		"png grey, tRNS":        pngWith(pngOf(t, grey), chunk("tRNS", []byte{0, 7}), false),
		"png grey 16":           pngOf(t, image.NewGray16(r)),
		"png RGB":               pngOf(t, picture(900, 700)),
		"png RGB, noise":        pngOf(t, opaqueNoise(900, 700)),
		"png RGBA":              pngOf(t, noise(900, 700)),
		"png RGB 16":            pngOf(t, quarters(image.NewNRGBA64(r), red, green, blue, yellow)),
		"png RGBA 16":           pngOf(t, image.NewNRGBA64(r)),
		"png palette":           pngOf(t, paletted(r, red, green, blue, yellow)),
		"png 1 bit":             pngOf(t, quarters(image.NewPaletted(r, color.Palette{red, blue}), red, blue, red, blue)),
		"png RGB, interlaced":   file(t, "interlaced.png"),
		"gif":                   gifOf(t, 900, 700, paletted(r, red, green, blue, yellow)),
		"gif, interlaced":       interlaced,
		"gif, moving":           gifOf(t, 900, 700, paletted(r, red, green, blue, yellow), paletted(r, red, red, red, red)),
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
	edges := []int{256, 128, 32}
	for name, data := range measured(t) {
		t.Run(name, func(t *testing.T) {
			info, err := Inspect(data)
			if err != nil {
				t.Fatal(err)
			}
			want := allocated(func() { _, err = Squares(t.Context(), data, info, edges) })
			if err != nil {
				t.Fatal(err)
			}
			got := info.DecodeBytes(edges)
			t.Logf("%8d measured, %8d estimated, %.2f", want, got, float64(got)/float64(want))
			if got < want {
				t.Errorf("estimated %d bytes, took %d", got, want)
			}
			if got > 2*want {
				t.Errorf("estimated %d bytes, took only %d", got, want)
			}
		})
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
	data := jpegWith(jpegOf(b, photo), segment(markerAPP1, "Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"))
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
