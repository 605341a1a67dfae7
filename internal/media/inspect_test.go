package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"testing"

	"sluice/internal/media/mediatest"
)

// samples are pictures of every kind, small ones, that are right.
func samples(t testing.TB) map[string][]byte {
	r := image.Rect(0, 0, 60, 40)
	lossy := file(t, "lossy.webp")[webpHeaderLen:]
	alpha := mediatest.RIFFChunk("ALPH", make([]byte, 1+600*400))
	return map[string][]byte{
		"baseline.jpg":    jpegOf(t, picture(60, 40)),
		"grey.jpg":        jpegOf(t, image.NewGray(r)),
		"progressive.jpg": file(t, "progressive.jpg"),
		"restarts.jpg":    mediatest.FlatJPEG{SOF: markerSOF1, Width: 60, Height: 40, Components: mediatest.YCbCr(0x21), Scans: 3}.Bytes(),
		"cmyk.jpg":        file(t, "cmyk.jpg"),
		"plain.png":       pngOf(t, picture(60, 40)),
		"palette.png":     pngOf(t, paletted(r, red, green, blue, yellow)),
		"interlaced.png":  file(t, "interlaced.png"),
		"still.gif":       gifOf(t, 60, 40, paletted(r, red, green, blue, yellow)),
		"moving.gif":      gifOf(t, 60, 40, paletted(r, red, green, blue, yellow), paletted(r, red, green, blue, yellow)),
		"lossy.webp":      file(t, "lossy.webp"),
		"lossless.webp":   file(t, "lossless.webp"),
		"alpha.webp":      file(t, "alpha.webp"),
		"plainalpha.webp": mediatest.RIFF(extended(1<<4), alpha, lossy),
	}
}

func TestInspectReadsSizeAndType(t *testing.T) {
	for name, data := range samples(t) {
		want := image.Pt(60, 40)
		if _, err := os.Stat(filepath.Join("testdata", name)); err == nil || name == "plainalpha.webp" {
			want = image.Pt(600, 400)
		}
		info, err := Inspect(data)
		if err != nil || image.Pt(info.Width, info.Height) != want || info.Orientation != upright {
			t.Errorf("%s: got %+v, %v, want %v upright", name, info, err, want)
		}
		if info.MediaType != Sniff(data) || info.Pixels() != int64(want.X*want.Y) {
			t.Errorf("%s: got %s of %d pixels, Sniff says %s", name, info.MediaType, info.Pixels(), Sniff(data))
		}
	}
}

// Every cut, since decoders go wrong at places of their own: image/gif does not read beyond the first frame.
func TestTruncatedPicturesAreRefused(t *testing.T) {
	for name, data := range samples(t) {
		step := max(1, len(data)/1500)
		for n := 0; n < len(data); n += step {
			if _, err := Inspect(data[:n]); !errors.Is(err, ErrMalformed) && (n >= 12 || !errors.Is(err, ErrUnsupported)) {
				t.Errorf("%s: first %d of %d bytes: got %v, want %v", name, n, len(data), err, ErrMalformed)
			}
		}
	}
}

// What is missing in the middle leaves the container in order, so only the decoder can notice. (Of a progressive JPEG whole
// scans may be missing: that is a picture of less detail, and in order.)
func TestPicturesWithAHoleAreRefused(t *testing.T) {
	long := picture(600, 400)
	deflated := pngOf(t, long)
	idat := bytes.Index(deflated, []byte("IDAT"))
	body := deflated[idat+4 : len(deflated)-16]
	gif := gifOf(t, 600, 400, paletted(long.Rect, red, green, blue, yellow))
	lzw := bytes.IndexByte(gif, ',') + gifFrameLen
	lossless := file(t, "lossless.webp")
	for name, data := range map[string][]byte{
		"jpeg":          append(bytes.Clone(jpegOf(t, long)[:3000]), 0xff, markerEOI),
		"png":           bytes.Join([][]byte{deflated[:idat-4], mediatest.Chunk("IDAT", body[:len(body)/2]), mediatest.Chunk("IEND", nil)}, nil),
		"png, checksum": bytes.Replace(deflated, []byte("IDAT"), []byte("IDAT\x78\x9c\x00")[:4], 1)[:len(deflated)-13],
		"gif":           append(bytes.Clone(gif[:lzw+1+1+int(gif[lzw+1])]), 0, ';'),
		"webp":          mediatest.RIFF(mediatest.RIFFChunk("VP8L", lossless[20:60])),
	} {
		t.Run(name, func(t *testing.T) {
			info, err := Inspect(data)
			if err == nil {
				_, err = Squares(t.Context(), data, info, []int{32})
			}
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("got %v, want %v", err, ErrMalformed)
			}
		})
	}
}

