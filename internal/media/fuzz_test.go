package media

import (
	"bytes"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"sluice/internal/media/mediatest"
)

func FuzzSniff(f *testing.F) {
	for _, data := range samples(f) {
		f.Add(data)
	}
	for _, text := range []string{"<!--x--><svg>", "\xef\xbb\xbf<?xml ?><!DOCTYPE a [<!b>]><html>", "ID3\x03", "text"} {
		f.Add([]byte(text))
	}
	for _, data := range [][]byte{ftyp("mif1", "avif"), ebml("webm"), ogg("\x80theora"), packets("", 6)} {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got := Sniff(data)
		if strings.Count(got, "/") != 1 || got != strings.ToLower(got) || strings.ContainsAny(got, "; ") {
			t.Errorf("%q is no media type", got)
		}
		if again := Sniff(data[:min(len(data), sniffBytes)]); again != got {
			t.Errorf("%q, and %q by the head alone", got, again)
		}
		if kind, known := formatOf(data); known && got != kind.mediaType {
			t.Errorf("%q, but Inspect takes it for %q", got, kind.mediaType)
		}
	})
}

func FuzzInspect(f *testing.F) {
	for _, data := range samples(f) {
		f.Add(data)
	}
	for _, data := range oriented(f, 7) {
		f.Add(data)
	}
	for _, photo := range photos(f) {
		f.Add(photo.bytes())
		photo.rows, photo.columns, photo.wide, photo.high = 2, 2, 200, 100
		f.Add(photo.bytes())
	}
	for _, data := range coloured(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := Inspect(data)
		if err != nil {
			if info != (Info{}) || errors.Is(err, ErrMalformed) == errors.Is(err, ErrUnsupported) {
				t.Errorf("got %+v with %v", info, err)
			}
			return
		}
		if info.Width < 1 || info.Height < 1 || info.Orientation < 1 || info.Orientation > 8 {
			t.Errorf("got %+v", info)
		}
		if n := info.DecodeBytes([]int{512}); n < info.Pixels()/8 || n > math.MaxInt64/2 {
			t.Errorf("%+v takes %d bytes", info, n)
		}
	})
}

// FuzzSquares also holds the estimate of memory against what bytes that nobody thought of make the decoders take.
func FuzzSquares(f *testing.F) {
	for _, data := range samples(f) {
		f.Add(data, byte(32))
	}
	for _, data := range oriented(f, 7) {
		f.Add(data, byte(7))
	}
	for _, data := range coloured(f) {
		f.Add(data, byte(20))
	}
	f.Fuzz(func(t *testing.T, data []byte, edge byte) {
		info, err := Inspect(data)
		if err != nil || info.Pixels() > 1_000_000 {
			return
		}
		edges := []int{int(edge)/2 + 1, int(edge)/4 + 1}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		pictures, err := Squares(t.Context(), data, info, edges)
		runtime.ReadMemStats(&after)

		// What a lossless WebP leaves behind on the way is more than it holds.
		took, estimated := int64(after.TotalAlloc-before.TotalAlloc), info.DecodeBytes(edges)
		if info.MediaType != "image/webp" && took > estimated {
			t.Errorf("took %d bytes, estimated %d", took, estimated)
		}
		if err != nil {
			if pictures != nil || errors.Is(err, ErrMalformed) == errors.Is(err, ErrUnsupported) {
				t.Errorf("got %d pictures with %v", len(pictures), err)
			}
			return
		}
		for i, p := range pictures {
			if !slices.Contains(edges, p.Edge) || bytes.Contains(p.Data, []byte("Exif")) {
				t.Errorf("picture %d is %d pixels wide", i, p.Edge)
			}
			corners(t, p)
		}
	})
}

// coloured are pictures with a colour profile, in each container.
func coloured(t testing.TB) [][]byte {
	photo, drawing := jpegOf(t, picture(30, 20)), pngOf(t, picture(30, 20))
	return [][]byte{
		mediatest.JPEGWith(photo, mediatest.ProfileSegments(mediatest.DisplayP3(), 200)...),
		pngWith(drawing, mediatest.Chunk("iCCP", mediatest.DeflatedProfile(mediatest.AdobeRGB())), false),
		mediatest.RIFF(extended(1<<5), mediatest.RIFFChunk("ICCP", mediatest.DisplayP3()), file(t, "lossless.webp")[webpHeaderLen:]),
	}
}
