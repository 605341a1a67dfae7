package examples

import (
	"bytes"
	"image"
	"image/color"
	_ "image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCurlTour sees each step answered as the tour says, and nothing left on the server. The tour itself compares the bytes.
func TestCurlTour(t *testing.T) {
	needs(t, "curl", "--version")
	file, s := newSource(t, 8*mebibyte), start(t)
	c := launch(t, t.TempDir(), filepath.Join(root, "curl", "tour.sh"), file.path, "http://"+s.public+"/files/")
	c.exit(t, 0)

	rest := c.stdout.String()
	for _, phrase := range []string{"Tus-Extension: ", "201 Created", "curl ended with 28", "Upload-Offset: ", "HTTP/1.1 460", "204 No Content",
		"send all the rest", "Sluice-State: ready", `"state":"ready"`, "206 Partial Content", "the same 8388608 bytes", "delete it", "204 No Content"} {
		_, after, found := strings.Cut(rest, phrase)
		if !found {
			t.Fatalf("no %q, or not in its turn, in:\n%s", phrase, &c.stdout)
		}
		rest = after
	}
	if left := uploads(t, s, "file"); left != 0 {
		t.Errorf("%d uploads are left, want none", left)
	}
}

// TestCurlAvatar sends a picture and looks at the squares that came back.
func TestCurlAvatar(t *testing.T) {
	needs(t, "curl", "--version")
	s, dir := start(t), t.TempDir()
	picture := filepath.Join(dir, "portrait.png")
	writePicture(t, picture)
	launch(t, dir, filepath.Join(root, "curl", "avatar.sh"), picture, "http://"+s.public+"/avatars/").exit(t, 0)

	for side, name := range map[int]string{512: "portrait-512", 256: "portrait-256", 64: "portrait-64"} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := image.DecodeConfig(bytes.NewReader(raw))
		if err != nil || got.Width != side || got.Height != side {
			t.Errorf("%s: %d x %d (%v), want a square of %d", name, got.Width, got.Height, err, side)
		}
	}
}

// TestCurlAvatarRefused has the reason in the server's words.
func TestCurlAvatarRefused(t *testing.T) {
	needs(t, "curl", "--version")
	s := start(t)
	c := launch(t, t.TempDir(), filepath.Join(root, "curl", "avatar.sh"), text(t, "portrait.jpg", 5000), "http://"+s.public+"/avatars/")
	c.exit(t, 1)
	c.checkSaid(t, "This file is plain text.")
}

func writePicture(t *testing.T, path string) {
	t.Helper()
	picture := image.NewRGBA(image.Rect(0, 0, 800, 600))
	for y := range 600 {
		for x := range 800 {
			picture.Set(x, y, color.RGBA{uint8(x), uint8(y), uint8(x + y), 255})
		}
	}
	var raw bytes.Buffer
	if err := png.Encode(&raw, picture); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
