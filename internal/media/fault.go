package media

import (
	"errors"
	"fmt"
)

// What can be wrong with a video, so that no player plays it. Each is an [ErrMalformed], and these are all that
// [InspectVideo] returns. Whatever players pass over is none: broken boxes in an index that describes its tracks all the
// same, content that ends early behind a whole index, bytes behind the end.
var (
	// ErrCutShort: the file ends within its headers, or says that they lie beyond its end.
	ErrCutShort = errCutShort
	// ErrNoIndex: an mp4 or QuickTime file without moov, which is written last: a recording that was not finished, say.
	ErrNoIndex = fmt.Errorf("%w: no index (moov)", ErrMalformed)
	// ErrNoContent: an mp4 or QuickTime file without mdat.
	ErrNoContent = fmt.Errorf("%w: no content (mdat)", ErrMalformed)
	// ErrNoTracks: nothing is described that could be seen or heard.
	ErrNoTracks = fmt.Errorf("%w: no track of picture or sound", ErrMalformed)
)

// errLost ends a walk where the next header is none. Players look on for one that they know.
var errLost = fmt.Errorf("%w: headers cannot be followed", ErrUnsupported)

// passOver is err, unless it is about a part of an index that players do without.
func passOver(err error) error {
	if errors.Is(err, ErrMalformed) {
		return nil
	}
	return err
}
