package mediatest

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"slices"
)

// Sample is a file that somebody might upload as a picture.
type Sample struct {
	Name string
	Data []byte
	// Code is that of the rejection which it has to meet; "" if it is harmless, and taken: then the pictures made from it
	// hold nothing of its [Payload].
	Code string
}

// Payload is in every sample that is two things at once.
const Payload = "<script>alert('sluice payload')</script>"

// The codes that rejections have. They are the same as in package upload, of which this one knows nothing.
const (
	unsupported = "unsupported_media_type"
	unreadable  = "unreadable_image"
	tooLarge    = "too_many_pixels"
)

// Corpus are hostile files for a server that takes pictures of up to maxPixels, at least 10,000.
func Corpus(maxPixels int) []Sample {
	return slices.Concat(otherFiles(), cutShort(), polyglots(), bombs(maxPixels), profiles())
}

// otherFiles are no pictures that are taken, whatever they are called.
func otherFiles() []Sample {
	return []Sample{
		{"nothing", nil, unsupported},
		{"one byte", []byte{0xff}, unsupported},
		{"text", []byte("hello"), unsupported},
		{"HTML", []byte("<!DOCTYPE html><html><body>" + Payload), unsupported},
		{"SVG", []byte(`<svg xmlns="http://www.w3.org/2000/svg">` + Payload + "</svg>"), unsupported},
		{"SVG behind a declaration", []byte("<?xml version=\"1.0\"?>\n<!-- x --><svg xmlns=\"http://www.w3.org/2000/svg\"/>"), unsupported},
		{"SVG of entities", []byte(`<!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><svg>&b;</svg>`), unsupported},
		{"PDF", []byte("%PDF-1.7\n" + Payload), unsupported},
		{"archive", append([]byte("PK\x03\x04"), photo()...), unsupported},
		{"program", append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 500)...), unsupported},
		{"TIFF", append([]byte("II*\x00\x08\x00\x00\x00"), make([]byte, 500)...), unsupported},
		{"BMP", append([]byte("BM\xff\xff\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00"), make([]byte, 500)...), unsupported},
		{"sound", append([]byte("RIFF\xff\x00\x00\x00WAVEfmt "), make([]byte, 500)...), unsupported},
		{"noise", noise(5000), unsupported},
	}
}

