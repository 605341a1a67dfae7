package media

import (
	"image"
	"image/color"
	"math"
	"testing"

	"golang.org/x/image/draw"
)

func TestWeightsOfEveryPixelAddUpToOne(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {1, 512}, {3, 2}, {7, 512}, {512, 512}, {3024, 512}, {7071, 64}, {65535, 1}} {
		last := 0
		for i, s := range kernel(size[0], size[1]) {
			sum := 0
			for _, w := range s.weights {
				sum += int(w)
			}
			if sum != 1<<oneBits || s.first < last || s.first+len(s.weights) > size[0] {
				t.Fatalf("%v: pixel %d is made of %d from %d on that weigh %d", size, i, len(s.weights), s.first, sum)
			}
			last = s.first
		}
	}
}

// The library with the same kernel is right and slow and large: given light to average, its results must be the same to the
// eye. Where blocks are averaged first they are nearly so.
func TestScalesAsTheLibraryDoes(t *testing.T) {
	source := image.NewRGBA(image.Rect(0, 0, 320, 320))
	for y := range 320 {
		for x := range 320 {
			source.SetRGBA(x, y, color.RGBA{byte(x * y / 90), byte((x ^ y) & 127), byte(255 * (x / 40 % 2)), 255})
		}
	}
	for edge, by := range map[int]int{600: 3, 320: 3, 200: 3, 81: 3, 64: 0, 5: 0} {
		want := scaledByLibrary(source, edge)
		got, err := scale(t.Context(), source, source.Rect, jfif, edge)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want.Pix {
			levels := math.Abs(float64(want.Pix[i]) - float64(got.Pix[i]))
			light := math.Abs(float64(byLight.from[want.Pix[i]])-float64(byLight.from[got.Pix[i]])) / maxLight
			if by > 0 && levels > float64(by) || by == 0 && light > 0.03 {
				t.Fatalf("edge %d, value %d: got %d, want %d", edge, i, got.Pix[i], want.Pix[i])
			}
		}
	}
}

// scaledByLibrary scales light, or levels where it scales up.
func scaledByLibrary(source *image.RGBA, edge int) *image.RGBA {
	light := byLight
	if source.Rect.Dx() <= edge {
		light = byLevel
	}
	from, to := image.NewRGBA64(source.Rect), image.NewRGBA64(image.Rect(0, 0, edge, edge))
	for y := range source.Rect.Dy() {
		for x := range source.Rect.Dx() {
			c := source.RGBAAt(x, y)
			from.SetRGBA64(x, y, color.RGBA64{light.from[c.R], light.from[c.G], light.from[c.B], maxLight})
		}
	}
	draw.CatmullRom.Scale(to, to.Rect, from, from.Rect, draw.Src, nil)
	result := image.NewRGBA(to.Rect)
	for y := range edge {
		for x := range edge {
			c := to.RGBA64At(x, y)
			result.SetRGBA(x, y, color.RGBA{light.to[c.R], light.to[c.G], light.to[c.B], 255})
		}
	}
	return result
}

// Black and white in turn is half of the light, and half of the light is 188 of 255 levels. Averages of levels, 128, would be
// a fifth of it.
func TestFineDetailKeepsItsLight(t *testing.T) {
	board := image.NewRGBA(image.Rect(0, 0, 512, 512))
	for i := range board.Pix {
		if (i/4+i/4/512)%2 == 0 || i%4 == 3 {
			board.Pix[i] = 255
		}
	}
	for _, edge := range []int{300, 256, 200, 64, 10} {
		got, err := scale(t.Context(), board, board.Rect, jfif, edge)
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0 // of light: at 300 of 512 the board itself still shows
		for i := 0; i < len(got.Pix); i += 4 {
			sum += float64(byLight.from[got.Pix[i]]) / maxLight
		}
		if mean := sum / float64(edge*edge); mean < 0.49 || mean > 0.51 {
			t.Errorf("edge %d: a half of the light became %.3f", edge, mean)
		}
		if c := got.RGBAAt(edge/2, edge/2); edge <= 64 && (c.R < 185 || c.R > 191) {
			t.Errorf("edge %d: got %v, want 188", edge, c)
		}
	}
}

func TestLevelsSurviveTheirLight(t *testing.T) {
	for name, light := range map[string]*scaleOfLight{"light": byLight, "levels": byLevel} {
		for level, l := range light.from {
			if got := light.to[l]; int(got) != level {
				t.Errorf("%s: level %d comes back as %d", name, level, got)
			}
		}
		if got := light.level(-1); got != 0 {
			t.Errorf("%s: less than nothing is %d", name, got)
		}
		if got := light.level(maxLight + 1); got != 255 {
			t.Errorf("%s: more than everything is %d", name, got)
		}
	}
}

func TestPlainColourStaysItself(t *testing.T) {
	for _, c := range []color.RGBA{red, white, {0, 0, 0, 255}, {255, 1, 254, 255}} {
		source := quarters(image.NewRGBA(image.Rect(0, 0, 101, 101)), c, c, c, c)
		for _, edge := range []int{1, 33, 100, 101, 250} {
			got, err := scale(t.Context(), source, source.Rect, jfif, edge)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(got.Pix); i += 4 {
				if [4]byte(got.Pix[i:]) != [4]byte{c.R, c.G, c.B, 255} {
					t.Fatalf("edge %d: got %v, want %v", edge, got.Pix[i:i+4], c)
				}
			}
		}
	}
}
