package media

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image/color"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// program returns where a program is. A machine without it cannot run the test; with CI set that is a failure.
func program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if ci := os.Getenv("CI"); ci == "1" || ci == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return path
}

func converter(t testing.TB) *Converter { return converterOf(t, program(t, "vipsthumbnail")) }

func converterOf(t testing.TB, path string) *Converter {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("HEIC is read on Linux only")
	}
	c, err := NewConverter(path, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// developed converts a picture and makes a square of it.
func developed(t testing.TB, c *Converter, data []byte, edge int) (Picture, error) {
	t.Helper()
	png, _, err := c.Convert(t.Context(), data, inspected(t, data), edge)
	if err != nil {
		return Picture{}, err
	}
	return squares(t, png, edge)[0], nil
}

func TestHEICAndAVIFComeOutRight(t *testing.T) {
	c := converter(t)
	for mediaType, photo := range photos(t) {
		for _, edge := range []int{32, 64, 300} { // smaller, as high, larger
			p, err := developed(t, c, photo.bytes(), edge)
			if err != nil {
				t.Fatal(mediaType, err)
			}
			wantCorners(t, p, red, green, blue, yellow)
		}
	}
}

func TestGridComesOutWhole(t *testing.T) {
	for mediaType, photo := range photos(t) {
		photo.rows, photo.columns, photo.wide, photo.high = 3, 2, 192, 192
		p, err := developed(t, converter(t), photo.bytes(), 96)
		if err != nil {
			t.Fatal(mediaType, err)
		}
		wantCorners(t, p, red, green, blue, yellow) // of the first tile, and of the last
	}
}

// Turns and mirrors of the file are applied once, in their order; an orientation in EXIF data changes nothing about it.
func TestHEIFIsTurnedOnce(t *testing.T) {
	c := converter(t)
	stored := []color.RGBA{red, green, blue, yellow}
	turn := func(at []color.RGBA, left byte) []color.RGBA { // by quarters, against the clock (ISO/IEC 23008-12, 6.5.10)
		for range left {
			at = []color.RGBA{at[1], at[3], at[0], at[2]}
		}
		return at
	}
	mirrors := map[string]func([]color.RGBA) []color.RGBA{
		"none": func(at []color.RGBA) []color.RGBA { return at },
		"0":    func(at []color.RGBA) []color.RGBA { return []color.RGBA{at[2], at[3], at[0], at[1]} },
		"1":    func(at []color.RGBA) []color.RGBA { return []color.RGBA{at[1], at[0], at[3], at[2]} },
	}
	for mediaType, photo := range photos(t) {
		for left := range byte(4) {
			for axis, mirror := range mirrors {
				for _, orientation := range []uint16{0, 6} {
					if orientation == 0 && left != 1 {
						continue
					}
					f := photo
					f.more = [][]byte{sealed("irot", []byte{left})}
					if axis != "none" {
						f.more = append(f.more, sealed("imir", []byte{axis[0] - '0'}))
					}
					if orientation > 0 {
						f.exif = exif(binary.BigEndian, orientation)
					}
					p, err := developed(t, c, f.bytes(), 48)
					if err != nil {
						t.Fatal(err)
					}
					t.Run(fmt.Sprintf("%s, %d to the left, mirror %s, EXIF %d", mediaType, left, axis, orientation), func(t *testing.T) {
						wantCorners(t, p, mirror(turn(slices.Clone(stored), left))...)
					})
				}
			}
		}
	}
}

func TestDamagedHEIFIsMalformed(t *testing.T) {
	c := converter(t)
	for mediaType, photo := range photos(t) {
		noise := photo
		noise.coded = bytes.Repeat([]byte{0xa5, 0x3c, 0x00, 0x7f}, len(photo.coded)/4)
		empty := photo
		empty.coded = nil
		for name, f := range map[string]heifFile{"noise": noise, "nothing": empty} {
			if _, err := developed(t, c, f.bytes(), 32); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s, %s: got %v, want %v", mediaType, name, err, ErrMalformed)
			}
		}
	}
}

// script is a program in the place of vipsthumbnail: what the child may do is what it may do.
func script(t *testing.T, lines string) *Converter {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bin", "child")
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+lines), 0o755); err != nil {
		t.Fatal(err)
	}
	return converterOf(t, path)
}

