package e2e

import (
	"bytes"
	"net/http"
	"testing"
)

// TestAnAvatarTakesThePlaceOfItsOwnersLast uploads avatars of two people who were signed in by a proxy.
func TestAnAvatarTakesThePlaceOfItsOwnersLast(t *testing.T) {
	s := start(t, "--owner-header", "X-User")
	upload := func(owner string, side int) string {
		picture := gradient(t, side, side)
		location := s.create(t, "/avatars/", int64(len(picture)), "X-User: "+owner)
		if r := s.patch(t, location, 0, bytes.NewReader(picture), int64(len(picture)), "X-User: "+owner); r.header.Get("Sluice-State") != "ready" {
			t.Fatalf("got %d %s", r.status, r.body)
		}
		return location
	}
	theirs, old := upload("them", 80), upload("me", 90)
	newest := upload("me", 100)
	for location, want := range map[string]int{theirs: http.StatusOK, old: http.StatusGone, newest: http.StatusOK} {
		if r := s.do(t, "GET", location+"/64"); r.status != want {
			t.Errorf("%s: got %d, want %d", location, r.status, want)
		}
	}
	if r := s.do(t, "DELETE", newest, protocol, "X-User: them"); r.status != http.StatusNotFound {
		t.Errorf("got %d", r.status)
	}
	s.kill()
	s.run(t) // and it stays so
	if r := s.do(t, "GET", newest+"/64"); r.status != http.StatusOK {
		t.Errorf("got %d", r.status)
	}
}
