package media

import (
	"context"
	"fmt"
	"image"
	"image/draw"
	"math"
)

// Scaling is ours, and not golang.org/x/image/draw's, for its memory: that keeps 32 bytes for each pixel of an edge x height
// picture in between, 50 MB for a photo of 12 megapixels, which is thrice the decoded photo. This one goes through the
// source row by row and keeps as many scaled rows as the kernel is high: 150 KB for the same photo, and it is faster.

const (
	support     = 2  // of the Catmull-Rom kernel: it reaches two pixels of the coarser picture to each side
	channels    = 3  // red, green, blue: transparency is gone when a row is read
	weightBytes = 8  // of an int
	oneBits     = 16 // weights are integers that add up to 1<<oneBits, so that no machine rounds otherwise than the next
	rowBits     = 6  // a row in waiting holds fractions of 1<<rowBits; less shows as steps in smooth areas
)

// span is how one pixel of the result is made: weights of neighbouring source pixels, the first of which is named.
type span struct {
	first   int
	weights []int
}

// scale makes a square of edge pixels out of the square crop of source, on white, by the Catmull-Rom kernel; widened when
// it scales down, so that each pixel of the source has its share.
func scale(ctx context.Context, source image.Image, crop image.Rectangle, edge int) (*image.RGBA, error) {
	if edge < 1 {
		return nil, fmt.Errorf("media: no picture has an edge of %d pixels", edge)
	}
	spans := kernel(crop.Dx(), edge) // of columns and rows alike: both pictures are square
	line := image.NewRGBA(image.Rect(0, 0, crop.Dx(), 1))
	ring := newRing(spans, channels*edge)
	rows := make([][]int32, len(ring)) // of the ring, those under the kernel in their order
	result := image.NewRGBA(image.Rect(0, 0, edge, edge))

	read := 0 // source rows that have gone into the ring
	for y, s := range spans {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for ; read < s.first+len(s.weights); read++ {
			readLine(line, source, crop.Min.Add(image.Pt(0, read)))
			scaleLine(ring[read%len(ring)], line.Pix, spans)
		}
		for i := range s.weights {
			rows[i] = ring[(s.first+i)%len(ring)]
		}
		blendRows(result.Pix[y*result.Stride:], rows, s.weights)
	}
	return result, nil
}

// kernel weighs from source pixels for each of to pixels.
func kernel(from, to int) []span {
	step := float64(from) / float64(to)
	stretch := max(step, 1)
	spans := make([]span, to)
	for i := range spans {
		middle := (float64(i)+0.5)*step - 0.5
		first := max(0, int(math.Ceil(middle-support*stretch)))
		last := min(from-1, int(math.Floor(middle+support*stretch)))
		weights := make([]int, last-first+1)
		for j := range weights {
			weights[j] = int(math.Round(catmullRom(math.Abs(middle-float64(first+j))/stretch) / stretch * (1 << oneBits)))
		}
		spans[i] = span{first, normalised(weights)}
	}
	return spans
}

// catmullRom is the cubic kernel with B = 0 and C = 1/2 (Mitchell and Netravali, "Reconstruction Filters in Computer
// Graphics", 1988). The conversions keep a compiler from fusing operations, which would round otherwise on some machines.
func catmullRom(t float64) float64 {
	switch {
	case t < 1:
		return float64((float64(1.5*t)-2.5)*t*t) + 1
	case t < support:
		return float64((float64(float64(float64(-0.5*t)+2.5)*t)-4)*t) + 2
	}
	return 0
}

// normalised makes weights add up to 1 where the kernel hangs over an edge of the picture, and after rounding: a plain
// area has to come out in its own colour.
func normalised(weights []int) []int {
	sum, largest := 0, 0
	for i, w := range weights {
		sum += w
		if w > weights[largest] {
			largest = i
		}
	}
	rest := 1 << oneBits
	for i, w := range weights {
		weights[i] = int(math.Round(float64(w) * (1 << oneBits) / float64(sum)))
		rest -= weights[i]
	}
	weights[largest] += rest
	return weights
}

// newRing holds as many scaled rows as the highest span needs at once; row n of the source is at n modulo its length.
func newRing(spans []span, rowLen int) [][]int32 {
	rows := 0
	for _, s := range spans {
		rows = max(rows, len(s.weights))
	}
	ring := make([][]int32, rows)
	for i := range ring {
		ring[i] = make([]int32, rowLen)
	}
	return ring
}

// readLine converts a row of any kind of picture, beginning at p, and lays it on white. Where source has no pixels, as
// around a GIF's frame, white is what remains.
func readLine(line *image.RGBA, source image.Image, p image.Point) {
	draw.Draw(line, line.Rect, image.White, image.Point{}, draw.Src)
	draw.Draw(line, line.Rect, source, p, draw.Over)
}

// scaleLine scales a row of RGBA to the length of row, three values a pixel.
func scaleLine(row []int32, line []byte, spans []span) {
	const half = 1 << (oneBits - rowBits - 1)
	for x, s := range spans {
		var r, g, b int
		from := line[4*s.first:]
		for i, w := range s.weights {
			pixel := from[4*i : 4*i+3 : 4*i+3]
			r += w * int(pixel[0])
			g += w * int(pixel[1])
			b += w * int(pixel[2])
		}
		out := row[channels*x : channels*x+3 : channels*x+3]
		out[0] = int32((r + half) >> (oneBits - rowBits))
		out[1] = int32((g + half) >> (oneBits - rowBits))
		out[2] = int32((b + half) >> (oneBits - rowBits))
	}
}

// blendRows makes a row of the result, opaque RGBA, from scaled rows, as many as there are weights.
func blendRows(result []byte, rows [][]int32, weights []int) {
	for x := range len(rows[0]) / channels {
		for c := range channels {
			sum := 1 << (oneBits + rowBits - 1)
			for i, w := range weights {
				sum += w * int(rows[i][channels*x+c])
			}
			result[4*x+c] = uint8(max(0, min(255, sum>>(oneBits+rowBits))))
		}
		result[4*x+3] = 255
	}
}