// tells runs lines as the child, once it has input, and returns what they print on standard error.
func tells(t *testing.T, lines string) string {
	t.Helper()
	c := script(t, "input=$(/usr/bin/head -c 1); { "+lines+"\n} 1>&2 2>&1; exit 1")
	var log bytes.Buffer
	c.log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	photo := photos(t)["image/heic"].bytes()
	if _, _, err := c.Convert(t.Context(), photo, inspected(t, photo), 32); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v, want %v", err, ErrMalformed)
	}
	return log.String()
}

func TestChildIsConfined(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "upload")
	if err := os.WriteFile(secret, []byte("SECRET"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SLUICE_SECRET", "SECRET")
	for name, c := range map[string]struct{ lines, without, with string }{
		"reads no file of others": {"while read l; do echo $l; done < '" + secret + "'; echo END", "SECRET", "END"},
		"writes no file":          {"echo hello > /tmp/sluice-child-was-here && echo WRITTEN; echo END", "WRITTEN", "END"},
		"knows no environment":    {"set; echo END", "SECRET", "VIPS_BLOCK_UNTRUSTED"},
		"has three files":         {"(: <&4) && echo OPEN; (: <&7) && echo OPEN; echo END", "OPEN", "END"},
		"has no core":             {"ulimit -c; echo END", "unlimited", `0\nEND`},
		"has little memory":       {"ulimit -d; echo END", "unlimited", `655`},
		"has no time":             {"ulimit -t", "unlimited", "15"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tells(t, c.lines); strings.Contains(got, c.without) || !strings.Contains(got, c.with) {
				t.Errorf("want no %q, but %q; the child said: %s", c.without, c.with, got)
			}
		})
	}
	if os.Remove("/tmp/sluice-child-was-here") == nil {
		t.Error("the child wrote a file")
	}
}

// Whose fault it is decides whether a file is refused or tried again.
func TestBlameForAChildThatFails(t *testing.T) {
	photo := photos(t)["image/heic"].bytes()
	info := inspected(t, photo)
	for name, c := range map[string]struct {
		lines string
		file  bool // its fault
	}{
		"says no":              {"exit 1", true},
		"crashes":              {"kill -SEGV $$", true},
		"meets its limit":      {"kill -XCPU $$", true},
		"says nothing":         {"exit 0", true},
		"makes something else": {"echo GIF89a", true},
		"is killed":            {"kill -KILL $$", false},
		"cannot be loaded":     {"exit 127", false},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := script(t, c.lines).Convert(t.Context(), photo, info, 32)
			if err == nil || errors.Is(err, ErrMalformed) != c.file {
				t.Errorf("got %v, want it to be the file's fault: %t", err, c.file)
			}
		})
	}
	t.Run("is not there", func(t *testing.T) {
		c := script(t, "")
		if err := os.Remove(c.program); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Convert(t.Context(), photo, info, 32); err == nil || errors.Is(err, ErrMalformed) {
			t.Errorf("got %v, want what is not the file's fault", err)
		}
	})
}

func TestOutputIsBounded(t *testing.T) {
	photo := photos(t)["image/heic"].bytes()
	info := inspected(t, photo)
	c := script(t, "while :; do echo 0123456789012345678901234567890123456789; done")
	var err error
	if took := allocated(func() { _, _, err = c.Convert(t.Context(), photo, info, 32) }); took > 64<<20 || !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v, and %d bytes of output were kept", err, took)
	}
}

// The end of the context ends the child, whatever it does.
func TestContextEndsTheChild(t *testing.T) {
	photo := photos(t)["image/heic"].bytes()
	c := script(t, "trap '' TERM INT HUP; while :; do :; done")
	ctx, cancel := context.WithCancel(t.Context())
	var pid int
	c.started = func(child int) { pid = child; cancel() }
	if _, _, err := c.Convert(ctx, photo, inspected(t, photo), 32); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); pid == 0 || err == nil {
		t.Errorf("the child %d is still there", pid)
	}
}

// A child that waits for ever is the file's doing: it would do so again.
func TestClockEndsTheChild(t *testing.T) {
	photo := photos(t)["image/heic"].bytes()
	c := script(t, "while :; do :; done")
	c.within = time.Millisecond
	if _, _, err := c.Convert(t.Context(), photo, inspected(t, photo), 32); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v, want %v", err, ErrMalformed)
	}
}

func TestConverterNeedsAnAbsolutePath(t *testing.T) {
	if c, err := NewConverter("vipsthumbnail", nil); err == nil {
		t.Errorf("got %+v", c)
	}
}
