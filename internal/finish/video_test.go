package finish

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"sluice/internal/media"
	"sluice/internal/upload"
)

// sample is a video of those that media is tested with.
func sample(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile("../media/testdata/video/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestAVideoThatNothingCanPlayIsRejectedWhereTheProfileSaysSo(t *testing.T) {
	end := sample(t, "end.mp4")
	at := strings.Index(end, "moov")
	broken := end[:at+200]
	for name, want := range map[string]upload.State{"video": upload.Rejected, "file": upload.Ready} {
		p := profile(t, name)
		files := openStore(t, p)
		pl := pipeline(t, p, files, 1)
		rec, err := pl.Stream(t.Context(), receive(t, files, broken))
		if err != nil || rec.State != want || rec.Video != nil {
			t.Errorf("%s: got %s, %v, %v, want %s", name, rec.State, rec.Video, err, want)
		}
		if want == upload.Rejected && (rec.Reason.Code != upload.CodeUnreadableVideo || !strings.Contains(rec.Reason.Message, "cut short")) {
			t.Errorf("got reason %+v", rec.Reason)
		}
		for _, fine := range []string{"fragmented.mp4", "live.webm", "pipe.mkv", "packets.ts", "old.avi", "theora.ogv"} {
			rec, err := pl.Stream(t.Context(), receive(t, files, sample(t, fine)))
			if err != nil || rec.State != upload.Ready {
				t.Errorf("%s: %s: got %s, %v, %v, want ready", name, fine, rec.State, rec.Reason, err)
			}
		}
	}
}

// Whatever is said to people is one of these, and nothing of the error itself.
func TestReasonsWhyNothingCanPlayAVideo(t *testing.T) {
	seen := make(map[string]bool)
	for _, err := range []error{media.ErrCutShort, media.ErrNoIndex, media.ErrNoContent, media.ErrNoTracks, media.ErrMalformed} {
		why := rejectVideo(fmt.Errorf("media: secret: %w", err))
		if why.Code != upload.CodeUnreadableVideo || seen[why.Message] || strings.Contains(why.Message, "secret") ||
			strings.Contains(why.Message, "malformed") || !strings.HasSuffix(why.Message, ".") {
			t.Errorf("%v: got %+v", err, why)
		}
		seen[why.Message] = true
	}
}

// torn is a store whose disk gives out only the beginning of what it has.
type torn struct{ Store }

func (s torn) Open(id upload.ID) (io.ReadSeekCloser, upload.Record, error) {
	file, rec, err := s.Store.Open(id)
	if err != nil {
		return nil, rec, err
	}
	return tornFile{file}, rec, nil
}

type tornFile struct{ io.ReadSeekCloser }

func (f tornFile) ReadAt(p []byte, off int64) (int, error) { return 0, errors.New("disk trouble") }
func (f tornFile) Read(p []byte) (int, error)              { return 0, errors.New("disk trouble") }

// The verdict would be for ever, the disk may be well tomorrow.
func TestADiskThatFailsRejectsNothing(t *testing.T) {
	for _, name := range []string{"video", "file"} {
		p := profile(t, name)
		p.Digest = upload.SHA256
		files := openStore(t, p) // which knows no digest
		rec := receive(t, files, sample(t, "end.mp4"))
		synctest.Test(t, func(t *testing.T) {
			pl := New(Options{Lanes: []Lane{{p, torn{files}}}, ImageMemory: 1, Metrics: NewMetrics(), Logger: quiet})
			defer pl.Close()
			got, err := pl.Whole(t.Context(), rec) // waits for every try
			if got.State != upload.Received || err == nil {
				t.Errorf("%s: got %s, %v, want received and an error", name, got.State, err)
			}
		})
		rec, err := pipeline(t, p, files, 1).Stream(t.Context(), rec)
		if err != nil || rec.State != upload.Ready || rec.Digest == "" {
			t.Errorf("%s, when the disk is well: got %s, digest %q, %v, want ready", name, rec.State, rec.Digest, err)
		}
	}
}
