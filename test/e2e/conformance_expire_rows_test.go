package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// week is how long an unfinished upload at /files/ is kept.
const week = 7 * 24 * time.Hour

var expirationRules = []rule{
	{words: "the Server MUST add expiration to Tus-Extension", script: `
		> OPTIONS /files/
		< 204
		< Tus-Extension ~ expiration`},
	{words: "known at the creation: MUST be included in the response to the initial POST", script: `
		> POST /files/
		> Upload-Length: 10
		< 201
		< Upload-Expires: *
		> POST /avatars/
		> Upload-Length: 10
		< 201
		< Upload-Expires: *
		> POST /videos/
		> Upload-Defer-Length: 1
		< 201
		< Upload-Expires: *`},
	{words: "known at the creation, with the first bytes", script: `
		> POST /files/
		> Upload-Length: 10
		> Content-Type: application/offset+octet-stream
		> | hello
		< 201
		< Upload-Expires: *`},
	{words: "MUST be included in every PATCH response if the upload is going to expire", script: `
		> POST /files/
		> Upload-Length: 10
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> | hello
		< 204
		< Upload-Expires: *
		> PATCH {it}
		> Upload-Offset: 5
		> Content-Length: 0
		< 204
		< Upload-Expires: *`},
	{words: "in every PATCH response: also one that refuses", script: `
		> POST /files/
		> Upload-Length: 10
		< 201
		> PATCH {it}
		> Upload-Offset: 3
		> | hello
		< 409
		< Upload-Expires: *
		> PATCH {it}
		> Upload-Offset: 0
		> | hello world
		< 413
		< Upload-Expires: *
		> PATCH {it}
		> Upload-Offset: 0
		> Upload-Checksum: sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00=
		> | HELLO
		< 460
		< Upload-Expires: *
		> PATCH {it}
		> Upload-Offset: 0
		> Upload-Length: 11
		> | hello
		< 400
		< Upload-Expires: *
		> PATCH {it}
		> Upload-Offset: x
		> | hello
		< 400
		< Upload-Expires: *
		> PATCH {it}
		> Upload-Offset: 0
		> Content-Type: text/plain
		> | hello
		< 415
		< Upload-Expires: *
		> PATCH {it}
		> Upload-Offset: 0
		> Upload-Checksum: crc99 AAAA
		> | hello
		< 400
		< Upload-Expires: *`},
	{words: "HEAD tells it too", script: `
		> POST /files/
		> Upload-Length: 10
		> Content-Type: application/offset+octet-stream
		> | hello
		< 201
		> HEAD {it}
		< 200
		< Upload-Offset: 5
		< Upload-Expires: *
		> GET {it}/status
		< 200
		< |~ "expires":"`},
	{words: "the time after which the unfinished upload expires: a finished one does not", script: `
		> POST /files/
		> Upload-Length: 10
		> Content-Type: application/offset+octet-stream
		> | hello
		< 201
		< Upload-Expires: *
		> PATCH {it}
		> Upload-Offset: 5
		> | world
		< 204
		< !Upload-Expires
		> PATCH {it}
		> Upload-Offset: 10
		> Content-Length: 0
		< 204
		< !Upload-Expires
		> PATCH {it}
		> Upload-Offset: 5
		> | world
		< 409
		< !Upload-Expires
		> HEAD {it}
		< 200
		< !Upload-Expires
		> GET {it}
		< 200
		< !Upload-Expires
		> POST /files/
		> Upload-Length: 5
		> Content-Type: application/offset+octet-stream
		> | hello
		< 201
		< !Upload-Expires
		> POST /files/
		> Upload-Length: 0
		< 201
		< !Upload-Expires`},
	{words: "the time after which the unfinished upload expires: that of a finished one is not the protocol's", deed: finishedWithRetention},
	{words: "a partial upload that is complete waits for its final, until then", script: partial("a", "hello") + `
		> HEAD {a}
		< 200
		< Upload-Expires: *
		> POST /files/
		> Upload-Concat: final;{a}
		< 201 {whole}
		< !Upload-Expires
		= {whole} ready
		> HEAD {whole}
		< 200
		< !Upload-Expires`},
	{words: "it is the lifetime from now", deed: func(t *testing.T, s *server) {
		before := time.Now()
		r := s.do(t, "POST", "/files/", protocol, "Upload-Length: 10")
		if told := r.expiry(t); told.Before(before.Add(week-time.Second)) || told.After(time.Now().Add(week)) {
			t.Errorf("made at %v it expires at %v, want %v later", before, told, week)
		}
	}},
	{words: "its value MAY change over time: with every byte, not by looking", deed: func(t *testing.T, s *server) {
		location := s.create(t, "/files/", 10)
		first := s.send(t, location, content{size: 10}, 0, 3).expiry(t)
		await(t, "the clock has moved on", func() bool { return time.Now().Add(week).After(first.Add(2 * time.Second)) })
		for range 2 {
			if now := s.do(t, "HEAD", location, protocol).expiry(t); !now.Equal(first) {
				t.Errorf("HEAD: got %v, want %v as before", now, first)
			}
		}
		if now := s.send(t, location, content{size: 10}, 3, 6).expiry(t); !now.After(first) {
			t.Errorf("after more bytes: got %v, want later than %v", now, first)
		}
	}},
	{words: "MAY remove unfinished uploads: where none expire, none is said to", deed: func(t *testing.T, _ *server) {
		rule{script: `
			> POST /files/
			> Upload-Length: 10
			< 201
			< !Upload-Expires
			> PATCH {it}
			> Upload-Offset: 0
			> | hello
			< 204
			< !Upload-Expires
			> HEAD {it}
			< 200
			< !Upload-Expires`}.check(t, start(t, configured(t, profile("file", "lifetime: 0s"))))
	}},
	{words: "410 SHOULD be used if the Server is keeping track of expired uploads: before they are swept", deed: func(t *testing.T, _ *server) {
		checkGone(t, start(t, shortLived(t), "--sweep-interval", "0"))
	}},
	{words: "410 SHOULD be used if the Server is keeping track of expired uploads: when they are swept", deed: func(t *testing.T, _ *server) {
		checkGone(t, start(t, shortLived(t), "--sweep-interval", "50ms"))
	}},
}