// cutShort are pictures that end where they should not.
func cutShort() (all []Sample) {
	whole := []Sample{{Name: "JPEG", Data: photo()}, {Name: "PNG", Data: drawing()}, {Name: "GIF", Data: animation(2)}}
	for _, s := range whole {
		n := len(s.Data)
		for where, end := range map[string]int{
			"after its first bytes": 8, "in its header": 20, "after a quarter": n / 4, "in the middle": n / 2, "before its last bytes": n - 3, "before the last": n - 1,
		} {
			all = append(all, Sample{s.Name + ", cut " + where, s.Data[:end], unreadable})
		}
		holed := bytes.Clone(s.Data)
		clear(holed[n/3 : 2*n/3])
		if s.Name != "JPEG" { // whose decoder draws something from anything
			all = append(all, Sample{s.Name + " with a hole", holed, unreadable})
		}
	}
	slices.SortFunc(all, func(a, b Sample) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	return all
}

// polyglots are a picture and something else. As a picture they are in order, and what is made of them is nothing else.
func polyglots() []Sample {
	comment := "!\xfe" + string([]byte{byte(len(Payload))}) + Payload + "\x00"
	moving := animation(1)
	const screen = 13 // bytes of its header
	at := screen + bytes.IndexAny(moving[screen:], "!,")
	return []Sample{
		{"JPEG and HTML", append(photo(), Payload...), ""},
		{"JPEG and archive", append(photo(), "PK\x03\x04"+Payload+"PK\x05\x06"...), ""},
		{"JPEG with a comment in HTML", JPEGWith(photo(), Segment(0xfe, Payload)), ""},
		{"JPEG that is a script", JPEGWith(photo(), Segment(0xe0, "*/=1;"+Payload+"/*")), ""},
		{"JPEG with EXIF in HTML", JPEGWith(photo(), Segment(0xe1, "Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff"+Payload)), ""},
		{"JPEG whose EXIF goes round", JPEGWith(photo(), Segment(0xe1, "Exif\x00\x00II*\x00\x00\x00\x00\x00"+Payload)), ""},
		{"GIF and script", append(animation(1), "*/=1;"+Payload...), ""},
		{"GIF with a comment in HTML", bytes.Join([][]byte{moving[:at], []byte(comment), moving[at:]}, nil), ""},
		{"PNG and archive", append(drawing(), "PK\x03\x04"+Payload...), ""},
		{"PNG with text in HTML", pngWith(drawing(), Chunk("tEXt", []byte("Comment\x00"+Payload))), ""},
		{"HTML and JPEG", append([]byte("<html>"+Payload), photo()...), unsupported},
		{"PDF and JPEG", append([]byte("%PDF-1.7\n"), photo()...), unsupported},
	}
}

// bombs are small files that ask for much: memory, or time.
func bombs(maxPixels int) []Sample {
	side := int(math.Sqrt(float64(maxPixels)))
	scans := FlatJPEG{SOF: SOF2, Width: side, Height: side, Components: YCbCr(0x11), Scans: 2}
	inks := append(YCbCr(0x11), FlatComponent{ID: 4, Sampling: 0x11, Level: 9})
	adobe := [][]byte{Segment(APP14, "Adobe\x00\x64\x00\x00\x00\x00\x02")}
	return []Sample{
		{"PNG of 50,000 x 50,000", pngOf(50_000, 50_000, DeflatedZeros(16<<20)), tooLarge},
		{"PNG of 2^31 x 2^31", append(PNGHeader(1<<31-1, 1<<31-1, 8, 2, 0), pngEnd()...), unsupported},
		{"PNG of one long row", append(PNGHeader(1<<20, 2, 16, 6, 1), pngEnd()...), tooLarge},
		{"PNG as large as allowed", InterlacedPNG(side, side, 16, 6), ""},
		{"PNG that goes on", pngOf(100, 100, DeflatedZeros(16<<20)), unreadable},
		{"PNG that ends early", pngOf(side, side, DeflatedZeros(1000)), unreadable},
		{"PNG with much text", pngWith(drawing(), Chunk("zTXt", append([]byte("Comment\x00\x00"), DeflatedZeros(16<<20)...))), ""},
		{"PNG in a hundred thousand chunks", pngWith(drawing(), bytes.Repeat(Chunk("teSt", nil), 100_000)), unreadable},
		{"PNG with a hundred thousand empty pieces", pngWith(pngOf(100, 100, DeflatedZeros(100*301)), bytes.Repeat(Chunk("IDAT", nil), 100_000)), ""},
		{"JPEG of 65,500 x 65,500", resized(photo(), 65_500, 65_500), tooLarge},
		{"JPEG of little data", resized(photo(), side, side), unreadable},
		{"JPEG of a thousand scans", manyScans(scans, 1000), unreadable},
		{"JPEG of inks, as large as allowed", FlatJPEG{SOF: SOF2, Width: side, Height: side, Components: inks, Segments: adobe}.Bytes(), ""},
		{"GIF of 65,535 x 65,535 with a dot", wideScreen(animation(1)), tooLarge},
		{"GIF of twenty thousand pictures", animation(20_000), ""},
		{"WebP of many tables", HostileWebP(2600, true), unreadable},
		{"WebP of 16,384 x 16,384", RIFF(RIFFChunk("VP8L", []byte("\x2f\xff\xff\xff\x0f"))), tooLarge},
		{"WebP that says 4 GB", append([]byte("RIFF\xff\xff\xff\xffWEBPVP8L\xff\xff\xff\xff"), make([]byte, 40)...), unreadable},
	}
}

// profiles are pictures in order with a colour profile that is not.
func profiles() []Sample {
	huge := append([]byte("\xff\xff\xff\xff"), DisplayP3()[4:]...)
	samples := Sampled(1, 2, 3)
	binary.BigEndian.PutUint32(samples[8:], 1<<32-1)
	white := [3]float64{0.3, 0.3, 0.3}
	return []Sample{
		{"profile of 2^32 bytes in a PNG", pngWith(drawing(), Chunk("iCCP", DeflatedProfile(huge))), ""},
		{"profile of 2^32 bytes in a JPEG", JPEGWith(photo(), ProfileSegments(huge, 60_000)...), ""},
		{"profile that is a bomb", pngWith(drawing(), Chunk("iCCP", append([]byte("x\x00\x00"), DeflatedZeros(16<<20)...))), ""},
		{"profile of many megabytes", JPEGWith(photo(), ProfileSegments(append(DisplayP3(), make([]byte, 7<<20)...), 65_000)...), ""},
		{"profile with a curve of 2^32 samples", JPEGWith(photo(), ProfileSegments(Primaries(samples, white, white, white), 60_000)...), ""},
		{"profile in HTML", JPEGWith(photo(), Segment(APP2, "ICC_PROFILE\x00\x01\x01"+Payload)), ""},
	}
}

func pngEnd() []byte { return append(Chunk("IDAT", []byte("x")), Chunk("IEND", nil)...) }

func pngOf(width, height int, deflated []byte) []byte {
	return bytes.Join([][]byte{PNGHeader(uint32(width), uint32(height), 8, 2, 0), Chunk("IDAT", deflated), Chunk("IEND", nil)}, nil)
}

// pngWith puts chunks behind the header.
func pngWith(data, chunks []byte) []byte {
	const header = 8 + 12 + 13
	return bytes.Join([][]byte{data[:header], chunks, data[header:]}, nil)
}

// resized lets the header of a baseline JPEG claim another size.
func resized(data []byte, width, height int) []byte {
	at := bytes.Index(data, []byte{0xff, SOF0})
	claims := bytes.Clone(data)
	binary.BigEndian.PutUint16(claims[at+5:], uint16(height))
	binary.BigEndian.PutUint16(claims[at+7:], uint16(width))
	return claims
}

// manyScans adds scans of a few bytes, each of which skips every block of the picture.
func manyScans(f FlatJPEG, scans int) []byte {
	data := f.Bytes()
	skip := Segment(0xc4, "\x11\x01"+string(make([]byte, 15))+"\xe0") // one symbol: 16,384 blocks end here
	data = append(data[:len(data)-2], skip...)
	blocks := (f.Width + 7) / 8 * ((f.Height + 7) / 8)
	for range scans {
		data = append(append(data, Segment(SOS, "\x01\x01\x01\x01\x3f\x00")...), make([]byte, 2*blocks/(1<<14)+2)...)
	}
	return append(data, 0xff, EOI)
}

func wideScreen(data []byte) []byte {
	copy(data[6:], "\xff\xff\xff\xff")
	return data
}

func scene(width, height int) *image.Paletted {
	m := image.NewPaletted(image.Rect(0, 0, width, height), color.Palette{
		color.RGBA{200, 30, 30, 255}, color.RGBA{30, 180, 30, 255}, color.RGBA{30, 30, 200, 255}, color.RGBA{250, 250, 250, 255},
	})
	for i := range m.Pix {
		m.Pix[i] = byte(i/7^i/width/5) & 3
	}
	return m
}

func photo() []byte {
	var b bytes.Buffer
	must(jpeg.Encode(&b, scene(300, 200), nil))
	return b.Bytes()
}

func drawing() []byte {
	var b bytes.Buffer
	must(png.Encode(&b, scene(300, 200)))
	return b.Bytes()
}

// animation is a GIF whose pictures, but for the first, are a dot.
func animation(pictures int) []byte {
	g := &gif.GIF{Image: []*image.Paletted{scene(300, 200)}, Delay: make([]int, pictures)}
	dot := scene(1, 1)
	for len(g.Image) < pictures {
		g.Image = append(g.Image, dot)
	}
	var b bytes.Buffer
	must(gif.EncodeAll(&b, g))
	return b.Bytes()
}

func noise(n int) []byte {
	b, seed := make([]byte, n), uint32(1)
	for i := range b {
		seed = seed*1664525 + 1013904223
		b[i] = byte(seed >> 24)
	}
	return b
}

// must is for encoders that write to memory what they were made for.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
