package media

import (
	"encoding/binary"
	"image"
	"math"
)

// A colour profile says which colours a file's numbers are (ICC.1:2022). Those of cameras, phones and screens are a curve for
// each channel and a matrix; that is all that is read here. Tables, as printers have them, profiles of inks, and what is
// broken: such a picture is taken to be sRGB, as one without a profile is.
//
// The libraries in Go either read no curves and matrices from a profile or are not maintained, and these are few lines.

// maxProfile bounds a profile, in bytes. Those of the kind that is read have 500 to 4,000; with a table for each of three
// curves, 30,000.
const maxProfile = 1 << 20

// toSRGB makes colours of a profile those of sRGB. What sRGB cannot show becomes the next that it can in each channel.
type toSRGB struct {
	light  [channels][256]uint16     // of a level
	matrix [channels][channels]int64 // from light to sRGB's, in parts of 1<<oneBits; of no use for grey
	grey   bool
}

// newToSRGB returns nil where nothing is to be done: no profile, none that is read here, or sRGB by another name.
func newToSRGB(profile []byte) *toSRGB {
	tags := tagsOf(profile)
	if tags == nil {
		return nil
	}
	conversion := &toSRGB{}
	known := false
	switch string(profile[16:20]) {
	case "RGB ":
		known = conversion.takeRGB(tags)
	case "GRAY":
		conversion.grey = true
		known = conversion.takeCurve(0, tags("kTRC"))
		conversion.light[1], conversion.light[2] = conversion.light[0], conversion.light[0]
	}
	if !known || conversion.isIdentity() {
		return nil
	}
	return conversion
}

// tagsOf returns what looks up a profile's tags, nil if it is none that counts colours as light (clauses 7.2 and 7.3).
func tagsOf(profile []byte) func(name string) []byte {
	const (
		header, entry = 128, 12
		maxTags       = 100 // profiles have about 15
	)
	if len(profile) < header+4 || string(profile[36:40]) != "acsp" || string(profile[20:24]) != "XYZ " {
		return nil
	}
	if version := profile[8]; version != 2 && version != 4 {
		return nil
	}
	count := min(int(binary.BigEndian.Uint32(profile[header:])), maxTags)
	table := profile[header+4:]
	return func(name string) []byte {
		for i := 0; i < count && len(table) >= (i+1)*entry; i++ {
			tag := table[i*entry:]
			if string(tag[:4]) != name {
				continue
			}
			at, length := int64(binary.BigEndian.Uint32(tag[4:])), int64(binary.BigEndian.Uint32(tag[8:]))
			if at+length <= int64(len(profile)) {
				return profile[at : at+length]
			}
		}
		return nil
	}
}

// fromD50 makes light of sRGB from the XYZ that profiles meet in, whose white is D50: the inverse of sRGB's primaries,
// adapted by the Bradford method (IEC 61966-2-1; ICC.1, annex E).
var fromD50 = [channels][channels]float64{
	{3.1338561, -1.6168667, -0.4906146},
	{-0.9787684, 1.9161415, 0.0334540},
	{0.0719453, -0.2289914, 1.4052427},
}

// d50 is the white of profiles (clause 7.2.16).
var d50 = [channels]float64{0.9642, 1, 0.8249}

func (t *toSRGB) takeRGB(tags func(string) []byte) bool {
	var columns [channels][channels]float64 // XYZ of red, green and blue
	for c, name := range []string{"r", "g", "b"} {
		xyz := tags(name + "XYZ")
		if !t.takeCurve(c, tags(name+"TRC")) || len(xyz) < 20 || string(xyz[:4]) != "XYZ " {
			return false
		}
		for i := range channels {
			columns[c][i] = fixed(xyz[8+4*i:])
		}
	}
	for i, white := range d50 {
		// Wider than any rounding: old profiles that speak of another white would tint the picture.
		if sum := columns[0][i] + columns[1][i] + columns[2][i]; math.Abs(sum-white) > 0.03 {
			return false
		}
	}
	for to := range channels {
		for c := range channels {
			var sum float64
			for i := range channels {
				sum += float64(fromD50[to][i] * columns[c][i]) // not fused, which would round otherwise on some machines
			}
			t.matrix[to][c] = int64(math.Round(sum * (1 << oneBits)))
		}
	}
	return true
}

