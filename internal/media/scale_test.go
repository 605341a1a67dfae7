package media

import (
	"image"
	"image/color"
	"testing"

	"golang.org/x/image/draw"
)

func TestWeightsOfEveryPixelAddUpToOne(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {1, 512}, {3, 2}, {7, 512}, {512, 512}, {3024, 512}, {7071, 64}, {65535, 1}} {
		last := 0
		for i, s := range kernel(size[0], size[1]) {
			sum := 0
			for _, w := range s.weights {
				sum += w
			}
			if sum != 1<<oneBits || s.first < last || s.first+len(s.weights) > size[0] {
				t.Fatalf("%v: pixel %d is made of %d from %d on that weigh %d", size, i, len(s.weights), s.first, sum)
			}
			last = s.first
		}
	}
}

// The library with the same kernel is right and slow and large: the results must be the same to the eye.
func TestScalesAsTheLibraryDoes(t *testing.T) {
	source := image.NewRGBA(image.Rect(0, 0, 317, 317))
	for y := range 317 {
		for x := range 317 {
			source.SetRGBA(x, y, color.RGBA{byte(x * y / 90), byte((x ^ y) & 127), byte(255 * (x / 40 % 2)), 255})
		}
	}
	for _, edge := range []int{600, 317, 200, 64, 5} {
		want := image.NewRGBA(image.Rect(0, 0, edge, edge))
		draw.CatmullRom.Scale(want, want.Rect, source, source.Rect, draw.Src, nil)
		got, err := scale(t.Context(), source, source.Rect, edge)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want.Pix {
			if d := int(want.Pix[i]) - int(got.Pix[i]); d < -3 || d > 3 {
				t.Fatalf("edge %d, value %d: got %d, want %d", edge, i, got.Pix[i], want.Pix[i])
			}
		}
	}
}

func TestPlainColourStaysItself(t *testing.T) {
	for _, c := range []color.RGBA{red, white, {0, 0, 0, 255}, {255, 1, 254, 255}} {
		source := quarters(image.NewRGBA(image.Rect(0, 0, 101, 101)), c, c, c, c)
		for _, edge := range []int{1, 33, 100, 101, 250} {
			got, err := scale(t.Context(), source, source.Rect, edge)
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
