package finish

import (
	"errors"
	"fmt"
	"io"
	"time"

	"sluice/internal/media"
	"sluice/internal/upload"
)

// inspectVideo reads the headers of a video. What cannot be made out of them is left out: the first bytes have decided. But
// what nothing can play is rejected, where the profile wants that.
func (p *Pipeline) inspectVideo(lane Lane, rec upload.Record) (*upload.Video, error) {
	file, _, err := lane.Store.Open(rec.ID)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, ok := file.(io.ReaderAt)
	if !ok {
		return nil, nil
	}
	video, err := media.InspectVideo(content, rec.Length)
	switch {
	case errors.Is(err, media.ErrMalformed) && lane.Profile.RejectUnreadable:
		p.log.Info("nothing can play a video", "profile", rec.Profile, "id", rec.ID, "err", err)
		return nil, rejectVideo(err)
	case errors.Is(err, media.ErrMalformed), errors.Is(err, media.ErrUnsupported):
		p.log.Info("headers of a video cannot be read", "profile", rec.Profile, "id", rec.ID, "err", err)
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("finish: %w", err)
	}
	return videoOf(video), nil
}

// unplayable are the reasons why nothing can play a video, in words for the person who sent it.
var unplayable = []struct {
	err   error
	words string
}{
	{media.ErrCutShort, "The video is cut short: the part that tells a player how to play it is incomplete."},
	{media.ErrNoIndex, "The video has no index (moov), without which nothing can play it: its recording was not finished, or its end is missing."},
	{media.ErrNoContent, "The video has headers, but neither pictures nor sound behind them: it is cut short, or was not finished."},
	{media.ErrNoTracks, "The video has neither pictures nor sound in it."},
}

// rejectVideo is the verdict on a video that was refused with err.
func rejectVideo(err error) *upload.Rejection {
	words := "The headers of the video are damaged, so that nothing can play it."
	for _, row := range unplayable {
		if errors.Is(err, row.err) {
			words = row.words
			break
		}
	}
	return upload.Reject(upload.CodeUnreadableVideo, "%s Export or copy it anew, and send that.", words)
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
