package main

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"testing"

	"sluice/internal/config"
	"sluice/internal/media"
	"sluice/internal/upload"
)

// A server must not start with a gate that the largest picture which its limits allow cannot pass: config says how much that
// is, and knows no pictures; media counts them one by one, and knows no limits. These are the largest of each kind, at limits
// from a thumbnail to the most, as wide as high and as long as may be.
func TestLargestPictureIsWithinWhatConfigSays(t *testing.T) {
	base := upload.DefaultProfiles()[1]
	for _, pixels := range []int64{10_000, 1e6, 9e6, 12e6, 50e6, 1e9} {
		for _, edges := range [][]int{base.Variants, {4096, 1}, {16}} {
			p := base
			p.MaxPixels, p.Variants = pixels, edges
			limit := config.WholeJobBytes(p, false)
			for _, size := range sizes(pixels) {
				for name, data := range largest(size[0], size[1]) {
					info, err := media.Inspect(data)
					if err != nil {
						t.Fatalf("%s of %v: %v", name, size, err)
					}
					// The file may be as long as it likes, within the profile's limit.
					if need := p.MaxBytes + info.DecodeBytes(edges); need > limit {
						t.Errorf("%s of %v, variants %v: needs %d, config says %d", name, size, edges, need, limit)
					}
				}
			}
		}
	}
}

// The limits that are built in fit the gate that is built in, and not with half of it to spare.
func TestBuiltInGateIsAboutTheLargestPicture(t *testing.T) {
	cmd, err := config.Parse([]string{"--data", t.TempDir()}, func(string) string { return "" }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range cmd.Profiles {
		if need := config.WholeJobBytes(p, false); p.Lane == upload.Whole && (need > cmd.ImageMemory || need < cmd.ImageMemory/2) {
			t.Errorf("%s needs %d of %d bytes", p.Name, need, cmd.ImageMemory)
		}
	}
}

// sizes are of so many pixels: a square, a strip as long as may be, and one standing.
func sizes(pixels int64) [][2]int {
	side := 1
	for int64(side+1)*int64(side+1) <= pixels && side < media.MaxSide {
		side++
	}
	short := max(1, min(int(pixels/media.MaxSide), media.MaxSide))
	long := min(int(pixels)/short, media.MaxSide)
	odd := max(1, (short-1)/16*16+1) // a row more than whole blocks
	return [][2]int{{side, side}, {long, short}, {short, long}, {min(int(pixels)/odd, media.MaxSide), odd}}
}

func largest(width, height int) map[string][]byte {
	jpegs := map[string][]byte{
		"JPEG of inks":          progressive(width, height, true, 0x11, 0x11, 0x11, 0x11),
		"JPEG of inks, sampled": progressive(width, height, true, 0x22, 0x11, 0x11, 0x22),
		"JPEG 4:4:4":            progressive(width, height, false, 0x11, 0x11, 0x11),
		"JPEG 4:1:0":            progressive(width, height, false, 0x42, 0x11, 0x11),
		"PNG":                   deepPNG(width, height),
	}
	if width < 1<<14 && height < 1<<14 {
		jpegs["WebP"] = losslessWebP(width, height)
	}
	return jpegs
}

func progressive(width, height int, adobe bool, sampling ...byte) []byte {
	segment := func(marker byte, body ...byte) []byte {
		return append(binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(body)+2)), body...)
	}
	frame := []byte{8, byte(height >> 8), byte(height), byte(width >> 8), byte(width), byte(len(sampling))}
	for i, s := range sampling {
		frame = append(frame, byte(i+1), s, 0)
	}
	parts := [][]byte{{0xff, 0xd8}}
	if adobe {
		parts = append(parts, segment(0xee, []byte("Adobe\x00\x64\x00\x00\x00\x00\x02")...))
	}
	return bytes.Join(append(parts, segment(0xc2, frame...), segment(0xda, 1, 1, 0, 0, 0, 0), []byte{0xff, 0xd9}), nil)
}

func deepPNG(width, height int) []byte {
	chunk := func(name string, body []byte) []byte {
		b := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), name...)
		b = append(b, body...)
		return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
	}
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(width)), uint32(height))
	head = append(head, 16, 6, 0, 0, 1) // RGBA of 16 bits, interlaced
	profile := append([]byte("x\x00\x00"), make([]byte, 9000)...)
	return bytes.Join([][]byte{[]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", head), chunk("iCCP", profile), chunk("IEND", nil)}, nil)
}

// losslessWebP has so long a chunk that its tables may be the most.
func losslessWebP(width, height int) []byte {
	size := uint32(width-1) | uint32(height-1)<<14
	chunk := append(binary.LittleEndian.AppendUint32([]byte{0x2f}, size), make([]byte, 1<<17-5)...)
	body := append(binary.LittleEndian.AppendUint32([]byte("WEBPVP8L"), uint32(len(chunk))), chunk...)
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
}
