package media

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"

	"github.com/deepteams/webp"
)

const (
	// jpegQuality is where the loss begins to show in faces at the sizes in use; a 512 pixel picture has about 40 KB.
	jpegQuality = 85
	// webpQuality looks the same in a WebP, on another scale, and is a fifth to a half smaller.
	webpQuality = 80
	// webpMethod is the most that the encoder does in one goroutine. From 3 on it searches rows of blocks side by side if the
	// machine has more than one processor, and what it writes depends on that.
	webpMethod = 2
)

type encoding struct {
	mediaType string
	encode    func(*bytes.Buffer, *image.RGBA) error
}

// encodings are the formats that a square is made in, the one that everybody can show first.
var encodings = []encoding{
	{"image/jpeg", encodeJPEG},
	{"image/webp", encodeWebP},
}

// encode makes a square into pictures of each format, without metadata. One that is no smaller than the first is left out:
// nobody would be served by it.
func encode(square *image.RGBA) ([]Picture, error) {
	var made []Picture
	for _, format := range encodings {
		var out bytes.Buffer
		out.Grow(len(square.Pix) / 8) // half a byte a pixel: enough for most, so that the buffer rarely grows
		// An encoder that panics is less well known than those of the standard library: see shielded.
		if _, err := shielded(func() (any, error) { return nil, format.encode(&out, square) }); err != nil {
			return nil, fmt.Errorf("media: encode square of %d as %s: %w", square.Rect.Dx(), format.mediaType, err)
		}
		if len(made) == 0 || out.Len() < len(made[0].Data) {
			made = append(made, Picture{Edge: square.Rect.Dx(), MediaType: format.mediaType, Data: out.Bytes()})
		}
	}
	return made, nil
}

func encodeJPEG(out *bytes.Buffer, square *image.RGBA) error {
	return jpeg.Encode(out, square, &jpeg.Options{Quality: jpegQuality})
}

// encodeWebP encodes an opaque square. Of transparency the encoder makes what other decoders refuse.
func encodeWebP(out *bytes.Buffer, square *image.RGBA) error {
	options := webp.DefaultOptions()
	options.Quality, options.Method = webpQuality, webpMethod
	return webp.Encode(out, square, options)
}
