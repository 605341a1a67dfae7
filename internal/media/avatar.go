// Package media tells what a file is from its bytes alone, reads the headers of videos, and makes small square pictures out of
// large ones.
//
// [Sniff] names the type of any file by its first bytes. [Inspect] reads the headers of a picture without decoding it, so
// that a caller can refuse it, or wait for memory, before anything is allocated; [Squares] then decodes it once and makes
// the pictures that are served. [InspectVideo] reads what a video's headers say, by offset.
//
// The package is pure, but for [Converter], which runs a program for HEIC and AVIF: it opens no file, keeps no state, and its
// functions may be called concurrently. It writes no
// metadata, and knows no limits of its own on size: those are the caller's, who has them from
// [Info] before [Squares] is called.
//
// Invariant: nothing is allocated by what a header claims before the caller has seen the claim. Colours come out as sRGB; they
// are taken to be that if the file has no colour profile, or one that is not a matrix with curves, see icc.go.
package media

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/webp"
)

var (
	// ErrUnsupported: not a JPEG, PNG, WebP, GIF or video, or a kind of these that we have no decoder for: an animated WebP, a
	// JPEG that is arithmetic-coded, lossless, of 12 bits, or has four components without Adobe's word on what they mean.
	ErrUnsupported = errors.New("unsupported")
	// ErrMalformed: begins like one of these, but is cut short, or breaks the rules of its format.
	ErrMalformed = errors.New("malformed")
)

// Info is what the headers of a picture tell. Only [Inspect] makes a useful one. Two of the same bytes are equal.
type Info struct {
	MediaType     string // image/jpeg, image/png, image/webp or image/gif; image/heic and image/avif are [Foreign]
	Width, Height int    // in pixels, as stored: before the orientation is applied; of a GIF, its logical screen
	Orientation   int    // EXIF tag 0x0112, 1 to 8; 1, upright, where there is none

	decoder int64 // bytes that the decoder allocates, the decoded picture among them
}

// Picture is a finished square picture.
type Picture struct {
	Edge      int    // width and height in pixels
	MediaType string // image/jpeg or image/webp
	Data      []byte // the file, free of metadata
}

// errCutShort is what a walk through a container says that meets the end of the bytes.
var errCutShort = fmt.Errorf("%w: cut short", ErrMalformed)

// maxSide is where we stop to believe a header, in pixels. It keeps every product of two sides and a few bytes a pixel
// within an int64; no picture that a decoder here could hold comes near it.
const maxSide = 1 << 24

// format is a kind of picture: how its containers are walked and which decoder takes it.
type format struct {
	mediaType string
	check     func(data []byte) error // of what would cost the library much; nil where nothing does
	walk      func(data []byte, size image.Point) (facts, error)
	config    func(io.Reader) (image.Config, error)
	decode    func(io.Reader) (image.Image, error)
}

// facts are what walking through a container brings to light beyond the size.
type facts struct {
	orientation int
	decoder     int64 // see Info
	profile     embedded
}

// formatOf goes by the first bytes. A PNG that moves is a PNG; its first picture is what everybody can show.
func formatOf(data []byte) (format, bool) {
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xd8\xff")):
		return format{"image/jpeg", nil, walkJPEG, jpeg.DecodeConfig, jpeg.Decode}, true
	case bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")):
		return format{"image/png", checkChunks, walkPNG, png.DecodeConfig, png.Decode}, true
	case bytes.HasPrefix(data, []byte("GIF87a")), bytes.HasPrefix(data, []byte("GIF89a")):
		return format{"image/gif", nil, walkGIF, gif.DecodeConfig, gif.Decode}, true
	case len(data) >= 12 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP":
		return format{"image/webp", nil, walkWebP, webp.DecodeConfig, webp.Decode}, true
	}
	return format{}, false
}

// Inspect reads the headers of the picture that data holds from its first byte to its last. It walks the whole container,
// so a file that is cut short is refused here, but decodes nothing and allocates a few kilobytes at most. What follows the
// end of the picture is not looked at.
//
// It returns [ErrUnsupported] or [ErrMalformed], wrapped with the reason. The latter also means that a picture is in order and
// asks for more time than it is worth: by scans, or by chunks.
func Inspect(data []byte) (Info, error) {
	info, _, err := inspect(data)
	return info, err
}

// inspect is [Inspect], and tells where the colour profile lies.
func inspect(data []byte) (Info, embedded, error) {
	f, known := formatOf(data)
	if mediaType := Sniff(data); !known && Foreign(mediaType) {
		info, err := inspectHEIF(data, mediaType)
		return info, embedded{}, err
	}
	if !known {
		return Info{}, embedded{}, fmt.Errorf("media: %w: not a JPEG, PNG, WebP or GIF", ErrUnsupported)
	}
	if f.check != nil {
		if err := f.check(data); err != nil {
			return Info{}, embedded{}, fmt.Errorf("media: inspect %s: %w", f.mediaType, err)
		}
	}
	config, err := shielded(func() (image.Config, error) { return f.config(bytes.NewReader(data)) })
	if err != nil {
		return Info{}, embedded{}, verdict(f, err)
	}
	size := image.Pt(config.Width, config.Height)
	if min(size.X, size.Y) < 1 || max(size.X, size.Y) > maxSide {
		return Info{}, embedded{}, fmt.Errorf("media: %w: %s of %d x %d pixels", ErrMalformed, f.mediaType, size.X, size.Y)
	}
	found, err := f.walk(data, size)
	if err != nil {
		return Info{}, embedded{}, fmt.Errorf("media: inspect %s: %w", f.mediaType, err)
	}
	return Info{
		MediaType: f.mediaType, Width: size.X, Height: size.Y,
		Orientation: max(found.orientation, upright), decoder: found.decoder + found.profile.bytes(),
	}, found.profile, nil
}

