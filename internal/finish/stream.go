package finish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"sluice/internal/media"
	"sluice/internal/upload"
)

// Stream settles an upload of the stream lane: nothing of it is held. Its head was judged as it arrived ([Judge]), its bytes are
// where they belong; what is left is to say so, and, of a video, to look at its headers, by offset. Where that fails, on a full disk say, rec comes back as it was
// and the work goes on: no client waits for a second try.
func (p *Pipeline) Stream(ctx context.Context, rec upload.Record) (upload.Record, error) {
	if rec.State == upload.Ready {
		p.metrics.observe(upload.Stream, rec, nil, 0) // the store had nothing to leave to us
		return rec, nil
	}
	return p.settle(ctx, rec, true)
}

// Direct tells of which types a complete upload of profile is ready: nothing is to be done about it. nil is none.
func Direct(profile upload.Profile) func(mediaType string) bool {
	if profile.Lane == upload.Whole {
		return nil
	}
	return func(mediaType string) bool { return !isVideo(mediaType) }
}

func isVideo(mediaType string) bool { return strings.HasPrefix(mediaType, "video/") }

// stream looks at the headers of a video. What cannot be made out of them is left out: the first bytes have decided.
func (p *Pipeline) stream(lane Lane, rec upload.Record) (upload.Outcome, error) {
	if !isVideo(rec.MediaType) {
		return upload.Outcome{}, nil
	}
	file, _, err := lane.Store.Open(rec.ID)
	if err != nil {
		return upload.Outcome{}, err
	}
	defer file.Close()
	content, ok := file.(io.ReaderAt)
	if !ok {
		return upload.Outcome{}, nil
	}
	video, err := media.InspectVideo(content, rec.Length)
	switch {
	case errors.Is(err, media.ErrMalformed), errors.Is(err, media.ErrUnsupported):
		p.log.Info("headers of a video cannot be read", "profile", rec.Profile, "id", rec.ID, "err", err)
		return upload.Outcome{}, nil
	case err != nil:
		return upload.Outcome{}, fmt.Errorf("finish: %w", err)
	}
	return upload.Outcome{Video: videoOf(video)}, nil
}

// videoOf is v as the record has it.
func videoOf(v media.Video) *upload.Video {
	said := &upload.Video{
		Container: v.Container, Duration: v.Duration.Round(time.Millisecond).Seconds(), Width: v.Width, Height: v.Height, Codecs: v.Codecs,
	}
	if v.Container == "mp4" || v.Container == "quicktime" {
		said.FastStart = &v.FastStart
	}
	return said
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
