package e2e

import (
	"bytes"
	"net/http"
	"os"
	"strings"
	"testing"
)

// mutilated are films that nothing can play, with a word that their reason must have.
var mutilated = map[string]struct {
	film content
	word string
}{
	"no index":      {content{size: 300_000, head: []byte(box("ftyp", "isom\x00\x00\x02\x00isomiso2") + "\x00\x00\x00\x00mdat")}, "index"},
	"index cut off": {content{size: 9000, head: []byte(box("ftyp", "isom\x00\x00\x02\x00isomiso2") + "\x00\x00\x10\x00mdat" + strings.Repeat("x", 4088) + "\x00\x00\xff\xff" + "moov")}, "cut short"},
	"no tracks":     {content{size: 300_000, head: []byte(box("ftyp", "isom\x00\x00\x02\x00isomiso2") + box("moov") + "\x00\x00\x00\x00mdat")}, "neither pictures nor sound"},
}

// TestAFilmThatNothingCanPlayIsRejected also looks that its bytes are there for the operator, and for nobody else.
func TestAFilmThatNothingCanPlayIsRejected(t *testing.T) {
	s := start(t)
	for name, c := range mutilated {
		location := s.create(t, "/videos/", c.film.size)
		s.send(t, location, c.film, 0, c.film.size/2)
		r := s.patch(t, location, c.film.size/2, c.film.part(c.film.size/2, c.film.size), c.film.size-c.film.size/2)
		told := r.problem()
		if r.status != http.StatusUnprocessableEntity || told.Code != "unreadable_video" || !strings.Contains(told.Detail, c.word) || r.header.Get("Sluice-State") != "rejected" {
			t.Errorf("%s: got %d, Sluice-State %q, %s, want 422, rejected, unreadable_video", name, r.status, r.header.Get("Sluice-State"), r.body)
		}
		for range 2 { // a restart changes nothing
			if r := s.do(t, "HEAD", location, protocol); r.status != http.StatusGone {
				t.Errorf("%s: HEAD: got %d, want 410", name, r.status)
			}
			if r := s.do(t, "GET", location); r.status != http.StatusGone || r.problem().Code != "unreadable_video" {
				t.Errorf("%s: GET: got %d %s, want 410, unreadable_video", name, r.status, r.body)
			}
			if r := s.do(t, "GET", location+"/status"); !bytes.Contains(r.body, []byte(`"reason":{"code":"unreadable_video"`)) || s.standing(t, location).State != "rejected" {
				t.Errorf("%s: status: got %s", name, r.body)
			}
			if got, err := os.ReadFile(s.stored(t, location)); err != nil || !bytes.Equal(got, c.film.bytes(0, c.film.size)) {
				t.Errorf("%s: its bytes are not kept: %v", name, err)
			}
			s.kill()
			s.run(t)
		}
		stored := s.stored(t, location)
		if r := s.do(t, "DELETE", location, protocol); r.status != http.StatusNoContent {
			t.Errorf("%s: DELETE: got %d, want 204", name, r.status)
		}
		if _, err := os.Stat(stored); err == nil {
			t.Errorf("%s: its bytes are there when it is deleted", name)
		}
	}
}

// TestWhatIsDoneAboutAFilmThatNothingCanPlayIsAColumn tries each.
func TestWhatIsDoneAboutAFilmThatNothingCanPlayIsAColumn(t *testing.T) {
	film := mutilated["no index"].film
	for _, tt := range []struct {
		name, endpoint, columns, state string
		kept                           bool
	}{
		{"anything is a file", "/files/", profile("file", "keepRejected: true"), "ready", true},
		{"removed", "/videos/", profile("video", "keepRejected: false"), "rejected", false},
		{"taken", "/videos/", profile("video", "rejectUnreadable: false"), "ready", true},
		{"a file that must play", "/files/", profile("file", "rejectUnreadable: true"), "rejected", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, configured(t, tt.columns))
			location := s.create(t, tt.endpoint, film.size)
			s.patch(t, location, 0, film.part(0, film.size), film.size)
			if got := s.standing(t, location).State; got != tt.state {
				t.Errorf("it is %s, want %s", got, tt.state)
			}
			if _, err := os.Stat(s.stored(t, location)); (err == nil) != tt.kept {
				t.Errorf("its bytes: %v, want kept: %t", err, tt.kept)
			}
		})
	}
}

// TestAJoinedFilmThatNothingCanPlayIsRejected: nobody waits for its verdict, and its parts are gone.
func TestAJoinedFilmThatNothingCanPlayIsRejected(t *testing.T) {
	s := start(t)
	film := mutilated["no index"].film
	whole := s.final(t, "/videos/", s.parts(t, "/videos/", film, 5000, 200_000)...)
	await(t, "the whole is rejected", func() bool { return s.standing(t, whole).State == "rejected" })
	s.stop(t)
	s.fsck(t, 0, "4 uploads, 0 faults\n")
}
