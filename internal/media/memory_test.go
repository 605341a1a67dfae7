package media

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"sluice/internal/media/mediatest"
)

// allocated is how many bytes call allocates, none of them freed: an upper bound of what it holds at once.
func allocated(call func()) int64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for range 2 { // what encoders keep for the next time outlives one collection
		runtime.GC()
	}
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
	turned := mediatest.Segment(markerAPP1, "Exif\x00\x00"+string(exif(binary.BigEndian, 6)))
	grey := image.NewGray(r)
	flat := func(sof byte, components ...mediatest.FlatComponent) []byte {
		f := mediatest.FlatJPEG{SOF: sof, Width: width, Height: height, Components: components}
		if len(components) == 4 {
			f.Segments = [][]byte{mediatest.Segment(markerAPP14, "Adobe\x00\x64\x00\x00\x00\x00\x02")}
		}
		return f.Bytes()
	}
	black := mediatest.FlatComponent{ID: 4, Sampling: 0x22, Level: 200}
	rgb := []mediatest.FlatComponent{{ID: 'R', Sampling: 0x11, Level: 50}, {ID: 'G', Sampling: 0x11, Level: 50}, {ID: 'B', Sampling: 0x11, Level: 50}}
	interlaced := gifOf(t, width, height, paletted(r, red, green, blue, yellow))
	interlaced[strings.IndexByte(string(interlaced), ',')+9] |= gifInterlace
	lossy := file(t, "lossy.webp")[webpHeaderLen:]
	return map[string][]byte{
		"jpeg grey":             flat(markerSOF0, mediatest.FlatComponent{ID: 1, Sampling: 0x11, Level: 50}),
		"jpeg 4:2:0":            flat(markerSOF0, mediatest.YCbCr(0x22)...),
		"jpeg 4:2:0, noise":     jpegOf(t, noise(width, height)),
		"jpeg 4:2:2":            flat(markerSOF0, mediatest.YCbCr(0x21)...),
		"jpeg 4:4:0":            flat(markerSOF0, mediatest.YCbCr(0x12)...),
		"jpeg 4:1:1":            flat(markerSOF0, mediatest.YCbCr(0x41)...),
		"jpeg 4:1:0":            flat(markerSOF0, mediatest.YCbCr(0x42)...),
		"jpeg 4:4:4":            flat(markerSOF1, mediatest.YCbCr(0x11)...),
		"jpeg RGB":              flat(markerSOF0, rgb...),
		"jpeg JFIF":             mediatest.JPEGWith(flat(markerSOF0, rgb...), mediatest.Segment(markerAPP0, "JFIF\x00\x01\x01")),
		"jpeg YCCK":             flat(markerSOF0, append(mediatest.YCbCr(0x22), black)...),
		"jpeg grey, prog.":      flat(markerSOF2, mediatest.FlatComponent{ID: 1, Sampling: 0x22, Level: 50}),
		"jpeg 4:2:0, prog.":     flat(markerSOF2, mediatest.YCbCr(0x22)...),
		"jpeg 4:4:4, prog.":     flat(markerSOF2, mediatest.YCbCr(0x11)...),
		"jpeg YCCK, prog.":      flat(markerSOF2, append(mediatest.YCbCr(0x22), black)...),
		"jpeg 4:1:1, prog.":     flat(markerSOF2, mediatest.YCbCr(0x41)...),
		"jpeg 4:2:2, prog.":     flat(markerSOF2, mediatest.YCbCr(0x21)...),
		"jpeg 4:4:0, prog.":     flat(markerSOF2, mediatest.YCbCr(0x12)...),
		"jpeg 4:1:0, prog.":     flat(markerSOF2, mediatest.YCbCr(0x42)...),
		"jpeg RGB, prog.":       flat(markerSOF2, rgb...),
		"jpeg CMYK":             flat(markerSOF0, append(mediatest.YCbCr(0x11), mediatest.FlatComponent{ID: 4, Sampling: 0x11, Level: 200})...),
		"jpeg CMYK, prog.":      flat(markerSOF2, append(mediatest.YCbCr(0x11), mediatest.FlatComponent{ID: 4, Sampling: 0x11, Level: 200})...),
		"jpeg, restarts":        restarting(jpegOf(t, picture(width, height))),
		"jpeg, colours":         mediatest.JPEGWith(flat(markerSOF0, mediatest.YCbCr(0x22)...), mediatest.ProfileSegments(mediatest.DisplayP3(), 200)...),
		"jpeg 4:2:0, turned":    mediatest.JPEGWith(flat(markerSOF0, mediatest.YCbCr(0x22)...), turned),
		"png grey":              pngOf(t, grey),
		"png grey, tRNS":        pngWith(pngOf(t, grey), mediatest.Chunk("tRNS", []byte{0, 7}), false),
		"png grey 16":           pngOf(t, image.NewGray16(r)),
		"png RGB":               pngOf(t, picture(width, height)),
		"png RGB, noise":        pngOf(t, opaqueNoise(width, height)),
		"png RGBA":              pngOf(t, noise(width, height)),
		"png RGB 16":            pngOf(t, quarters(image.NewNRGBA64(r), red, green, blue, yellow)),
		"png RGBA 16":           pngOf(t, image.NewNRGBA64(r)),
		"png palette":           pngOf(t, paletted(r, red, green, blue, yellow)),
		"png 1 bit":             pngOf(t, quarters(image.NewPaletted(r, color.Palette{red, blue}), red, blue, red, blue)),
		"png 2 bit":             pngOf(t, quarters(image.NewPaletted(r, color.Palette{red, blue, green}), red, blue, red, blue)),
		"png 4 bit":             pngOf(t, paletted(r, red, green, blue, yellow)),
		"png palette, tRNS":     pngOf(t, paletted(r, color.RGBA{}, green, blue, yellow)),
		"png RGB, interlaced":   file(t, "interlaced.png"),
		"png grey 1, interl.":   mediatest.InterlacedPNG(width, height, 1, 0),
		"png grey 16, interl.":  mediatest.InterlacedPNG(width, height, 16, 0),
		"png grey+alpha":        mediatest.PlainPNG(width, height, 8, 4),
		"png grey+alpha 16":     mediatest.PlainPNG(width, height, 16, 4),
		"png RGB 16, interl.":   mediatest.InterlacedPNG(width, height, 16, 2),
		"png RGBA, interl.":     mediatest.InterlacedPNG(width, height, 8, 6),
		"png RGBA 16, interl.":  mediatest.InterlacedPNG(width, height, 16, 6),
		"png, colours":          pngWith(pngOf(t, picture(width, height)), mediatest.Chunk("iCCP", mediatest.DeflatedProfile(mediatest.DisplayP3())), false),
		"gif":                   gifOf(t, width, height, paletted(r, red, green, blue, yellow)),
		"gif, interlaced":       interlaced,
		"gif, moving":           gifOf(t, width, height, paletted(r, red, green, blue, yellow), paletted(r, red, red, red, red)),
		"webp lossy":            file(t, "lossy.webp"),
		"webp lossy, alpha":     mediatest.RIFF(extended(1<<4), mediatest.RIFFChunk("ALPH", make([]byte, 1+600*400)), lossy),
		"webp lossy, compr.":    file(t, "alpha.webp"),
		"webp lossless":         file(t, "lossless.webp"),
		"small picture, scaled": pngOf(t, picture(20, 30)),
		"tall picture":          pngOf(t, picture(10, 3000)),
	}
}

