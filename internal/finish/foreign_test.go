package finish

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sluice/internal/media"
	"sluice/internal/upload"
)

// photo is a small HEIC or AVIF.
func photo(t *testing.T, kind string) string {
	t.Helper()
	data, err := os.ReadFile("../media/testdata/photo." + kind)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// converter is one that runs the program at path.
func converter(t *testing.T, path string) *media.Converter {
	t.Helper()
	c, err := media.NewConverter(path, quiet)
	if err != nil {
		t.Skip(err) // not on this system
	}
	return c
}

// vipsthumbnail is the real one. A machine without it cannot run the test; with CI set that is a failure.
func vipsthumbnail(t *testing.T) *media.Converter {
	t.Helper()
	path, err := exec.LookPath("vipsthumbnail")
	if err != nil {
		if ci := os.Getenv("CI"); ci == "1" || ci == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return converter(t, path)
}

func TestHEICAndAVIFBecomeReady(t *testing.T) {
	p := profile(t, "avatar")
	files := openStore(t, p)
	pl := New(Options{Lanes: []Lane{{p, files}}, ImageMemory: 1 << 30, Converter: vipsthumbnail(t), Metrics: NewMetrics(), Logger: quiet})
	defer pl.Close()
	for _, kind := range []string{"heic", "avif"} {
		rec, err := pl.Whole(t.Context(), receive(t, files, photo(t, kind)))
		if err != nil || rec.State != upload.Ready || rec.MediaType != "image/"+kind || len(rec.Variants) != len(p.VariantNames()) {
			t.Errorf("%s: got %+v, %v", kind, rec, err)
		}
		damaged := []byte(photo(t, kind))
		for i := len(damaged) - 40; i < len(damaged); i++ {
			damaged[i] = 0
		}
		rec, err = pl.Whole(t.Context(), receive(t, files, string(damaged[:len(damaged)-1])))
		if err != nil || rec.State != upload.Rejected || rec.Reason.Code != upload.CodeUnreadableImage {
			t.Errorf("%s, damaged: got %+v, %v", kind, rec, err)
		}
	}
}

func TestForeignPicturesAreRefusedInWordsWithoutAConverter(t *testing.T) {
	p := profile(t, "avatar")
	files := openStore(t, p)
	few := p
	few.Accept = []string{"image/png", "image/heic"}
	any := p
	any.Accept = []string{"image/*"}
	none := p
	none.Accept = []string{"image/heic"}
	for _, c := range []struct {
		profile upload.Profile
		kind    string
		want    string
	}{
		{p, "heic", "HEIC pictures cannot be read by this server; send JPEG, PNG, WebP or GIF."},
		{p, "avif", "AVIF pictures cannot be read by this server; send JPEG, PNG, WebP or GIF."},
		{any, "avif", "AVIF pictures cannot be read by this server; send JPEG, PNG, WebP or GIF."},
		{few, "heic", "HEIC pictures cannot be read by this server; send PNG."},
		{few, "avif", "This file is AVIF. Accepted here: PNG."},
		{none, "heic", "HEIC pictures cannot be read by this server."},
	} {
		rec, err := pipeline(t, c.profile, files, 1<<30).Whole(t.Context(), receive(t, files, photo(t, c.kind)))
		if err != nil || rec.State != upload.Rejected || rec.Reason.Code != upload.CodeUnsupportedType || rec.Reason.Message != c.want {
			t.Errorf("got %+v, %v, want %q", rec.Reason, err, c.want)
		}
	}
}

// A converter that is gone is the server's trouble: the upload stays received, and whoever asks next has it tried again.
func TestConverterThatIsGoneIsNoVerdict(t *testing.T) {
	p := profile(t, "avatar")
	files := openStore(t, p)
	c := converter(t, filepath.Join(t.TempDir(), "gone"))
	rec := receive(t, files, photo(t, "heic"))
	info, err := media.Inspect([]byte(photo(t, "heic")))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Convert(t.Context(), []byte(photo(t, "heic")), info, 64); err == nil || errors.Is(err, media.ErrMalformed) {
		t.Fatalf("got %v", err)
	}
	retry := retryAfter
	retryAfter = nil
	defer func() { retryAfter = retry }()
	pl := New(Options{Lanes: []Lane{{p, files}}, ImageMemory: 1 << 30, Converter: c, Metrics: NewMetrics(), Logger: quiet})
	got, err := pl.Whole(t.Context(), rec)
	pl.Close()
	if err == nil || got.State != upload.Received {
		t.Errorf("got %s, %v, want received and an error", got.State, err)
	}
}