// finishedWithRetention has finished uploads kept for a while: their status says until when.
func finishedWithRetention(t *testing.T, _ *server) {
	rule{script: `
		> POST /files/
		> Upload-Length: 5
		< 201
		< Upload-Expires: *
		> PATCH {it}
		> Upload-Offset: 0
		> | hello
		< 204
		< !Upload-Expires
		= {it} ready
		> PATCH {it}
		> Upload-Offset: 5
		> Content-Length: 0
		< 204
		< !Upload-Expires
		> HEAD {it}
		< 200
		< !Upload-Expires
		> GET {it}/status
		< 200
		< |~ "expires":"`}.check(t, start(t, configured(t, profile("file", "retention: 1d"))))
}

// checkGone lets one upload of each kind expire and asks for them; at the end their owner deletes them.
func checkGone(t *testing.T, s *server) {
	bare := s.create(t, "/files/", 10)
	half := s.create(t, "/files/", 10)
	s.send(t, half, content{size: 10}, 0, 5)
	unknown := s.create(t, "/files/", deferred)
	s.patch(t, unknown, 0, strings.NewReader("hello"), 5)
	part := s.create(t, "/files/", 10, "Upload-Concat: partial")
	film, avatar := s.create(t, "/videos/", 10), s.create(t, "/avatars/", 10)
	s.awaitExpiry(t, part)
	if r := s.do(t, "POST", "/files/", protocol, "Upload-Concat: final;"+part); r.status != http.StatusBadRequest {
		t.Errorf("POST of a final of what is expired: got %d %s, want 400", r.status, r.body)
	}
	for _, location := range []string{bare, half, unknown, part, film, avatar} {
		s.awaitExpiry(t, location)
		s.checkExpired(t, location)
		if r := s.do(t, "DELETE", location, protocol); r.status != http.StatusNoContent {
			t.Errorf("DELETE: got %d %s, want 204", r.status, r.body)
		}
		if r := s.do(t, "HEAD", location, protocol); r.status != http.StatusNotFound {
			t.Errorf("HEAD after DELETE: got %d, want 404", r.status)
		}
	}
}
