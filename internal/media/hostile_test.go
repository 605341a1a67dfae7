package media

import (
	"bytes"
	"errors"
	"testing"

	"sluice/internal/media/mediatest"
)

// What nobody in their right mind would upload is refused for a reason, or does no harm; and either way it takes no more
// memory than was said before.
func TestHostilePictures(t *testing.T) {
	const maxPixels = 1_000_000
	for _, s := range mediatest.Corpus(maxPixels) {
		t.Run(s.Name, func(t *testing.T) {
			info, err := Inspect(s.Data)
			var pictures []Picture
			if err == nil && info.Pixels() <= maxPixels && max(info.Width, info.Height) <= MaxSide {
				edges := []int{64, 16}
				took := allocated(func() { pictures, err = Squares(t.Context(), s.Data, info, edges) })
				// What a lossless WebP leaves behind on the way is more than it holds: see TestHostileWebPStaysWithinItsEstimate.
				if estimate := info.DecodeBytes(edges); took > estimate && info.MediaType != "image/webp" {
					t.Errorf("took %d bytes, estimated %d", took, estimate)
				}
			} else if err == nil {
				err = errTooLarge
			}
			if got := codeOf(err); got != s.Code {
				t.Errorf("got %q (%v), want %q", got, err, s.Code)
			}
			for _, p := range pictures {
				if decoded(t, p); bytes.Contains(p.Data, []byte("payload")) {
					t.Errorf("the payload is in the %s of %d pixels", p.MediaType, p.Edge)
				}
			}
		})
	}
}

var errTooLarge = errors.New("beyond the caller's limits")

// codeOf is what a caller makes of it.
func codeOf(err error) string {
	switch {
	case errors.Is(err, ErrUnsupported):
		return "unsupported_media_type"
	case errors.Is(err, ErrMalformed):
		return "unreadable_image"
	case errors.Is(err, errTooLarge):
		return "too_many_pixels"
	case err != nil:
		return err.Error()
	}
	return ""
}

// Scans that a file can ask for in a few bytes are bounded by the size of the picture as well: time is both.
func TestScansAreBoundedByThePicture(t *testing.T) {
	for _, c := range []struct {
		side, scans int
		ok          bool
	}{{100, maxScans, true}, {100, maxScans + 1, false}, {7000, 1, true}, {7000, maxScanned / 7000 / 7000, true}, {7000, maxScanned/7000/7000 + 1, false}} {
		small := mediatest.FlatJPEG{SOF: markerSOF2, Width: 8, Height: 8, Components: mediatest.YCbCr(0x11), Scans: c.scans}.Bytes()
		at := bytes.Index(small, []byte{0xff, markerSOF2})
		small[at+5], small[at+6], small[at+7], small[at+8] = byte(c.side>>8), byte(c.side), byte(c.side>>8), byte(c.side)
		if _, err := Inspect(small); (err == nil) != c.ok {
			t.Errorf("%d scans of %d x %d: got %v, want it taken: %t", c.scans, c.side, c.side, err, c.ok)
		}
	}
}
