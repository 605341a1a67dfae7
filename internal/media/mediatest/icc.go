package mediatest

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"maps"
	"slices"
)

// Profile makes an ICC profile of tags.
func Profile(space string, tags map[string][]byte) []byte {
	head := make([]byte, 128)
	head[8] = 4
	copy(head[12:], "mntr"+space+"XYZ ")
	copy(head[36:], "acsp")
	table := binary.BigEndian.AppendUint32(nil, uint32(len(tags)))
	var bodies []byte
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		body := tags[name]
		at := 128 + 4 + 12*len(tags) + len(bodies)
		table = append(table, name...)
		table = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(table, uint32(at)), uint32(len(body)))
		bodies = append(bodies, body...)
	}
	profile := bytes.Join([][]byte{head, table, bodies}, nil)
	binary.BigEndian.PutUint32(profile, uint32(len(profile)))
	return profile
}

// FixedNumbers are numbers as profiles have them, behind the name of their type.
func FixedNumbers(kind string, numbers ...float64) []byte {
	b := append([]byte(kind), 0, 0, 0, 0)
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint32(b, uint32(int32(n*65536)))
	}
	return b
}

// Parametric is a curve by a formula of that kind.
func Parametric(kind byte, numbers ...float64) []byte {
	return append([]byte{'p', 'a', 'r', 'a', 0, 0, 0, 0, 0, kind, 0, 0}, FixedNumbers("", numbers...)[4:]...)
}

// Sampled is a curve by samples; one is a gamma in parts of 256, none a straight line.
func Sampled(samples ...uint16) []byte {
	b := binary.BigEndian.AppendUint32([]byte("curv\x00\x00\x00\x00"), uint32(len(samples)))
	for _, s := range samples {
		b = binary.BigEndian.AppendUint16(b, s)
	}
	return b
}

// Primaries are the colours of a profile, in XYZ under D50, with one curve for all.
func Primaries(curve []byte, r, g, b [3]float64) []byte {
	xyz := func(v [3]float64) []byte { return FixedNumbers("XYZ ", v[:]...) }
	return Profile("RGB ", map[string][]byte{
		"rXYZ": xyz(r), "gXYZ": xyz(g), "bXYZ": xyz(b), "rTRC": curve, "gTRC": curve, "bTRC": curve,
	})
}

// SRGBCurve is sRGB's as a Parametric curve.
func SRGBCurve() []byte { return Parametric(3, 2.4, 1/1.055, 0.055/1.055, 1/12.92, 0.04045) }

// DisplayP3 is the profile of phones and screens since about 2016.
func DisplayP3() []byte {
	return Primaries(SRGBCurve(), [3]float64{0.51512, 0.2412, -0.00105}, [3]float64{0.29198, 0.69225, 0.04189}, [3]float64{0.1571, 0.06657, 0.78407})
}

// AdobeRGB is that of cameras; its gamma is 2.19921875.
func AdobeRGB() []byte {
	return Primaries(Sampled(563), [3]float64{0.60974, 0.31111, 0.01947}, [3]float64{0.20528, 0.62567, 0.06087}, [3]float64{0.14919, 0.06322, 0.74457})
}

// ProfileSegments are a profile in segments of a JPEG of at most length bytes each.
func ProfileSegments(profile []byte, length int) (segments [][]byte) {
	count := (len(profile) + length - 1) / length
	for i := range count {
		part := profile[i*length : min((i+1)*length, len(profile))]
		segments = append(segments, Segment(APP2, "ICC_PROFILE\x00"+string([]byte{byte(i + 1), byte(count)})+string(part)))
	}
	return segments
}

// DeflatedProfile is the body of a PNG's iCCP Chunk.
func DeflatedProfile(profile []byte) []byte {
	var out bytes.Buffer
	out.WriteString("name\x00\x00")
	w := zlib.NewWriter(&out)
	w.Write(profile)
	w.Close()
	return out.Bytes()
}
