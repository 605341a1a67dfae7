package finish

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/jpeg"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"sluice/internal/store"
	"sluice/internal/upload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// profile is a built-in row.
func profile(t *testing.T, name string) upload.Profile {
	t.Helper()
	for _, p := range upload.DefaultProfiles() {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no profile %s", name)
	return upload.Profile{}
}

// openStore opens a real store for p.
func openStore(t *testing.T, p upload.Profile) *store.File {
	t.Helper()
	files, err := store.Open(store.Options{
		Dir: t.TempDir(), Profile: p.Name, Flat: p.Flat, Variants: p.VariantNames(), Judge: Judge(p),
		Metrics: store.NewMetrics(), Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { files.Close() })
	return files
}

// pipeline joins p's store to a pipeline with the given memory for pictures.
func pipeline(t *testing.T, p upload.Profile, files Store, memory int64) *Pipeline {
	t.Helper()
	pl := New(Options{Lanes: []Lane{{p, files}}, ImageMemory: memory, Metrics: NewMetrics(), Logger: quiet})
	t.Cleanup(pl.Close)
	return pl
}

// receive stores content as a complete upload.
func receive(t *testing.T, files *store.File, content string) upload.Record {
	t.Helper()
	rec := upload.Record{ID: upload.NewID(), Length: int64(len(content))}
	if err := files.Create(rec); err != nil {
		t.Fatal(err)
	}
	if _, err := files.WriteChunk(rec.ID, 0, strings.NewReader(content), upload.Check{}); err != nil {
		t.Fatal(err)
	}
	rec, err := files.Complete(rec.ID)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func picture(t *testing.T, width, height int) string {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewYCbCr(image.Rect(0, 0, width, height), image.YCbCrSubsampleRatio420), nil); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestManyPicturesPassANarrowGate(t *testing.T) {
	p := profile(t, "avatar")
	files := openStore(t, p)
	pl := pipeline(t, p, files, 40<<20) // room for one or two at once
	var recs []upload.Record
	for range 12 {
		recs = append(recs, receive(t, files, picture(t, 800, 600)))
	}
	settled := make(chan upload.Record, len(recs))
	for _, rec := range recs {
		go func() {
			rec, err := pl.Whole(t.Context(), rec)
			if err != nil {
				t.Error(err)
			}
			settled <- rec
		}()
	}
	for range recs {
		if rec := <-settled; rec.State != upload.Ready || len(rec.Variants) != 6 {
			t.Errorf("%s is %s with %d variants", rec.ID, rec.State, len(rec.Variants))
		}
	}
}

func TestPictureThatCannotPassTheGateIsRejected(t *testing.T) {
	p := profile(t, "avatar")
	files := openStore(t, p)
	rec, err := pipeline(t, p, files, 1<<20).Whole(t.Context(), receive(t, files, picture(t, 800, 600)))
	if err != nil || rec.State != upload.Rejected || rec.Reason.Code != upload.CodeTooManyPixels {
		t.Errorf("got %+v, %v", rec, err)
	}
}

func TestWorkGoesOnWhenNobodyWaits(t *testing.T) {
	p := profile(t, "avatar")
	files := openStore(t, p)
	pl := pipeline(t, p, files, 1<<30)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	rec := receive(t, files, picture(t, 100, 100))
	if got, err := pl.Whole(gone, rec); err != nil || got.State != upload.Received && got.State != upload.Ready {
		t.Errorf("got %s, %v", got.State, err)
	}
	if got, err := pl.Whole(t.Context(), rec); err != nil || got.State != upload.Ready {
		t.Errorf("got %s, %v", got.State, err)
	}
}

// counting counts how often an upload is read.
type counting struct {
	Store
	opened atomic.Int32
}

func (c *counting) Open(id upload.ID) (io.ReadSeekCloser, upload.Record, error) {
	c.opened.Add(1)
	return c.Store.Open(id)
}

func TestRecoverFindsWhatIsReceivedAndNothingElse(t *testing.T) {
	p := profile(t, "avatar")
	files := openStore(t, p)
	before := &counting{Store: files}
	first := pipeline(t, p, before, 1<<30)
	done, due := receive(t, files, picture(t, 50, 50)), receive(t, files, picture(t, 60, 60))
	if _, err := first.Whole(t.Context(), done); err != nil {
		t.Fatal(err)
	}
	reads := before.opened.Load()
	first.Recover()
	if got, err := first.Whole(t.Context(), due); err != nil || got.State != upload.Ready {
		t.Errorf("got %s, %v", got.State, err)
	}
	first.Close()
	if again := before.opened.Load() - reads; again < 2 || again > 4 { // the one that was due, perhaps by both
		t.Errorf("%d reads", again)
	}
}

// failing is a store whose disk fails a few times.
type failing struct {
	Store
	left  atomic.Int32
	cause error
}

func (f *failing) Publish(id upload.ID, outcome upload.Outcome) (upload.Record, error) {
	if f.left.Add(-1) >= 0 {
		if f.cause != nil {
			return upload.Record{}, f.cause
		}
		return upload.Record{}, errors.New("disk trouble")
	}
	return f.Store.Publish(id, outcome)
}

func TestClientOfAStreamWaitsForNoSecondTry(t *testing.T) {
	p := profile(t, "file")
	files := openStore(t, p)
	disk := &failing{Store: files}
	disk.left.Store(99)
	got, err := pipeline(t, p, disk, 1).Stream(t.Context(), receive(t, files, "hello")) // real time: a pause would be seconds
	if got.State != upload.Received || err != nil || disk.left.Load() != 98 {
		t.Errorf("got %s, %v after %d tries, want received after one", got.State, err, 99-disk.left.Load())
	}
}

func TestUploadThatIsSettledMeanwhileIsLeftAlone(t *testing.T) {
	p := profile(t, "avatar")
	files := openStore(t, p)
	rec := receive(t, files, "no picture")
	pl := pipeline(t, p, files, 1<<30)
	if _, err := pl.Whole(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	again, err := pl.Whole(t.Context(), rec) // a caller that looked just before the verdict
	if !errors.Is(err, upload.ErrGone) {
		t.Errorf("got %s, %v; want %v at once, and no second try", again.State, err, upload.ErrGone)
	}
}

func TestHeadersOfAVideoAreInItsRecord(t *testing.T) {
	slow, fast := false, true
	p := profile(t, "video")
	files := openStore(t, p)
	pl := pipeline(t, p, files, 1<<20)
	for name, want := range map[string]*upload.Video{
		"end.mp4":       {Container: "mp4", Duration: 1.6, Width: 96, Height: 64, Codecs: []string{"h264", "aac"}, FastStart: &slow},
		"faststart.mp4": {Container: "mp4", Duration: 1.6, Width: 96, Height: 64, Codecs: []string{"h264", "aac"}, FastStart: &fast},
		"live.webm":     {Container: "webm", Width: 96, Height: 64, Codecs: []string{"vp8", "opus"}},
		"old.avi":       {Container: "avi"},
	} {
		content, err := os.ReadFile("../media/testdata/video/" + name)
		if err != nil {
			t.Fatal(err)
		}
		rec := receive(t, files, string(content))
		if rec.State != upload.Received {
			t.Fatalf("%s: got %s, want received: its headers are to be looked at", name, rec.State)
		}
		rec, err = pl.Stream(t.Context(), rec)
		if diff := cmp.Diff(want, rec.Video); err != nil || rec.State != upload.Ready || diff != "" {
			t.Errorf("%s: %s, %v, -want +got:\n%s", name, rec.State, err, diff)
		}
	}
}

func TestJudgeTakesWhatTheProfileTakes(t *testing.T) {
	const mp4 = "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
	tests := []struct {
		profile, head string
		taken         bool
	}{
		{"video", mp4, true},
		{"video", "\x1aE\xdf\xa3\x01\x00\x00\x00\x00\x00\x00\x1fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webm", true},
		{"video", "hello", false},
		{"video", "", false},
		{"file", "hello", true},
		{"file", "", true},
	}
	for _, test := range tests {
		mediaType, err := Judge(profile(t, test.profile))([]byte(test.head))
		var verdict *upload.Rejection
		if taken := err == nil; taken != test.taken || !taken && !errors.As(err, &verdict) {
			t.Errorf("%s: %q as %s: %v", test.profile, test.head, mediaType, err)
		}
	}
	if Judge(profile(t, "avatar")) != nil {
		t.Error("the whole lane is judged by its head")
	}
}

func TestReasonsAreInPeoplesWords(t *testing.T) {
	for _, test := range []struct {
		profile, mediaType string
		empty              bool
		want               string
	}{
		{"avatar", "text/plain", false, "This file is plain text. Accepted here: JPEG, PNG, WebP, GIF."},
		{"avatar", "application/pdf", false, "This file is a PDF. Accepted here: JPEG, PNG, WebP, GIF."},
		{"avatar", "video/mp4", false, "This file is a video. Accepted here: JPEG, PNG, WebP, GIF."},
		{"video", "application/vnd.microsoft.portable-executable", false, "This file is a program. Accepted here: any video."},
		{"video", "application/x-whatever", false, "This file is of another type. Accepted here: any video."},
		{"video", "application/octet-stream", false, "This file is of another type. Accepted here: any video."},
		{"video", "application/octet-stream", true, "This file is empty. Accepted here: any video."},
	} {
		without := &Pipeline{} // a converter
		if got := unsupported(without.readable(profile(t, test.profile)), test.mediaType, test.empty).Message; got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
