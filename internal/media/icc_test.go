package media

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"testing"

	"sluice/internal/media/mediatest"
)

// Colours of well-known profiles, and what they are in sRGB.
func TestProfilesBecomeSRGB(t *testing.T) {
	grey := func(y uint8) color.RGBA { return color.RGBA{y, y, y, 255} }
	linear := mediatest.Primaries(mediatest.Sampled(), [3]float64{0.43607, 0.22249, 0.01392}, [3]float64{0.38515, 0.71687, 0.09708}, [3]float64{0.14307, 0.06061, 0.7141})
	greyOf := func(curve []byte) []byte { return mediatest.Profile("GRAY", map[string][]byte{"kTRC": curve}) }
	for name, c := range map[string]struct {
		profile      []byte
		stored, want color.RGBA
	}{
		"P3: red of sRGB":          {mediatest.DisplayP3(), color.RGBA{234, 51, 35, 255}, color.RGBA{255, 0, 0, 255}},
		"P3: green of sRGB":        {mediatest.DisplayP3(), color.RGBA{117, 251, 76, 255}, color.RGBA{0, 255, 0, 255}},
		"P3: beyond sRGB":          {mediatest.DisplayP3(), color.RGBA{255, 0, 0, 255}, color.RGBA{255, 0, 0, 255}},
		"P3: skin":                 {mediatest.DisplayP3(), color.RGBA{225, 180, 160, 255}, color.RGBA{232, 178, 157, 255}},
		"P3: grey":                 {mediatest.DisplayP3(), grey(100), grey(100)},
		"P3: white":                {mediatest.DisplayP3(), grey(255), grey(255)},
		"Adobe RGB: red of sRGB":   {mediatest.AdobeRGB(), color.RGBA{219, 0, 0, 255}, color.RGBA{255, 0, 0, 255}},
		"Adobe RGB: green of sRGB": {mediatest.AdobeRGB(), color.RGBA{144, 255, 60, 255}, color.RGBA{0, 255, 0, 255}},
		"light itself":             {linear, grey(55), grey(128)},
		"grey: light itself":       {greyOf(mediatest.Sampled(0, 65535)), grey(55), grey(128)},
		"grey: gamma 1.8":          {greyOf(mediatest.Sampled(0x1cd)), grey(100), grey(119)},
	} {
		t.Run(name, func(t *testing.T) {
			conversion := newToSRGB(c.profile)
			if conversion == nil {
				t.Fatal("not read")
			}
			pixel := []byte{c.stored.R, c.stored.G, c.stored.B, 255}
			conversion.convert(pixel)
			if got := (color.RGBA{pixel[0], pixel[1], pixel[2], 255}); !alike(got, c.want, 3) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// Every kind of parametric curve that says what sRGB's does, or nearly, changes nothing.
func TestSRGBByAnyNameIsLeftAlone(t *testing.T) {
	samples := make([]uint16, 1024)
	for i := range samples {
		samples[i] = uint16(srgbLight(float64(i)/1023)*65535 + 0.5)
	}
	for name, curve := range map[string][]byte{
		"kind 3": mediatest.SRGBCurve(), "kind 4": mediatest.Parametric(4, 2.4, 1/1.055, 0.055/1.055, 1/12.92, 0.04045, 0, 0), "samples": mediatest.Sampled(samples...),
	} {
		profile := mediatest.Primaries(curve, [3]float64{0.43607, 0.22249, 0.01392}, [3]float64{0.38515, 0.71687, 0.09708}, [3]float64{0.14307, 0.06061, 0.7141})
		if got := newToSRGB(profile); got != nil {
			t.Errorf("%s: it is converted", name)
		}
	}
	for kind, numbers := range [][]float64{{2.2}, {2.2, 1, 0}, {2.2, 1, 0, 0}} { // the same curve in three ways
		curve := curveOf(mediatest.Parametric(byte(kind), numbers...))
		if curve == nil || curve(0) != 0 || curve(1) != 1 || curve(0.5) < 0.2175 || curve(0.5) > 0.2177 {
			t.Errorf("kind %d: not the power of 2.2", kind)
		}
	}
}

func TestStrangeProfilesAreTakenForSRGB(t *testing.T) {
	at := func(offset int, bytes string) []byte {
		p := mediatest.DisplayP3()
		copy(p[offset:], bytes)
		return p
	}
	without := mediatest.Profile("RGB ", map[string][]byte{"rTRC": mediatest.SRGBCurve(), "A2B0": make([]byte, 40)})
	otherWhite := mediatest.Primaries(mediatest.SRGBCurve(), [3]float64{0.4124, 0.2126, 0.0193}, [3]float64{0.3576, 0.7152, 0.1192}, [3]float64{0.1805, 0.0722, 0.9505})
	many := binary.BigEndian.AppendUint32([]byte("curv\x00\x00\x00\x00"), 1<<31)
	for name, profile := range map[string][]byte{
		"none": nil, "cut short": mediatest.DisplayP3()[:131], "no signature": at(36, "xxxx"), "inks": at(16, "CMYK"), "Lab": at(20, "Lab "), "version 9": at(8, "\x09"),
		"tables alone": without, "white of D65": otherWhite, "tags far away": at(136, "\xff\xff\xff\xff\xff\xff\xff\xff"), "tags": at(128, "\xff\xff\xff\xff\x00"),
		"2^31 samples": mediatest.Primaries(many, d50, d50, d50), "curve of no kind": mediatest.Primaries(mediatest.Parametric(9, 1), d50, d50, d50),
		"curve cut short": mediatest.Primaries(mediatest.Parametric(4, 1), d50, d50, d50), "curve of 12 bytes": mediatest.Primaries([]byte("parasluice\x00\x00"), d50, d50, d50),
	} {
		if got := newToSRGB(profile); got != nil {
			t.Errorf("%s: it is converted", name)
		}
	}
}

// The same picture in every container, with a profile in every way of putting it there.
func TestProfilesAreFoundInEveryContainer(t *testing.T) {
	stored, want := color.RGBA{234, 51, 35, 255}, color.RGBA{255, 0, 0, 255}
	plain := quarters(image.NewRGBA(image.Rect(0, 0, 90, 60)), stored, stored, stored, stored)
	photo, drawing := jpegOf(t, plain), pngOf(t, plain)
	parts := mediatest.ProfileSegments(mediatest.DisplayP3(), 100)
	lossless := file(t, "lossless.webp")[webpHeaderLen:]
	ours := corners(t, squares(t, file(t, "lossless.webp"), 64)[0])
	theirs := corners(t, squares(t, mediatest.RIFF(extended(1<<5), mediatest.RIFFChunk("ICCP", mediatest.DisplayP3()), lossless), 64)[0])
	if alike(ours[0], theirs[0], 9) {
		t.Errorf("WebP: %v with a profile, %v without", theirs[0], ours[0])
	}
	missing := append(bytes.Clone(parts[0]), parts[2]...)
	for name, c := range map[string]struct {
		data []byte
		want color.RGBA
	}{
		"jpeg":              {mediatest.JPEGWith(photo, mediatest.ProfileSegments(mediatest.DisplayP3(), 60_000)...), want},
		"jpeg, parts":       {mediatest.JPEGWith(photo, parts...), want},
		"jpeg, disorder":    {mediatest.JPEGWith(photo, append(parts[1:len(parts):len(parts)], parts[0])...), want},
		"jpeg, part gone":   {mediatest.JPEGWith(photo, missing), stored},
		"jpeg, part twice":  {mediatest.JPEGWith(photo, append(parts[:len(parts):len(parts)], parts[0])...), stored},
		"jpeg, part 0":      {mediatest.JPEGWith(photo, mediatest.Segment(markerAPP2, jpegProfile+"\x00\x01"+string(mediatest.DisplayP3()))), stored},
		"jpeg, none":        {mediatest.JPEGWith(photo, mediatest.Segment(markerAPP2, jpegProfile+"\x01\x00")), stored},
		"jpeg, claims 4 GB": {mediatest.JPEGWith(photo, mediatest.Segment(markerAPP2, jpegProfile+"\x01\x01\xff\xff\xff\xff"+string(mediatest.DisplayP3()[4:]))), want},
		"png":               {pngWith(drawing, mediatest.Chunk("iCCP", mediatest.DeflatedProfile(mediatest.DisplayP3())), false), want},
		"png, claims 4 GB":  {pngWith(drawing, mediatest.Chunk("iCCP", mediatest.DeflatedProfile(append([]byte("\xff\xff\xff\xff"), mediatest.DisplayP3()[4:]...))), false), stored},
		"png, cut short":    {pngWith(drawing, mediatest.Chunk("iCCP", mediatest.DeflatedProfile(mediatest.DisplayP3())[:60]), false), stored},
		"png, no name":      {pngWith(drawing, mediatest.Chunk("iCCP", []byte("name")), false), stored},
		"png, bomb":         {pngWith(drawing, mediatest.Chunk("iCCP", append([]byte("x\x00\x00"), mediatest.DeflatedZeros(16<<20)...)), false), stored},
	} {
		t.Run(name, func(t *testing.T) {
			for _, got := range corners(t, squares(t, c.data, 32)[0]) {
				if !alike(got, c.want, 9) {
					t.Errorf("got %v, want %v", got, c.want)
				}
			}
		})
	}
}

// A profile costs what it claims, up to a bound, wherever it lies.
func TestProfilesAreBounded(t *testing.T) {
	photo := jpegOf(t, picture(60, 40))
	large := append(mediatest.DisplayP3(), make([]byte, maxProfile)...)
	honest := bytes.Clone(large)
	binary.BigEndian.PutUint32(honest, uint32(len(honest)))
	for name, data := range map[string][]byte{
		"says it": pngWith(pngOf(t, picture(60, 40)), mediatest.Chunk("iCCP", mediatest.DeflatedProfile(honest)), false),
		"jpeg":    mediatest.JPEGWith(photo, mediatest.ProfileSegments(large, 60_000)...),
		"png":     pngWith(pngOf(t, picture(60, 40)), mediatest.Chunk("iCCP", mediatest.DeflatedProfile(large)), false),
		"bomb":    pngWith(pngOf(t, picture(60, 40)), mediatest.Chunk("iCCP", append([]byte("x\x00\x00"), mediatest.DeflatedZeros(16<<20)...)), false),
		"webp":    mediatest.RIFF(extended(1<<5), mediatest.RIFFChunk("ICCP", large), file(t, "lossless.webp")[webpHeaderLen:]),
	} {
		_, profile, err := inspect(data)
		if err != nil {
			t.Fatal(err)
		}
		var read []byte
		took := allocated(func() { read = profile.read() })
		if took > maxProfile+128<<10 || took > profile.bytes()+1<<10 || len(read) > maxProfile {
			t.Errorf("%s: %d bytes read, which took %d of %d", name, len(read), took, profile.bytes())
		}
	}
}

func FuzzProfile(f *testing.F) {
	f.Add(mediatest.DisplayP3())
	f.Add(mediatest.AdobeRGB())
	f.Add(mediatest.Primaries(mediatest.Sampled(0, 9, 65535), d50, d50, d50))
	f.Add(mediatest.Profile("GRAY", map[string][]byte{"kTRC": mediatest.Parametric(4, 2.2, 1, 0, 1, 0.5, 0.1, 0.1)}))
	f.Fuzz(func(t *testing.T, profile []byte) {
		newToSRGB(profile).apply(image.NewRGBA(image.Rect(0, 0, 3, 3)))
		square := opaque(3)
		newToSRGB(profile).apply(square)
		for i := 3; i < len(square.Pix); i += 4 {
			if square.Pix[i] != 255 {
				t.Fatal("it is transparent now")
			}
		}
	})
}

func opaque(edge int) *image.RGBA {
	return quarters(image.NewRGBA(image.Rect(0, 0, edge, edge)), red, green, blue, yellow)
}
