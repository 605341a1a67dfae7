package media

import (
	"encoding/binary"
	"errors"
	"image"
	"slices"
	"testing"
	"time"
)

// photos are the two kinds, 96 x 64 pixels of four colours.
func photos(t testing.TB) map[string]heifFile {
	return map[string]heifFile{"image/heic": unpack(t, file(t, "photo.heic")), "image/avif": unpack(t, file(t, "photo.avif"))}
}

func TestHEIFHeadersAreRead(t *testing.T) {
	for mediaType, photo := range photos(t) {
		grid := photo
		grid.rows, grid.columns, grid.wide, grid.high = 3, 2, 190, 180
		wide := photo
		wide.width, wide.height = 1<<24, 1
		for name, c := range map[string]struct {
			data []byte
			want image.Point
		}{
			"as it came": {file(t, "photo."+photo.brand), image.Pt(96, 64)},
			"rebuilt":    {photo.bytes(), image.Pt(96, 64)},
			"grid":       {grid.bytes(), image.Pt(190, 180)},
			"largest":    {wide.bytes(), image.Pt(1<<24, 1)},
		} {
			got := inspected(t, c.data)
			if got.MediaType != mediaType || image.Pt(got.Width, got.Height) != c.want || got.Orientation != upright {
				t.Errorf("%s, %s: got %+v, want %v", mediaType, name, got, c.want)
			}
		}
	}
}

// What a header says beyond the size makes a picture take more memory, never less.
func TestHEIFEstimateGoesByDepthAndTransparency(t *testing.T) {
	photo := photos(t)["image/heic"]
	plain := inspected(t, photo.bytes())
	deep, alpha, depth := photo, photo, photo
	deep.setup = slices.Clone(photo.setup)
	deep.setup[8+17] |= 2 // 10 bits
	alpha.more = [][]byte{sealed("auxC", make([]byte, 4), []byte("urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\x00"))}
	depth.more = [][]byte{sealed("auxC", make([]byte, 4), []byte("urn:mpeg:hevc:2015:auxid:2\x00"))}
	av1 := photos(t)["image/avif"]
	shallow := inspected(t, av1.bytes())
	av1.setup = slices.Clone(av1.setup)
	av1.setup[8+2] |= 0x40
	const pixels = 96 * 64
	for name, c := range map[string]struct {
		file heifFile
		than Info
		want int64 // for each pixel more
	}{
		"10 bits": {deep, plain, deepPixel - shallowPixel}, "AVIF, 10 bits": {av1, shallow, deepPixel - shallowPixel},
		"transparency": {alpha, plain, alphaPixel}, "a map of depth": {depth, plain, 0},
	} {
		data := c.file.bytes()
		added := fileCopies * int64(len(data)-len(photo.bytes()))
		if c.file.brand == "avif" {
			added = 0
		}
		if got := (inspected(t, data).decoder - c.than.decoder - added) / pixels; got != c.want {
			t.Errorf("%s: got %d bytes a pixel more, want %d", name, got, c.want)
		}
	}
}

func TestBrokenHEIFIsMalformed(t *testing.T) {
	for mediaType, photo := range photos(t) {
		whole := photo.bytes()
		for keep := 32; keep < len(whole); keep++ {
			if _, err := Inspect(whole[:keep]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s, %d of %d bytes: got %v, want %v", mediaType, keep, len(whole), err, ErrMalformed)
			}
		}
		for name, data := range brokenHEIF(photo) {
			if _, err := Inspect(data); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s, %s: got %v, want %v", mediaType, name, err, ErrMalformed)
			}
		}
	}
}

func brokenHEIF(photo heifFile) map[string][]byte {
	changed := func(change func(*heifFile)) []byte {
		f := photo
		change(&f)
		return f.bytes()
	}
	start := sealed("ftyp", []byte(photo.brand+"\x00\x00\x00\x00mif1miaf"+photo.brand))
	meta := func(boxes ...[]byte) []byte {
		return slices.Concat(start, sealed("meta", append([][]byte{make([]byte, 4)}, boxes...)...), sealed("mdat"))
	}
	primary := sealed("pitm", packed(uint32(0), uint16(1)))
	size := sealed("ispe", packed(uint32(0), uint32(5), uint32(5)))
	return map[string][]byte{
		"nothing in it":    start,
		"no properties":    meta(primary),
		"no width":         changed(func(f *heifFile) { f.width = 0 }),
		"no height":        changed(func(f *heifFile) { f.height = 0 }),
		"too wide":         changed(func(f *heifFile) { f.width = 1<<24 + 1 }),
		"two sizes":        changed(func(f *heifFile) { f.more = [][]byte{size} }),
		"short size":       changed(func(f *heifFile) { f.more = [][]byte{sealed("ispe", make([]byte, 11))} }),
		"short setup":      changed(func(f *heifFile) { f.setup = f.setup[:10]; binary.BigEndian.PutUint32(f.setup, 10) }),
		"headers twice":    slices.Concat(photo.bytes(), sealed("meta", make([]byte, 4))),
		"box of 4 bytes":   slices.Concat(photo.bytes(), packed(uint32(4), "free")),
		"many items":       meta(primary, sealed("iprp", sealed("ipco", size), sealed("ipma", packed(uint32(0), uint32(1<<31), uint16(1), byte(1), byte(1))))),
		"an item too many": meta(primary, sealed("iprp", sealed("ipco", size), sealed("ipma", packed(uint32(0), uint32(2), uint16(1), byte(1), byte(1))))),
		"many links":       meta(primary, sealed("iprp", sealed("ipco", size), sealed("ipma", packed(uint32(0), uint32(1), uint16(1), byte(255), byte(1))))),
		"another's size":   meta(primary, sealed("iprp", sealed("ipco", size), sealed("ipma", packed(uint32(0), uint32(1), uint16(2), byte(1), byte(1))))),
		"no such property": meta(primary, sealed("iprp", sealed("ipco", size), sealed("ipma", packed(uint32(0), uint32(1), uint16(1), byte(1), byte(9))))),
	}
}

// Headers that lead in circles or never end take bounded time and memory.
func TestHostileHEIFHeadersEnd(t *testing.T) {
	start := sealed("ftyp", []byte("heic\x00\x00\x00\x00mif1heic"))
	size := sealed("ispe", packed(uint32(0), uint32(5), uint32(5)))
	var empty, sizes []byte
	for range 300_000 {
		empty = append(empty, sealed("free")...)
	}
	for range 100_000 {
		sizes = append(sizes, size...)
	}
	links := append(packed(uint32(0), uint32(1<<32-1)), make([]byte, 3<<20)...) // items without properties
	for name, data := range map[string][]byte{
		"boxes":      slices.Concat(start, empty),
		"properties": slices.Concat(start, sealed("meta", make([]byte, 4), sealed("iprp", sealed("ipco", sizes)))),
		"items":      slices.Concat(start, sealed("meta", make([]byte, 4), sealed("iprp", sealed("ipma", links)))),
	} {
		began := time.Now()
		var err error
		took := allocated(func() { _, err = Inspect(data) })
		if err == nil || took > 4<<20 {
			t.Errorf("%s: got %v, and %d bytes", name, err, took)
		}
		t.Logf("%s: %s, %d bytes: %v", name, time.Since(began), took, err)
	}
}

func TestForeignPicturesNeedAConverter(t *testing.T) {
	data := photos(t)["image/avif"].bytes()
	if _, err := Squares(t.Context(), data, inspected(t, data), []int{8}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("got %v, want %v", err, ErrUnsupported)
	}
}
