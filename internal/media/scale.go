package media

import (
	"context"
	"fmt"
	"image"
	"math"
)

// Scaling is ours, and not golang.org/x/image/draw's, for its memory: that keeps 32 bytes for each pixel of an edge x height
// picture in between, 50 MB for a photo of 12 megapixels, which is thrice the decoded photo. This one goes through the
// source row by row and keeps as many scaled rows as the kernel is high: 150 KB for the same photo, and it is faster.
//
// What is much too large is first shrunk by a power of two, each block of pixels to its mean, as far as the kernel then still
// has twice as many pixels as are wanted: for the eye the same, for a fraction of the work.

const (
	support     = 2      // of the Catmull-Rom kernel: it reaches two pixels of the coarser picture to each side
	channels    = 3      // red, green, blue: transparency is gone when a row is read
	weightBytes = 4      // of an int32
	oneBits     = 16     // weights are integers that add up to 1<<oneBits, so that no machine rounds otherwise than the next
	maxShrink   = 1 << 6 // blocks of so many pixels square still add up in 32 bits
)

// span is how one pixel of the result is made: weights of neighbouring source pixels, the first of which is named.
type span struct {
	first   int
	weights []int32
}

// scale makes a square of edge pixels out of the square crop of source, on white, by the Catmull-Rom kernel; widened when
// it scales down, so that each pixel of the source has its share. colours is how source stores luma and chroma, if it does.
func scale(ctx context.Context, source image.Image, crop image.Rectangle, colours *yccColours, edge int) (*image.RGBA, error) {
	if edge < 1 {
		return nil, fmt.Errorf("media: no picture has an edge of %d pixels", edge)
	}
	light := byLight
	if crop.Dx() <= edge {
		light = byLevel
	}
	shrunk := newShrunk(source, crop, colours, light, edge)
	spans := kernel(shrunk.side, edge) // of columns and rows alike: both pictures are square
	ring := newRing(spans, channels*edge)
	under := make([][]int32, len(ring)) // of the ring, the rows under the kernel in their order
	result := image.NewRGBA(image.Rect(0, 0, edge, edge))

	read := 0 // rows that have gone into the ring
	for y, s := range spans {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for ; read < s.first+len(s.weights); read++ {
			scaleLine(ring[read%len(ring)], shrunk.row(read), spans)
		}
		for i := range s.weights {
			under[i] = ring[(s.first+i)%len(ring)]
		}
		blendRows(result.Pix[y*result.Stride:], under, s.weights, light)
	}
	return result, nil
}

// shrunk is the crop of a picture with each block of by x by pixels made one.
type shrunk struct {
	rows *rows
	by   int
	side int      // in blocks; what is left over, less than one, is cut off around
	line []uint16 // a row of the picture
	sums []uint32 // of a row of blocks
	out  []uint16
}

func newShrunk(source image.Image, crop image.Rectangle, colours *yccColours, light *scaleOfLight, edge int) *shrunk {
	by := 1
	for by < maxShrink && crop.Dx()/(2*by) >= 2*edge {
		by *= 2
	}
	over := crop.Dx() % by / 2
	s := &shrunk{rows: newRows(source, crop.Add(image.Pt(over, over)), colours, light), by: by, side: crop.Dx() / by}
	s.line = make([]uint16, channels*s.side*by)
	if by > 1 {
		s.sums, s.out = make([]uint32, channels*s.side), make([]uint16, channels*s.side)
	}
	return s
}

// row is row y, three values a pixel. It is valid until the next call.
func (s *shrunk) row(y int) []uint16 {
	top := s.rows.crop.Min.Y + y*s.by
	if s.by == 1 {
		s.rows.read(s.line, top)
		return s.line
	}
	clear(s.sums)
	for i := range s.by {
		s.rows.read(s.line, top+i)
		s.add()
	}
	pixels := uint32(s.by * s.by)
	for i, sum := range s.sums {
		s.out[i] = uint16((sum + pixels/2) / pixels)
	}
	return s.out
}

// add adds the line to the sums.
func (s *shrunk) add() {
	line := s.line
	for sums := s.sums; len(sums) >= channels; sums = sums[channels:] {
		var r, g, b uint32
		for range s.by {
			pixel := line[:channels:channels]
			r, g, b = r+uint32(pixel[0]), g+uint32(pixel[1]), b+uint32(pixel[2])
			line = line[channels:]
		}
		sums[0], sums[1], sums[2] = sums[0]+r, sums[1]+g, sums[2]+b
	}
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
		weights := make([]int32, last-first+1)
		for j := range weights {
			weights[j] = int32(math.Round(catmullRom(math.Abs(middle-float64(first+j))/stretch) / stretch * (1 << oneBits)))
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
func normalised(weights []int32) []int32 {
	sum, largest := int32(0), 0
	for i, w := range weights {
		sum += w
		if w > weights[largest] {
			largest = i
		}
	}
	rest := int32(1 << oneBits)
	for i, w := range weights {
		weights[i] = int32(math.Round(float64(w) * (1 << oneBits) / float64(sum)))
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

// scaleLine scales a row of light to the length of row, three values a pixel. The kernel may overshoot: below nothing, and
// above full light.
func scaleLine(row []int32, line []uint16, spans []span) {
	const half = 1 << (oneBits - 1)
	for x, s := range spans {
		var r, g, b int64
		from := line[channels*s.first:]
		for _, w := range s.weights {
			pixel := from[:channels:channels]
			r += int64(w) * int64(pixel[0])
			g += int64(w) * int64(pixel[1])
			b += int64(w) * int64(pixel[2])
			from = from[channels:]
		}
		out := row[channels*x : channels*x+channels : channels*x+channels]
		out[0], out[1], out[2] = int32((r+half)>>oneBits), int32((g+half)>>oneBits), int32((b+half)>>oneBits)
	}
}

// blendRows makes a row of the result, opaque RGBA, from scaled rows, as many as there are weights.
func blendRows(result []byte, rows [][]int32, weights []int32, light *scaleOfLight) {
	for x := range len(rows[0]) / channels {
		r, g, b := int64(1<<(oneBits-1)), int64(1<<(oneBits-1)), int64(1<<(oneBits-1))
		for i, w := range weights {
			pixel := rows[i][channels*x : channels*x+channels : channels*x+channels]
			r += int64(w) * int64(pixel[0])
			g += int64(w) * int64(pixel[1])
			b += int64(w) * int64(pixel[2])
		}
		out := result[4*x : 4*x+4 : 4*x+4]
		out[0], out[1], out[2], out[3] = light.level(r>>oneBits), light.level(g>>oneBits), light.level(b>>oneBits), 255
	}
}
