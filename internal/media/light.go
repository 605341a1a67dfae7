package media

import "math"

// Averages of what is stored are too dark: sRGB gives dark tones more than their share of numbers, so fine detail, hair or
// a sieve, would lose light when it is scaled down. So pictures are scaled down in numbers that grow with the light. Where
// they are scaled up the numbers stay as they are: nothing is averaged, and the kernel's overshoot would show as dark seams.

// maxLight is full light. 16 bits tell all 256 levels of sRGB apart, the darkest by 20.
const maxLight = 1<<16 - 1

// scaleOfLight is a way to count light.
type scaleOfLight struct {
	from [256]uint16         // light of a stored level
	to   [maxLight + 1]uint8 // level nearest to some light
}

var (
	// byLight counts by IEC 61966-2-1, which says how much light an sRGB level is.
	byLight = newScaleOfLight(srgbLight)
	// byLevel takes levels for light.
	byLevel = newScaleOfLight(func(level float64) float64 { return level })
)

// newScaleOfLight makes the tables for a curve that rises from 0 to 1.
func newScaleOfLight(curve func(float64) float64) *scaleOfLight {
	s := &scaleOfLight{}
	next := 0
	for level := range s.from {
		s.from[level] = uint16(math.Round(curve(float64(level)/255) * maxLight))
		// Up to half-way to the next level, in levels: so that either way of counting rounds alike.
		end := int(curve(min(float64(level)+0.5, 255)/255) * maxLight)
		for ; next <= end; next++ {
			s.to[next] = uint8(level)
		}
	}
	return s
}

// srgbLight is the light of an sRGB level, both from 0 to 1. The conversions keep a compiler from fusing operations, which
// would round otherwise on some machines.
func srgbLight(level float64) float64 {
	if level <= 0.04045 {
		return level / 12.92
	}
	return math.Pow(float64(level+0.055)/1.055, 2.4)
}

// level is the stored level of some light, which the kernel may have taken beyond the ends.
func (s *scaleOfLight) level(light int64) uint8 { return s.to[max(0, min(maxLight, light))] }
