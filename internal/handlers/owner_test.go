package handlers

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"sluice/internal/upload"
)

func withOwners(o *Options) { o.OwnerHeader = "x-user" }

var (
	mine   = header{"X-User", "me"}
	theirs = header{"X-User", "them"}
)

// ownUpload makes an upload of "me".
func (s *testServer) ownUpload(endpoint string, h ...string) string {
	s.t.Helper()
	return s.create(endpoint, append(mine, h...)...)
}

func TestAnothersUploadIsNotThere(t *testing.T) {
	s := start(t, withOwners)
	unfinished, finished := s.ownUpload("/files/", "Upload-Length", "5"), s.ownUpload("/files/", "Upload-Length", "5")
	s.patch(finished, "0", strings.NewReader("hello"), mine...).want(t, statusIs(http.StatusNoContent))
	for _, path := range []string{unfinished, finished} {
		for _, method := range []string{"HEAD", "PATCH", "DELETE", "GET"} {
			h := append(theirs, "Content-Type", chunkType, "Upload-Offset", "0")
			if method != "GET" {
				h = append(h, tus...)
			}
			none := s.do(method, "/files/0123456789abcdef0123456789abcdef", h, nil)
			if got := s.do(method, path, h, nil); got.StatusCode != http.StatusNotFound || got.body != none.body {
				t.Errorf("%s %s: got %d %s, want what an unknown upload gets: %s", method, path, got.StatusCode, got.body, none.body)
			}
		}
		s.do("GET", path+"/status", theirs, nil).want(t, statusIs(http.StatusNotFound))
		s.do("GET", path+"/status", mine, nil).want(t, statusIs(http.StatusOK))
	}
	s.do("GET", finished, mine, nil).want(t, statusIs(http.StatusOK))
	s.do("HEAD", unfinished, append(tus, mine...), nil).want(t, statusIs(http.StatusOK))
}

func TestWhoIsNobodyIsSentToSignIn(t *testing.T) {
	s := start(t, withOwners)
	path := s.ownUpload("/files/", "Upload-Length", "5")
	s.do("POST", "/files/", append(tus, "Upload-Length", "5"), nil).want(t, statusIs(http.StatusUnauthorized))
	s.patch(path, "0", strings.NewReader("hello")).want(t, statusIs(http.StatusUnauthorized))
	s.do("GET", path, nil, nil).want(t, statusIs(http.StatusUnauthorized))
	s.do("HEAD", path, tus, nil).want(t, statusIs(http.StatusLocked)) // a client would take all else for the end
	s.do("OPTIONS", path, nil, nil).want(t, statusIs(http.StatusNoContent))
	s.do("PUT", path, nil, nil).want(t, statusIs(http.StatusUnauthorized))
	for _, bad := range []header{{"X-User", "me", "X-User", "them"}, {"X-User", strings.Repeat("x", 256)}, {"X-User", "a\tb"}} {
		s.do("GET", path, bad, nil).want(t, statusIs(http.StatusBadRequest))
	}
}

func TestAnAvatarMayBeReadByAnybodyAndChangedByItsOwner(t *testing.T) {
	s := start(t, withOwners)
	content := picture(t, 100, 100)
	path := s.ownUpload("/avatars/", "Upload-Length", strconv.Itoa(len(content)))
	s.do("GET", path, nil, nil).want(t, statusIs(http.StatusNotFound)) // it is not ready
	s.patch(path, "0", strings.NewReader(content), mine...).want(t, statusIs(http.StatusNoContent))
	for _, h := range []header{nil, theirs, mine} {
		s.do("GET", path, h, nil).want(t, statusIs(http.StatusOK))
		s.do("GET", path+"/64", h, nil).want(t, statusIs(http.StatusOK))
	}
	s.do("GET", path+"/status", nil, nil).want(t, statusIs(http.StatusUnauthorized))
	s.do("DELETE", path, append(theirs, tus...), nil).want(t, statusIs(http.StatusNotFound))
	s.do("DELETE", path, append(mine, tus...), nil).want(t, statusIs(http.StatusNoContent))
}

func TestOnlyOnesOwnPartsAreJoined(t *testing.T) {
	s := start(t, withOwners)
	part := s.ownUpload("/files/", "Upload-Length", "5", "Upload-Concat", "partial")
	s.patch(part, "0", strings.NewReader("hello"), mine...).want(t, statusIs(http.StatusNoContent))
	final := append(tus, "Upload-Concat", "final;"+part)
	s.do("POST", "/files/", append(final, theirs...), nil).want(t, statusIs(http.StatusBadRequest))
	made := s.do("POST", "/files/", append(final, mine...), nil)
	made.want(t, statusIs(http.StatusCreated))
	s.do("GET", made.Header.Get("Location"), mine, nil).want(t, statusIs(http.StatusOK))
	s.do("GET", made.Header.Get("Location"), theirs, nil).want(t, statusIs(http.StatusNotFound))
}

func TestUploadsFromBeforeThereWereOwnersAreEverybodys(t *testing.T) {
	s := start(t, withOwners)
	if err := s.stores["file"].Create(upload.Record{ID: "old", Length: 5}); err != nil {
		t.Fatal(err)
	}
	s.do("HEAD", "/files/old", append(tus, theirs...), nil).want(t, statusIs(http.StatusOK))
}

func TestEventsAreTheOwners(t *testing.T) {
	hub, alter := withHub(withOwners)
	s := start(t, alter)
	s.do("GET", "/events", nil, nil).want(t, statusIs(http.StatusUnauthorized))
	all, named := s.listenTo("/events", mine), s.listenTo("/events?upload=/files/b&upload=/files/a", mine)
	waitFor(t, func() bool { return hub.Listeners() == 2 })
	for id, owner := range map[upload.ID]upload.Owner{"b": "them"} {
		e := created(id)
		e.Record.Owner = owner
		hub.Publish(e)
	}
	e := created("a")
	e.Record.Owner = "me"
	hub.Publish(e)
	if first, second := next(all), next(all); strings.Contains(first.data, `"id":"b"`) || !strings.Contains(second.data, `"id":"a"`) {
		t.Errorf("got %+v and %+v", first, second)
	}
	if first := next(named); !strings.Contains(first.data, `"id":"a"`) {
		t.Errorf("got %+v", first)
	}
}

func TestVariantsThatOnlyTheirOwnerMayReadAreInNoSharedCache(t *testing.T) {
	for read, want := range map[upload.Readers]string{upload.Anybody: "public", upload.OnlyOwner: "private"} {
		s := start(t, func(o *Options) {
			withOwners(o)
			for i := range o.Endpoints {
				o.Endpoints[i].Profile.Read = read
			}
		})
		content := picture(t, 100, 100)
		path := s.ownUpload("/avatars/", "Upload-Length", strconv.Itoa(len(content)))
		s.patch(path, "0", strings.NewReader(content), mine...).want(t, statusIs(http.StatusNoContent))
		s.do("GET", path+"/64", mine, nil).want(t, statusIs(http.StatusOK), has("Cache-Control", want+", max-age=31536000, immutable"))
	}
}
