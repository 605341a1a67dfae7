package media

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// heifOf encodes a picture with heif-enc.
func heifOf(t *testing.T, m image.Image, arguments ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from.png"), filepath.Join(dir, "to.heic")
	f, err := os.Create(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join((&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(f, m), f.Close()); err != nil {
		t.Fatal(err)
	}
	arguments = append(arguments, from, "-o", to)
	if out, err := exec.CommandContext(t.Context(), program(t, "heif-enc"), arguments...).CombinedOutput(); err != nil {
		t.Fatalf("heif-enc: %v: %s", err, out)
	}
	data, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// faded goes from one side to the other in colour, and in transparency too if it is to; 16 bits a channel, or 8.
func faded(m draw.Image, transparent bool) image.Image {
	width, height := m.Bounds().Dx(), m.Bounds().Dy()
	for y := range height {
		for x := range width {
			alpha := uint16(0xffff)
			if transparent {
				alpha = uint16(x * 0xffff / width)
			}
			m.Set(x, y, color.NRGBA64{uint16(x * 0xffff / width), uint16(y * 0xffff / height), uint16(x * y), alpha})
		}
	}
	return m
}

func shallow(width, height int) image.Image {
	return faded(image.NewNRGBA(image.Rect(0, 0, width, height)), false)
}

func deep(width, height int, transparent bool) image.Image {
	return faded(image.NewNRGBA64(image.Rect(0, 0, width, height)), transparent)
}

// peaks returns the largest resident memory of the child, in bytes, as far as the kernel told while it lived. It only ever
// grows, and most of a child's time is after its peak.
func peaks(c *Converter) (peak func() int64) {
	var most int64
	done := make(chan struct{})
	c.started = func(pid int) {
		go func() {
			defer close(done)
			for {
				raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
				_, rest, found := strings.Cut(string(raw), "VmHWM:")
				if err != nil || !found {
					return
				}
				kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				most = max(most, kib<<10)
			}
		}()
	}
	return func() int64 { <-done; return most }
}

// shapes are pictures of every kind that makes a difference in memory. Large ones are tiles, as telephones make them; those of one
// piece take long to encode.
func shapes(t *testing.T) map[string][]byte {
	av1 := []string{"-A", "-q", "50", "-p", "speed=9"}
	hevc := []string{"-q", "50", "-p", "preset=ultrafast"}
	with := func(list []string, more ...string) []string { return append(list[:len(list):len(list)], more...) }
	tiled := func(rows, columns int, tile []byte) []byte {
		f := unpack(t, tile)
		f.rows, f.columns, f.wide, f.high = rows, columns, uint32(columns)*512, uint32(rows)*512
		return f.bytes()
	}
	files := map[string][]byte{
		"HEIC, 1 megapixel":                 heifOf(t, shallow(1200, 900), hevc...),
		"HEIC, 12 megapixels":               tiled(6, 8, heifOf(t, shallow(512, 512), hevc...)),
		"HEIC, 48 megapixels, 10 bits":      tiled(12, 16, heifOf(t, deep(512, 512, false), with(hevc, "-b", "10")...)),
		"HEIC, 1 megapixel, 10 bits, alpha": heifOf(t, deep(1200, 900, true), with(hevc, "-b", "10")...),
		"AVIF, 1 megapixel":                 heifOf(t, shallow(1200, 900), av1...),
		"AVIF, 12 megapixels":               tiled(6, 8, heifOf(t, shallow(512, 512), av1...)),
		"AVIF, 1 megapixel, 12 bits, alpha": heifOf(t, deep(1200, 900, true), with(av1, "-b", "12")...),
	}
	if os.Getenv("SOAK") == "1" {
		files["HEIC, 12 megapixels, one piece"] = heifOf(t, shallow(4032, 3024), hevc...)
		files["HEIC, 48 megapixels, one piece"] = heifOf(t, shallow(8000, 6000), hevc...)
		files["HEIC, 12 megapixels, 10 bits, one piece"] = heifOf(t, deep(4032, 3024, false), with(hevc, "-b", "10")...)
		files["HEIC, 12 megapixels, 10 bits, 4:4:4"] = heifOf(t, deep(4032, 3024, false), with(hevc, "-b", "10", "-p", "chroma=444")...)
		files["HEIC, 48 megapixels, 10 bits, alpha"] = heifOf(t, deep(8000, 6000, true), with(hevc, "-b", "10")...)
		files["HEIC, 48 megapixels"] = tiled(12, 16, heifOf(t, shallow(512, 512), hevc...))
		files["AVIF, 48 megapixels"] = tiled(12, 16, heifOf(t, shallow(512, 512), av1...))
		files["AVIF, 16 megapixels, one piece"] = heifOf(t, shallow(4096, 4096), av1...)
		files["AVIF, 16 megapixels, 12 bits, alpha"] = heifOf(t, deep(4096, 4096, true), with(av1, "-b", "12")...)
	}
	return files
}

// The memory gate counts a child by its estimate, and the child is held to it by the kernel: a picture that needs more would
// be refused, so every kind has to come through.
func TestChildKeepsToItsEstimate(t *testing.T) {
	if raceEnabled {
		t.Skip("it is about another process")
	}
	for name, data := range shapes(t) {
		t.Run(name, func(t *testing.T) {
			c := converter(t)
			peak := peaks(c)
			info := inspected(t, data)
			if _, _, err := c.Convert(t.Context(), data, info, 512); err != nil {
				t.Fatal(err)
			}
			took := peak()
			t.Logf("%4d MiB at the peak, %4d MiB estimated, %.2f", took>>20, info.decoder>>20, float64(info.decoder)/float64(took))
			if took > info.decoder || info.decoder > 3*took {
				t.Errorf("estimated %d bytes, took %d", info.decoder, took)
			}
		})
	}
}

// A header that promises a small picture does not get a large one decoded.
func TestChildDiesOfAPictureLargerThanItsHeader(t *testing.T) {
	paper := image.NewRGBA(image.Rect(0, 0, 3000, 2400))
	for i := range paper.Pix {
		paper.Pix[i] = 0xff
	}
	large := unpack(t, heifOf(t, paper, "-q", "30", "-p", "preset=ultrafast"))
	large.width, large.height = 100, 100
	grid := large
	grid.rows, grid.columns, grid.wide, grid.high = 4, 4, 400, 400
	for name, f := range map[string]heifFile{"alone": large, "as tiles": grid} {
		c := converter(t)
		peak := peaks(c)
		data := f.bytes()
		info := inspected(t, data)
		if _, err := developed(t, c, data, 64); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v, want %v", name, err, ErrMalformed)
		}
		took := peak()
		t.Logf("%s: %d MiB at the peak, %d MiB estimated", name, took>>20, info.decoder>>20)
		if took > info.decoder {
			t.Errorf("%s: took %d bytes, estimated %d", name, took, info.decoder)
		}
	}
}
