package e2e

import (
	"bytes"
	"encoding/json"
	"image"
	_ "image/jpeg"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "golang.org/x/image/webp"
)

// TestRestartWhileReceived starts a server on uploads that another had received and not settled when it died. They are
// settled without anybody asking.
func TestRestartWhileReceived(t *testing.T) { restartIn(t, "received") }

// TestRestartBeforeReceived is the same an instant earlier: the last byte is there, but that it was the last had not been
// written down. HEAD says that nothing is missing, so no client will ever send anything again.
func TestRestartBeforeReceived(t *testing.T) { restartIn(t, "receiving") }

func restartIn(t *testing.T, state string) {
	s := start(t)
	picture := gradient(t, 640, 480)
	avatar := s.create(t, "/avatars/", int64(len(picture)))
	s.patch(t, avatar, 0, bytes.NewReader(picture), int64(len(picture)))
	film := content{size: 100_000, head: movie}
	video := s.upload(t, "/videos/", film)
	for _, location := range []string{avatar, video} {
		if found := s.standing(t, location); found.State != "ready" {
			t.Fatalf("%s is %s, want ready", location, found.State)
		}
	}

	s.kill()
	s.unsettle(t, avatar, state)
	s.unsettle(t, video, state)
	s.run(t)

	for _, location := range []string{avatar, video} {
		await(t, location+" is ready", func() bool { return s.standing(t, location).State == "ready" })
	}
	s.checkContent(t, video, film)
	s.checkVariants(t, avatar)
}

// unsettle sets an upload back to where every byte was there and nothing done with them.
func (s *server) unsettle(t *testing.T, location, state string) {
	t.Helper()
	s.forgetJournal(t)
	id := filepath.Base(location)
	err := filepath.WalkDir(s.data, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil || entry.IsDir() || !strings.HasPrefix(entry.Name(), id):
			return err
		case entry.Name() == id+".info":
			return rewrite(path, state)
		case entry.Name() != id:
			return os.Remove(path) // a variant
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// forgetJournal has the files of a server that was killed count as they are: a start would put back what is changed in them.
func (s *server) forgetJournal(t *testing.T) {
	t.Helper()
	for _, name := range []string{"journal-a", "journal-b"} {
		found, err := filepath.Glob(filepath.Join(s.data, "*", ".sluice", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, journal := range found {
			if err := os.Remove(journal); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// rewrite makes a record one of that state.
func rewrite(path, state string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var record map[string]any
	if err := json.Unmarshal(raw, &record); err != nil {
		return err
	}
	ours := record["Sluice"].(map[string]any)
	ours["state"] = state
	delete(ours, "variants")
	if raw, err = json.Marshal(record); err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o600)
}

func (s *server) checkVariants(t *testing.T, avatar string) {
	t.Helper()
	variants := s.standing(t, avatar).Variants
	if len(variants) != 3 {
		t.Fatalf("%d variants, want 3", len(variants))
	}
	for _, v := range variants {
		r := s.do(t, "GET", v.URL)
		decoded, format, err := image.Decode(bytes.NewReader(r.body))
		if err != nil {
			t.Fatalf("variant %s: got %d, %v", v.Name, r.status, err)
		}
		t.Logf("variant %s is %s, %v", v.Name, format, decoded.Bounds().Size())
		if size := decoded.Bounds().Size(); size.X != size.Y || v.Name != map[int]string{512: "512", 256: "256", 64: "64"}[size.X] {
			t.Errorf("variant %s has the size %v", v.Name, size)
		}
	}
}

// gradient is a PNG of that size, far smaller than its pixels.
func gradient(t *testing.T, width, height int) []byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, width, height))
	for i := range img.Pix {
		img.Pix[i] = byte(i / width)
	}
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := encoder.Encode(&out, img); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
