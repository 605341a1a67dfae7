package e2e

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"sluice/internal/media/mediatest"
)

const (
	// hostilePixels is the limit of the server under attack. Its gate is the least with which it starts.
	hostilePixels = 4_000_000
	hostileGate   = 256 << 20
	// hostileBase is what the process may have besides the gate: itself, and what its collector has not come to yet.
	hostileBase = 64 << 20
	// attackers send at the same time.
	attackers = 6
)

// TestHostilePictures sends a real server everything that is no picture, or one that means harm, several at once. Each is
// refused with a reason and leaves nothing behind, or does no harm; and the memory of the process stays within what was said.
func TestHostilePictures(t *testing.T) {
	data := t.TempDir()
	config := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(config, []byte("profiles: [{name: avatar, maxPixels: 4000000}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, data, "--config", config, "--image-memory", "256MiB")
	s.run(t)

	samples := make(chan mediatest.Sample)
	var work sync.WaitGroup
	for range attackers {
		work.Go(func() {
			for sample := range samples {
				s.attack(t, sample)
			}
		})
	}
	for _, sample := range mediatest.Corpus(hostilePixels) {
		samples <- sample
	}
	close(samples)
	work.Wait()

	peak := s.peak(t)
	t.Logf("peak of the resident memory: %.0f MiB", mib(peak))
	if peak > hostileGate+hostileBase {
		t.Errorf("the peak is %.0f MiB, with %d MiB for pictures", mib(peak), hostileGate>>20)
	}
	if left := s.metric(t, "sluice_finish_gate_bytes"); left != 0 {
		t.Errorf("%v bytes are still behind the gate", left)
	}
}

// attack uploads one sample. It is called from many goroutines, so t is only marked as failed.
func (s *server) attack(t *testing.T, sample mediatest.Sample) {
	size := int64(len(sample.Data))
	answer := s.do(t, "POST", "/avatars/", protocol, "Upload-Length: "+strconv.FormatInt(size, 10))
	location := answer.header.Get("Location")
	if size > 0 {
		answer = s.patch(t, location, 0, bytes.NewReader(sample.Data), size)
	}
	if sample.Code == "" {
		s.checkHarmless(t, sample, location, answer)
		return
	}
	status := map[string]int{"unsupported_media_type": 415, "unreadable_image": 422, "too_many_pixels": 413}[sample.Code]
	problem := answer.problem()
	if answer.status != status || problem.Code != sample.Code || problem.Detail == "" || answer.header.Get("Sluice-State") != "rejected" {
		t.Errorf("%s: got %d %s %s, want %d %s", sample.Name, answer.status, answer.header.Get("Sluice-State"), answer.body, status, sample.Code)
	}
	if location == "" {
		return
	}
	if r := s.do(t, "GET", location); r.status != http.StatusGone {
		t.Errorf("%s: its content answers %d, want 410", sample.Name, r.status)
	}
	id := filepath.Base(location)
	for _, name := range glob(t, filepath.Join(s.data, "avatar", "*", id+"*")) {
		if filepath.Base(name) != id+".info" {
			t.Errorf("%s: %s is left", sample.Name, filepath.Base(name))
		}
	}
}

// checkHarmless looks at what became of a picture that is something else too: nothing of that is in what was made of it, and
// as itself it is served as the picture that it is.
func (s *server) checkHarmless(t *testing.T, sample mediatest.Sample, location string, answer reply) {
	if answer.status != http.StatusNoContent || answer.header.Get("Sluice-State") != "ready" {
		t.Errorf("%s: got %d %s %s, want it ready", sample.Name, answer.status, answer.header.Get("Sluice-State"), answer.body)
		return
	}
	for _, path := range []string{location + "/512", location + "/64-webp"} {
		r := s.do(t, "GET", path)
		if r.status != http.StatusOK || bytes.Contains(r.body, []byte("payload")) {
			t.Errorf("%s: %s answers %d with %d bytes", sample.Name, path, r.status, len(r.body))
		}
	}
	original := s.do(t, "HEAD", location)
	if kind := original.header.Get("Content-Type"); !strings.HasPrefix(kind, "image/") || original.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s: it is served as %s", sample.Name, kind)
	}
}

func glob(t *testing.T, pattern string) []string {
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Error(err)
	}
	return found
}