func TestNoGarbageBehindAValidHeaderIsAccepted(t *testing.T) {
	for name, data := range samples(t) {
		for _, keep := range []int{len(data) / 3, len(data) / 2, len(data) - 8} {
			garbled := bytes.Clone(data)
			for i := keep; i < len(garbled); i++ {
				garbled[i] = byte(i*i*7 + i>>3)
			}
			info, err := Inspect(garbled)
			if err == nil {
				_, err = Squares(t.Context(), garbled, info, []int{32})
			}
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnsupported) && keep < len(data)-8 {
				t.Errorf("%s: garbage from %d of %d on: got %v, want %v", name, keep, len(data), err, ErrMalformed)
			}
		}
	}
}

func TestOtherFilesAreUnsupported(t *testing.T) {
	four := append(mediatest.YCbCr(0x11), mediatest.FlatComponent{ID: 4, Sampling: 0x11, Level: 9})
	twelveBit := bytes.Replace(jpegOf(t, picture(9, 9)), []byte{0xff, 0xc0, 0, 17, 8}, []byte{0xff, 0xc0, 0, 17, 12}, 1)
	for name, data := range map[string][]byte{
		"nothing":         nil,
		"text":            []byte("hello"),
		"HEIC that moves": []byte("\x00\x00\x00\x18ftyphevc\x00\x00\x00\x00msf1hevc"),
		"SVG":             []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`),
		"PDF":             []byte("%PDF-1.7\n"),
		"sound":           append([]byte("RIFF\x24\x00\x00\x00WAVEfmt "), make([]byte, 28)...),
		"moving WebP":     file(t, "animated.webp"),
		"JPEG, lossless":  mediatest.FlatJPEG{SOF: 0xc3, Width: 9, Height: 9, Components: mediatest.YCbCr(0x11)}.Bytes(),
		"JPEG, 12 bits":   twelveBit,
		"JPEG, what inks": mediatest.FlatJPEG{SOF: markerSOF0, Width: 9, Height: 9, Components: four}.Bytes(),
	} {
		if info, err := Inspect(data); !errors.Is(err, ErrUnsupported) || info != (Info{}) {
			t.Errorf("%s: got %+v, %v, want %v", name, info, err, ErrUnsupported)
		}
	}
}

func TestBrokenHeadersAreMalformed(t *testing.T) {
	still := gifOf(t, 60, 40, paletted(image.Rect(0, 0, 60, 40), red, green, blue, yellow))
	emptyScreen := bytes.Clone(still)
	copy(emptyScreen[6:], "\x00\x00\x00\x00")
	one := mediatest.FlatJPEG{SOF: markerSOF0, Width: 64, Height: 64, Components: mediatest.YCbCr(0x11)}
	second := mediatest.Segment(markerSOF0, "\x08\xff\xff\xff\xff\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00")
	again := mediatest.Segment(markerSOF0, "\x08\x00\x40\x00\x40\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00")
	many := one
	many.Scans, many.SOF = maxScans+1, markerSOF2
	lossy := file(t, "lossy.webp")
	for name, data := range map[string][]byte{
		"JPEG, two frames":       mediatest.JPEGWith(one.Bytes(), second),
		"JPEG, frame after scan": append(one.Bytes()[:len(one.Bytes())-2], append(second, 0xff, markerEOI)...),
		"JPEG, frame again":      append(one.Bytes()[:len(one.Bytes())-2], append(again, 0xff, markerEOI)...),
		"JPEG, no frame":         {0xff, 0xd8, 0xff, 0xd9},
		"JPEG, too many scans":   many.Bytes(),
		"PNG, no pixels":         mediatest.PNGHeader(0, 7, 8, 2, 0),
		"PNG, beyond belief":     mediatest.PNGHeader(1<<30, 1, 1, 0, 0),
		"PNG, length beyond end": append(mediatest.PNGHeader(9, 9, 8, 2, 0), "\xff\xff\xff\xffIDAT"...),
		"GIF, no pixels":         emptyScreen,
		"GIF, no frame":          append(bytes.Clone(still[:bytes.IndexByte(still, ',')]), ';'),
		"GIF, unknown block":     append(bytes.Clone(still[:len(still)-1]), 'x'),
		"WebP, says 4 GB":        append([]byte("RIFF\xff\xff\xff\xff"), lossy[8:]...),
		"WebP, no picture":       mediatest.RIFF(extended(0)),
	} {
		if _, err := Inspect(data); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v, want %v", name, err, ErrMalformed)
		}
	}
}

// Two sizes in one file: the caller's limit has looked at one, the decoder must not go by the other.
func TestContainerAndPictureOfTwoSizes(t *testing.T) {
	lossless := file(t, "lossless.webp")
	small := extended(0)
	copy(small[12:], "\x09\x00\x00\x09\x00\x00")
	data := mediatest.RIFF(small, lossless[webpHeaderLen:])
	info, err := Inspect(data)
	if err != nil || info.Width != 10 {
		t.Fatalf("got %+v, %v, want what the container says", info, err)
	}
	if _, err := Squares(t.Context(), data, info, []int{32}); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v, want %v", err, ErrMalformed)
	}
}

func TestDecodedBoundsMustBeThePromisedOnes(t *testing.T) {
	for _, c := range []struct {
		mediaType string
		decoded   image.Rectangle
		want      bool
	}{
		{"image/png", image.Rect(0, 0, 20, 10), true},
		{"image/png", image.Rect(0, 0, 20, 9), false},
		{"image/png", image.Rect(0, 0, 21, 10), false},
		{"image/gif", image.Rect(5, 5, 20, 10), true},
		{"image/gif", image.Rect(5, 5, 21, 10), false},
		{"image/gif", image.Rectangle{}, false},
	} {
		if got := fits(c.decoded, Info{MediaType: c.mediaType, Width: 20, Height: 10}); got != c.want {
			t.Errorf("%s of %v: got %v, want %v", c.mediaType, c.decoded, got, c.want)
		}
	}
}

func TestHugeClaimsAreReportedAndCostNothing(t *testing.T) {
	tail := bytes.Join([][]byte{mediatest.Chunk("IDAT", []byte("x")), mediatest.Chunk("IEND", nil)}, nil)
	dot := gifOf(t, 9, 9, paletted(image.Rect(0, 0, 9, 9), red, red, red, red))
	jpg := mediatest.FlatJPEG{SOF: markerSOF2, Width: 8, Height: 8, Components: mediatest.YCbCr(0x22)}.Bytes()
	sof := bytes.Index(jpg, []byte{0xff, markerSOF2})
	binary.BigEndian.PutUint32(jpg[sof+5:], 0xffff_ffff)
	for name, data := range map[string][]byte{
		"png":  append(mediatest.PNGHeader(100_000, 100_000, 16, 6, 1), tail...),
		"jpeg": jpg,
		"gif":  bytes.Replace(dot, []byte("\x09\x00\x09\x00"), []byte("\xff\xff\xff\xff"), 1),
		"webp": mediatest.RIFF(mediatest.RIFFChunk("VP8L", []byte("\x2f\xff\xff\xff\x0f"))),
	} {
		var info Info
		var err error
		cost := allocated(func() { info, err = Inspect(data) })
		if err != nil || min(info.Width, info.Height) < 1<<14 {
			t.Errorf("%s: got %+v, %v, want what it claims", name, info, err)
		}
		if cost > 64<<10 {
			t.Errorf("%s: inspecting took %d bytes", name, cost)
		}
		if name != "gif" && info.DecodeBytes(nil) < info.Pixels()*3/2 {
			t.Errorf("%s: %d bytes for %d pixels", name, info.DecodeBytes(nil), info.Pixels())
		}
	}
}

// A limit of our own must not refuse what the decoders take.
func TestWalksAgreeWithDecoders(t *testing.T) {
	photo := jpegOf(t, picture(60, 40))
	comment := []byte("!\xfe\x03abc\x02de\x00")
	still := gifOf(t, 60, 40, paletted(image.Rect(0, 0, 60, 40), red, green, blue, yellow))
	at := bytes.IndexByte(still, ',')
	commented := bytes.Join([][]byte{still[:at], comment, still[at:]}, nil)
	filled := mediatest.JPEGWith(photo, []byte{0xff, 0xff})
	garbled := mediatest.JPEGWith(photo, mediatest.Segment(0xfe, "a comment"), []byte{1, 2, 3})
	for i, data := range [][]byte{filled, garbled, commented} {
		t.Run(fmt.Sprint(i), func(t *testing.T) { squares(t, data, 16) })
	}
}