// The memory gate counts estimates: below what is needed the process dies, far above it uploads wait for nothing.
func TestEstimateCoversWhatIsAllocated(t *testing.T) {
	if raceEnabled {
		t.Skip("it counts memory; nothing runs at once here")
	}
	for name, data := range measured(t) {
		t.Run(name, func(t *testing.T) { wantEstimate(t, data, []int{256, 128, 32}) })
	}
	large := pngOf(t, image.NewGray(image.Rect(0, 0, 2500, 2500)))
	t.Run("one small", func(t *testing.T) { wantEstimate(t, jpegOf(t, noise(500, 400)), []int{16}) })
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
	encoding := int64(0) // charged for the worst picture that there is: see TestEstimateOfEncoding
	for _, edge := range edges {
		encoding += encodeBytes(int64(edge))
	}
	t.Logf("%8d measured, %8d estimated, %8d of it for encoding, %.2f", took, estimated, encoding, float64(estimated)/float64(took))
	if estimated < took {
		t.Errorf("estimated %d bytes, took %d", estimated, took)
	}
	if estimated-encoding > 2*took {
		t.Errorf("estimated %d bytes, took only %d", estimated-encoding, took)
	}
}

// blackAndWhite is noise of the two colours that are farthest apart: the most that the encoders were found to take.
func blackAndWhite(edge int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, edge, edge))
	for i, v := range noise(edge, edge).Pix {
		m.Pix[i] = byte(int8(v) >> 7)
		if i%4 == 3 {
			m.Pix[i] = 255
		}
	}
	return m
}

func TestEstimateOfEncoding(t *testing.T) {
	if raceEnabled {
		t.Skip("it counts memory; nothing runs at once here")
	}
	for _, edge := range []int{1, 16, 17, 64, 100, 256, 512} {
		var err error
		worst := blackAndWhite(edge)
		took, estimated := allocated(func() { _, err = encode(worst) }), encodeBytes(int64(edge))
		t.Logf("edge %4d: %8d measured, %8d estimated, %.2f", edge, took, estimated, float64(estimated)/float64(took))
		if err != nil || estimated < took || estimated > 2*took {
			t.Errorf("edge %d: estimated %d bytes, took %d: %v", edge, estimated, took, err)
		}
	}
}

// The library's way of reading rows takes the most.
func TestEstimateOfScaling(t *testing.T) {
	if raceEnabled {
		t.Skip("it counts memory; nothing runs at once here")
	}
	for _, c := range [][2]int{{1, 1}, {16, 512}, {512, 512}, {600, 512}, {512, 16}, {1000, 256}, {2000, 64}, {1500, 256}, {3000, 4}} {
		var err error
		source := opaqueNoise(c[0], c[0])
		took := allocated(func() { _, err = scale(t.Context(), source, source.Rect, jfif, c[1]) })
		estimated := scaleBytes(int64(c[0]), int64(c[1]))
		t.Logf("%4d to %3d: %8d measured, %8d estimated, %.2f", c[0], c[1], took, estimated, float64(estimated)/float64(took))
		if err != nil || estimated < took || estimated > 2*took+16<<10 {
			t.Errorf("from %d to %d: estimated %d bytes, took %d: %v", c[0], c[1], estimated, took, err)
		}
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
	shallow := mediatest.PNGHeader(300, 300, 1, 0, 0)[8:]
	lossy := file(t, "lossy.webp")[webpHeaderLen:]
	compressed, plain := mediatest.RIFFChunk("ALPH", bytes.Repeat([]byte{1}, 1000)), mediatest.RIFFChunk("ALPH", []byte{0})
	for name, c := range map[string]struct{ once, twice []byte }{
		"png":  {deep, pngWith(deep, shallow, true)},
		"webp": {mediatest.RIFF(extended(1<<4), compressed, lossy), mediatest.RIFF(extended(1<<4), compressed, plain, lossy)},
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
