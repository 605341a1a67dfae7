package e2e

import (
	"net/http"
	"testing"
	"time"
)

// generous is far above what taking over an upload should need, and below the six seconds of servers that look for the wish
// of others in a file from time to time. It is the only bound on time in this package; the figure itself is logged.
const generous = 5 * time.Second

// TestHeadInterruptsStalledPatch has a client stand still in the middle of a body. Another one learns at once how much
// arrived, and goes on.
func TestHeadInterruptsStalledPatch(t *testing.T) {
	for _, durability := range durabilities {
		t.Run(durability, func(t *testing.T) {
			s := start(t, "--durability", durability)
			stalled, up := stall(t, s)
			up.takeOver(t, s)
			answer, err := stalled.answer("PATCH")
			if err != nil || answer.status != http.StatusLocked || answer.problem().Code != "interrupted" {
				t.Errorf("the interrupted client got %d %s %v, want 423 interrupted", answer.status, answer.body, err)
			}
			if answer.header.Get("Retry-After") == "" {
				t.Error("423 without Retry-After")
			}
		})
	}
}

// TestPatchInterruptsStalledPatch leaves out the HEAD: the newcomer knows the offset.
func TestPatchInterruptsStalledPatch(t *testing.T) {
	s := start(t)
	stalled, up := stall(t, s)
	s.send(t, up.location, up.file, up.sent, up.file.size)
	if answer, err := stalled.answer("PATCH"); err != nil || answer.status != http.StatusLocked {
		t.Errorf("the interrupted client got %d %s %v, want 423", answer.status, answer.body, err)
	}
	s.checkContent(t, up.location, up.file)
}

// TestDeleteInterruptsStalledPatch ends the upload under a client that stands still.
func TestDeleteInterruptsStalledPatch(t *testing.T) {
	s := start(t)
	stalled, up := stall(t, s)
	if r := s.do(t, "DELETE", up.location, protocol); r.status != http.StatusNoContent {
		t.Fatalf("DELETE: got %d %s, want 204", r.status, r.body)
	}
	if answer, err := stalled.answer("PATCH"); err == nil && answer.status < 400 {
		t.Errorf("the interrupted client got %d, want an error", answer.status)
	}
	if r := s.do(t, "HEAD", up.location, protocol); r.status != http.StatusNotFound && r.status != http.StatusGone {
		t.Errorf("HEAD after DELETE: got %d, want 404 or 410", r.status)
	}
}

// TestInterruptedConnectionGoesOn interrupts a request when its body has been read already, and sees that the next one on the
// same connection still waits for a lock as long as any other would.
func TestInterruptedConnectionGoesOn(t *testing.T) {
	s := start(t)
	picture := gradient(t, 5000, 5000) // is worked on for as long as the newcomer needs to come
	avatar := s.create(t, "/avatars/", int64(len(picture)))
	first, second := s.dial(t), s.dial(t)
	first.begin(avatar, 0, int64(len(picture)), picture)
	await(t, "the picture is worked on", func() bool { return s.standing(t, avatar).State != "receiving" })
	second.begin(avatar, int64(len(picture)), 0, nil)
	answer, err := first.answer("PATCH")
	if err != nil || answer.status != http.StatusNoContent && answer.status != http.StatusLocked {
		t.Fatalf("the interrupted client got %d %s %v, want 204 or 423", answer.status, answer.body, err)
	}
	if answer.close {
		return // then nothing can follow
	}

	_, up := stall(t, s)
	first.write([]byte(ask("HEAD "+up.location, protocol)))
	if answer, err := first.answer("HEAD"); err != nil || answer.status != http.StatusOK {
		t.Errorf("HEAD on the same connection: got %d %v, want 200 as on every other", answer.status, err)
	}
}

// stall sends half of an upload in one PATCH that promises all of it, and stops.
func stall(t *testing.T, s *server) (*line, stopped) {
	t.Helper()
	up := stopped{file: content{size: 8 << 20}, sent: 4<<20 + 321}
	up.location = s.create(t, "/files/", up.file.size)
	stalled := s.dial(t)
	stalled.begin(up.location, 0, up.file.size, up.file.bytes(0, up.sent))
	stalled.drain(t)
	return stalled, up
}

// takeOver asks for the offset while somebody else holds the upload, and sends the rest.
func (up stopped) takeOver(t *testing.T, s *server) {
	t.Helper()
	began := time.Now()
	if offset := s.offset(t, up.location); offset != up.sent {
		t.Errorf("HEAD told %d, want the %d that had arrived", offset, up.sent)
	}
	took := time.Since(began)
	t.Logf("HEAD had the offset after %v", took.Round(time.Microsecond))
	if took > generous {
		t.Errorf("HEAD took %v, want at most %v", took, generous)
	}
	s.send(t, up.location, up.file, up.sent, up.file.size)
	s.checkContent(t, up.location, up.file)
}
