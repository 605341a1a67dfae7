package finish

import (
	"context"
	"errors"
	"strings"

	"sluice/internal/media"
	"sluice/internal/upload"
)

// Stream settles an upload of the stream lane: nothing of it is held. Its head was judged as it arrived ([Judge]), its bytes are
// where they belong; what is left is to say so, to look at the headers of a video, by offset, and to read it for its digest
// where the store has none. Where that fails, on a full disk say, rec comes back as it was and the work goes on: no client
// waits for a second try.
func (p *Pipeline) Stream(ctx context.Context, rec upload.Record) (upload.Record, error) {
	return p.settle(ctx, rec, true)
}

// Passed counts an upload of the stream lane that the store had nothing to leave to us of: see [Direct].
func (p *Pipeline) Passed() { p.metrics.observe(upload.Stream, upload.Ready, nil, 0) }

// Direct tells of which types a complete upload of profile is ready: nothing is to be done about it. nil is none.
func Direct(profile upload.Profile) func(mediaType string) bool {
	if profile.Lane == upload.Whole {
		return nil
	}
	return func(mediaType string) bool { return !isVideo(mediaType) }
}

func isVideo(mediaType string) bool { return strings.HasPrefix(mediaType, "video/") }

// stream looks at the headers of a video, and makes sure of the digest.
func (p *Pipeline) stream(lane Lane, rec upload.Record) (upload.Outcome, error) {
	if !isVideo(rec.MediaType) {
		return p.withDigest(lane, rec, upload.Outcome{})
	}
	video, err := p.inspectVideo(lane, rec)
	if err != nil {
		return upload.Outcome{}, err
	}
	return p.withDigest(lane, rec, upload.Outcome{Video: video})
}

// Join assembles a final upload, if its parts are complete, and settles it as its lane says. Like Stream it waits for no second
// try; one that has to wait for its parts comes back as it was.
func (p *Pipeline) Join(ctx context.Context, rec upload.Record) (upload.Record, error) {
	joined, err := p.settle(ctx, rec, true)
	if errors.Is(err, upload.ErrNotReady) {
		return rec, nil
	}
	return joined, err
}

// Joined is how many finals were put together and settled since the start.
func (p *Pipeline) Joined() uint64 { return p.joined.Load() }

// Judge returns what tells, from the first [upload.HeadBytes] bytes alone, whether profile takes an upload. It returns nil
// for the whole lane, whose files are judged when they are complete.
func Judge(profile upload.Profile) func(head []byte) (mediaType string, err error) {
	if profile.Lane == upload.Whole {
		return nil
	}
	return func(head []byte) (string, error) {
		mediaType := media.Sniff(head)
		if !profile.Accepts(mediaType) {
			return mediaType, unsupported(profile, mediaType, len(head) == 0)
		}
		return mediaType, nil
	}
}