// Pixels is how many pixels the picture has, which is what a limit on pictures counts.
func (i Info) Pixels() int64 { return int64(i.Width) * int64(i.Height) }

// Squares decodes data once, cuts out the centre square, and makes one picture of each edge, in pixels: each from the one
// before it, so edges should come largest first. A picture smaller than an edge is scaled up to it. The orientation is
// applied, colours are made those of sRGB, transparency is laid on white, and of a moving GIF only the first frame is used.
//
// For each edge there is a JPEG, followed by a WebP if that is smaller; without metadata, the same bytes for the same
// arguments on any machine.
//
// info must be what [Inspect] says of data, and the caller has checked it against its limits: memory is used as
// [Info.DecodeBytes] says. It returns [ErrUnsupported] or [ErrMalformed], wrapped, also where the decoder finds another
// picture than the headers promise; the context's error when that ends, which is noticed while reading the file and
// between rows; and another error for an edge below 1. With an error there are no pictures.
func Squares(ctx context.Context, data []byte, info Info, edges []int) ([]Picture, error) {
	// Looked at again, because to decode other bytes than those which were measured is to allocate without a limit.
	again, profile, err := inspect(data)
	if err != nil {
		return nil, err
	}
	if again != info {
		return nil, fmt.Errorf("media: %w: not the picture that was inspected", ErrMalformed)
	}
	conversion := newToSRGB(profile.read())
	source, err := decode(ctx, data)
	if err != nil {
		return nil, err
	}
	if !fits(source.Bounds(), info) {
		return nil, fmt.Errorf("media: %w: decoded bounds %v are not those of the header", ErrMalformed, source.Bounds())
	}

	crop, colours := centre(info.Width, info.Height), coloursOf(info.MediaType)
	pictures := make([]Picture, 0, len(edges)*len(encodings))
	for n, edge := range edges {
		small, err := scale(ctx, source, crop, colours, edge)
		if err != nil {
			return nil, err
		}
		if n == 0 { // the others are made from this one
			small = orient(small, info.Orientation)
			conversion.apply(small)
		}
		encoded, err := encode(small)
		if err != nil {
			return nil, err
		}
		pictures = append(pictures, encoded...)
		source, crop = small, small.Bounds() // lets go of the large picture
	}
	return pictures, nil
}

func decode(ctx context.Context, data []byte) (image.Image, error) {
	f, known := formatOf(data)
	if !known {
		return nil, fmt.Errorf("media: decode: %w: needs a converter", ErrUnsupported)
	}
	source, err := shielded(func() (image.Image, error) { return f.decode(untilDone(ctx, bytes.NewReader(data))) })
	if ctx.Err() != nil {
		return nil, ctx.Err() // decoders do not always wrap what their reader returns
	}
	if err != nil {
		return nil, verdict(f, err)
	}
	return source, nil
}

// shielded calls a decoder. One that panics, an index out of range being the usual way, has met bytes that its authors did
// not think of: that is a malformed picture like any other, and must not end the process with every other upload in it.
func shielded[T any](call func() (T, error)) (result T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: decoder panicked: %v", ErrMalformed, p)
		}
	}()
	return call()
}

// verdict translates what a decoder complains of.
func verdict(f format, err error) error {
	var (
		noJPEG jpeg.UnsupportedError
		noPNG  png.UnsupportedError
	)
	if errors.As(err, &noJPEG) || errors.As(err, &noPNG) {
		return fmt.Errorf("media: decode %s: %w: %w", f.mediaType, ErrUnsupported, err)
	}
	return fmt.Errorf("media: decode %s: %w: %w", f.mediaType, ErrMalformed, err)
}

// fits tells whether the decoder found what the header promised. A GIF's frame may be smaller than its screen.
func fits(decoded image.Rectangle, info Info) bool {
	promised := image.Rect(0, 0, info.Width, info.Height)
	if info.MediaType == "image/gif" {
		return !decoded.Empty() && decoded.In(promised)
	}
	return decoded == promised
}

// centre is the largest square in the middle of a picture.
func centre(width, height int) image.Rectangle {
	side := min(width, height)
	corner := image.Pt((width-side)/2, (height-side)/2)
	return image.Rectangle{Min: corner, Max: corner.Add(image.Pt(side, side))}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// untilDone ends a decoder in the middle of a file: decoders know no context, but each of them reads as it goes.
func untilDone(ctx context.Context, r io.Reader) io.Reader {
	return readFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(p)
	})
}