func (t *toSRGB) takeCurve(channel int, tag []byte) bool {
	curve := curveOf(tag)
	if curve == nil {
		return false
	}
	for level := range t.light[channel] {
		light := curve(float64(level) / 255)
		if math.IsNaN(light) {
			return false
		}
		t.light[channel][level] = uint16(math.Round(max(0, min(1, light)) * maxLight))
	}
	return true
}

// isIdentity tells that no colour of a coarse grid changes by more than rounding does.
func (t *toSRGB) isIdentity() bool {
	for n := range 6 * 6 * 6 {
		colour := [4]uint8{uint8(n % 6 * 51), uint8(n / 6 % 6 * 51), uint8(n / 36 * 51)}
		converted := colour
		t.convert(converted[:])
		for c := range channels {
			if d := int(colour[c]) - int(converted[c]); d < -1 || d > 1 {
				return false
			}
		}
	}
	return true
}

// apply converts a square of RGBA in place; t may be nil.
func (t *toSRGB) apply(square *image.RGBA) {
	if t == nil {
		return
	}
	for pix := square.Pix; len(pix) >= 4; pix = pix[4:] {
		t.convert(pix)
	}
}

func (t *toSRGB) convert(pixel []uint8) {
	light := [channels]int64{int64(t.light[0][pixel[0]]), int64(t.light[1][pixel[1]]), int64(t.light[2][pixel[2]])}
	for c := range channels {
		if t.grey {
			pixel[c] = byLight.level(light[c])
			continue
		}
		row := &t.matrix[c]
		pixel[c] = byLight.level((row[0]*light[0] + row[1]*light[1] + row[2]*light[2] + 1<<(oneBits-1)) >> oneBits)
	}
}

// curveOf reads a curve from a level to its light, both from 0 to 1; nil if there is none that makes sense.
func curveOf(tag []byte) func(float64) float64 {
	if len(tag) < 12 {
		return nil
	}
	switch body := tag[8:]; string(tag[:4]) {
	case "curv":
		return sampledCurve(body)
	case "para":
		return parametricCurve(body)
	}
	return nil
}

// sampledCurve reads a curveType (clause 10.6): no sample is a straight line, one a gamma, more are points on the curve.
func sampledCurve(body []byte) func(float64) float64 {
	count, samples := int64(binary.BigEndian.Uint32(body)), body[4:]
	if 2*count > int64(len(samples)) {
		return nil
	}
	switch count {
	case 0:
		return func(x float64) float64 { return x }
	case 1:
		gamma := float64(binary.BigEndian.Uint16(samples)) / 256
		return func(x float64) float64 { return math.Pow(x, gamma) }
	}
	sample := func(i int64) float64 { return float64(binary.BigEndian.Uint16(samples[2*i:])) / math.MaxUint16 }
	return func(x float64) float64 {
		at := x * float64(count-1)
		i := min(int64(at), count-2)
		part := at - float64(i)
		return float64(sample(i)*(1-part)) + float64(sample(i+1)*part)
	}
}

// parametricCurve reads a parametricCurveType (clause 10.18): a power with an offset, and below a point a straight line.
func parametricCurve(body []byte) func(float64) float64 {
	kind := binary.BigEndian.Uint16(body)
	names := []string{"g", "gab", "gabc", "gabcd", "gabcdef"} // the parameters of each kind
	if int(kind) >= len(names) || len(body) < 4+4*len(names[kind]) {
		return nil
	}
	parameter := map[byte]float64{'a': 1}
	for i := range len(names[kind]) {
		parameter[names[kind][i]] = fixed(body[4+4*i:])
	}
	g, a, b, c, d, e, f := parameter['g'], parameter['a'], parameter['b'], parameter['c'], parameter['d'], parameter['e'], parameter['f']
	switch kind {
	case 0:
		d = 0
	case 1, 2: // flat below the zero of the power
		if a == 0 {
			return nil
		}
		c, d, e, f = 0, -b/a, c, c
	}
	return func(x float64) float64 {
		if x < d {
			return float64(c*x) + f
		}
		return math.Pow(max(0, float64(a*x)+b), g) + e
	}
}

// fixed reads an s15Fixed16Number (clause 4.6).
func fixed(b []byte) float64 { return float64(int32(binary.BigEndian.Uint32(b))) / (1 << 16) }
