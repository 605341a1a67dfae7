package media

import (
	"image"
	"image/draw"
)

// rows gives out the square part of a decoded picture row by row, as light, laid on white. Where the picture has no pixels,
// as around a GIF's frame, white is what remains.
type rows struct {
	source image.Image
	crop   image.Rectangle
	light  *scaleOfLight
	read   func(row []uint16, y int) // channels for each pixel of row y of source
}

// newRows chooses the way to read source. What decoders give for photos has a way of its own; everything else goes through
// the library, which knows every kind of picture and is half as fast.
func newRows(source image.Image, crop image.Rectangle, colours *yccColours, light *scaleOfLight) *rows {
	r := &rows{source: source, crop: crop, light: light}
	switch m := source.(type) {
	case *image.YCbCr:
		r.read = func(row []uint16, y int) { colours.read(row, m, crop.Min.X, y, light) }
	case *image.NYCbCrA:
		r.read = func(row []uint16, y int) {
			colours.read(row, &m.YCbCr, crop.Min.X, y, byLevel)
			layOnWhite(row, m.A[m.AOffset(crop.Min.X, y):], light)
		}
	default:
		line := image.NewRGBA(image.Rect(0, 0, crop.Dx(), 1))
		r.read = func(row []uint16, y int) { r.draw(row, line, y) }
	}
	return r
}

func (r *rows) draw(row []uint16, line *image.RGBA, y int) {
	draw.Draw(line, line.Rect, image.White, image.Point{}, draw.Src)
	draw.Draw(line, line.Rect, r.source, image.Pt(r.crop.Min.X, y), draw.Over)
	from := &r.light.from
	for pix := line.Pix; len(row) >= channels && len(pix) >= 4; row, pix = row[channels:], pix[4:] {
		row[0], row[1], row[2] = from[pix[0]], from[pix[1]], from[pix[2]]
	}
}

// layOnWhite counts in light a row that is as stored, on white as far as alpha lets it through. Levels are mixed, not light,
// as browsers do.
func layOnWhite(row []uint16, alpha []uint8, light *scaleOfLight) {
	for i := range len(row) / channels {
		a := uint32(alpha[i])
		for c := range channels {
			level := uint32(byLevel.to[row[channels*i+c]])
			row[channels*i+c] = light.from[(level*a+255*(255-a)+127)/255]
		}
	}
}

// yccColours is how luma and chroma become red, green and blue, in parts of 1<<16.
type yccColours struct {
	luma, black               int32 // factor, and the level that is black
	red, greenB, greenR, blue int32 // factors of chroma
}

var (
	// jfif has levels from 0 to 255 (ITU-T T.871, clause 7).
	jfif = &yccColours{luma: 1 << 16, red: 91881, greenB: 22554, greenR: 46802, blue: 116130}
	// studio has black at 16 and white at 235 (ITU-R BT.601). WebP is stored so, and its decoder passes it on in a type that
	// everybody, the library included, takes for JPEG's: black would be grey.
	studio = &yccColours{luma: 76309, black: 16, red: 104597, greenB: 25675, greenR: 53279, blue: 132201}
)

// coloursOf tells how a format stores luma and chroma.
func coloursOf(mediaType string) *yccColours {
	if mediaType == "image/webp" {
		return studio
	}
	return jfif
}

// read converts a row of m, from column x on.
func (k *yccColours) read(row []uint16, m *image.YCbCr, x, y int, light *scaleOfLight) {
	from := &light.from
	shift := chromaShift(m.SubsampleRatio)
	chroma := m.COffset(m.Rect.Min.X, y) - m.Rect.Min.X>>shift
	luma := m.Y[m.YOffset(x, y):][:len(row)/channels]
	cbs, crs := m.Cb[chroma:], m.Cr[chroma:]
	for i, level := range luma {
		at := (x + i) >> shift
		cb, cr := int32(cbs[at])-128, int32(crs[at])-128
		l := (int32(level)-k.black)*k.luma + 1<<15
		rgb := row[channels*i : channels*i+channels : channels*i+channels]
		rgb[0] = from[clamp8((l+k.red*cr)>>16)]
		rgb[1] = from[clamp8((l-k.greenB*cb-k.greenR*cr)>>16)]
		rgb[2] = from[clamp8((l+k.blue*cb)>>16)]
	}
}

func clamp8(v int32) uint8 {
	if uint32(v) < 256 {
		return uint8(v)
	}
	return uint8(^(v >> 31)) // 0 below, 255 above
}

// chromaShift is the power of two of pixels that lie side by side and share their chroma.
func chromaShift(ratio image.YCbCrSubsampleRatio) uint {
	switch ratio {
	case image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420:
		return 1
	case image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410:
		return 2
	}
	return 0
}
