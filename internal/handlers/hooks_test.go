package handlers

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/jpeg"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/internal/upload"
)

func itoa(n int) string { return strconv.Itoa(n) }

// picture is a JPEG of the given size.
func picture(t *testing.T, width, height int) string {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for x := range width {
		img.Set(x, height/2, color.RGBA{uint8(x), 0, 200, 255})
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// avatar uploads content to the whole lane in one PATCH and returns the last answer.
func (s *testServer) avatar(content string) (path string, last answer) {
	path = s.create("/avatars/", "Upload-Length", itoa(len(content)))
	return path, s.patch(path, "0", strings.NewReader(content))
}

func TestAvatarIsProcessedBeforeTheLastAnswer(t *testing.T) {
	s := start(t, nil)
	path, last := s.avatar(picture(t, 700, 600))
	last.want(t, statusIs(204), has("Sluice-State", "ready"))
	got := s.state(path)
	if got.State != upload.Ready || len(got.Variants) != 3 {
		t.Fatalf("state is %+v", got)
	}
	for i, edge := range []int{512, 256, 64} {
		a := s.do(http.MethodGet, got.Variants[i].URL, nil, nil)
		a.want(t, statusIs(200), has("Content-Type", "image/jpeg"))
		if img, err := jpeg.DecodeConfig(strings.NewReader(a.body)); err != nil || img.Width != edge || img.Height != edge {
			t.Errorf("variant %d is %d x %d, %v", edge, img.Width, img.Height, err)
		}
	}
	s.do(http.MethodDelete, path, tus, nil).want(t, statusIs(204))
	s.do(http.MethodGet, got.Variants[0].URL, nil, nil).want(t, statusIs(404))
}

func TestAvatarIsRejectedWithAReason(t *testing.T) {
	s := start(t, nil)
	whole := picture(t, 300, 300)
	huge := strings.Replace(whole, "\x01\x2c\x01\x2c", "\xf0\x00\xf0\x00", 1) // 61,440 x 61,440 in the header
	tests := []struct {
		name, content string
		status        int
		code          string
	}{
		{"text", "hello", 415, upload.CodeUnsupportedType},
		{"SVG", `<svg xmlns="http://www.w3.org/2000/svg"/>`, 415, upload.CodeUnsupportedType},
		{"cut off", whole[:len(whole)/2], 422, upload.CodeUnreadableImage},
		{"too many pixels", huge, 413, upload.CodeTooManyPixels},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path, last := s.avatar(test.content)
			last.want(t, statusIs(test.status), code(test.code), has("Sluice-State", "rejected"))
			got := s.state(path)
			if got.State != upload.Rejected || got.Reason == nil || got.Reason.Code != test.code || got.Reason.Message == "" {
				t.Errorf("state is %+v", got)
			}
			s.do(http.MethodHead, path, tus, nil).want(t, statusIs(410))
			s.do(http.MethodGet, path, nil, nil).want(t, statusIs(410), code(test.code))
		})
	}
}

// slow is a finisher whose verdict on whole files comes when the test says so.
type slow struct {
	Finisher
	verdict chan struct{}
}

func (f *slow) Whole(ctx context.Context, rec upload.Record) (upload.Record, error) {
	select {
	case <-f.verdict:
		return f.Finisher.Whole(ctx, rec)
	case <-ctx.Done():
		return rec, nil
	}
}

func TestAvatarWithoutAVerdictInTimeIsReceived(t *testing.T) {
	var held *slow
	s := start(t, func(o *Options) {
		o.AnswerWithin = 10 * time.Millisecond
		held = &slow{o.Finisher, make(chan struct{})}
		o.Finisher = held
	})
	path, last := s.avatar(picture(t, 100, 100))
	last.want(t, statusIs(204), has("Sluice-State", "received"))
	close(held.verdict)
	s.do(http.MethodHead, path, tus, nil).want(t, statusIs(200), has("Upload-Offset", last.Header.Get("Upload-Offset")))
	for deadline := time.Now().Add(10 * time.Second); s.state(path).State != upload.Ready; { // asking is what resumes it
		if time.Now().After(deadline) {
			t.Fatal("never ready")
		}
	}
}

// never begins nothing by itself, however often somebody asks for the status.
type never struct{ *slow }

func (never) Resume(upload.Record) {}

// held serves avatars whose verdict never comes, and returns one that waits for it, with its unfinished PATCH.
func held(t *testing.T) (s *testServer, path string, last chan answer) {
	s = start(t, func(o *Options) { o.Finisher = never{&slow{o.Finisher, make(chan struct{})}} })
	content := picture(t, 100, 100)
	path, last = s.create("/avatars/", "Upload-Length", itoa(len(content))), make(chan answer)
	go func() { last <- s.patch(path, "0", strings.NewReader(content)) }()
	for deadline := time.Now().Add(10 * time.Second); s.state(path).State != upload.Received; {
		if time.Now().After(deadline) {
			t.Fatal("never received")
		}
	}
	return s, path, last
}

func TestWhoeverTakesOverDoesNotWaitForAVerdict(t *testing.T) {
	s, path, last := held(t)
	s.do(http.MethodDelete, path, tus, nil).want(t, statusIs(204))
	a := <-last
	a.want(t, statusIs(204), has("Sluice-State", "received"))
	s.do(http.MethodHead, path, tus, nil).want(t, statusIs(404))
}

func TestDrainDoesNotWaitForAVerdict(t *testing.T) {
	s, path, last := held(t)
	s.Drain()
	a := <-last
	a.want(t, statusIs(204), has("Sluice-State", "received"))
	s.do(http.MethodHead, path, tus, nil).want(t, statusIs(200), has("Sluice-State", "received"))
}

func TestLostLastAnswerDoesNotProcessTwice(t *testing.T) {
	s := start(t, nil)
	content := picture(t, 100, 100)
	path, last := s.avatar(content)
	last.want(t, statusIs(204))
	s.patch(path, itoa(len(content)), strings.NewReader("")).want(t, statusIs(204), has("Sluice-State", "ready"), has("Upload-Offset", itoa(len(content))))
	s.do(http.MethodHead, path, tus, nil).want(t, statusIs(200), has("Sluice-State", "ready"))
}
