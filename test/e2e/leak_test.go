package e2e

import (
	"net/http"
	"strconv"
	"sync"
	"testing"
)

// TestNothingLeaks sends five hundred requests of every kind, many of them cut, and counts what the server still holds.
func TestNothingLeaks(t *testing.T) {
	s := start(t)
	file := content{size: 100_000}
	s.mixture(t, file, 0) // what is made at first use
	s.http.CloseIdleConnections()
	goroutines, files := s.metric(t, "go_goroutines"), s.metric(t, "process_open_fds")

	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for round := range 25 {
				s.mixture(t, file, int64(round))
			}
		})
	}
	work.Wait()
	s.http.CloseIdleConnections()
	await(t, "the server holds no more goroutines and files than before", func() bool {
		return s.metric(t, "go_goroutines") <= goroutines+5 && s.metric(t, "process_open_fds") <= files+3
	})
	t.Logf("goroutines %.0f, then %.0f; open files %.0f, then %.0f",
		goroutines, s.metric(t, "go_goroutines"), files, s.metric(t, "process_open_fds"))
	for _, gauge := range []string{"sluice_uploads_receiving", "sluice_http_requests_in_flight"} {
		if now := s.metric(t, gauge); now != 0 {
			t.Errorf("%s is %.0f when nothing goes on", gauge, now)
		}
	}
}

// mixture is one client's requests: a cut body, a look, the rest, a download that is cut, refusals, the end.
func (s *server) mixture(t *testing.T, file content, round int64) {
	location := s.create(t, "/files/", file.size)
	cut := s.dial(t)
	cut.begin(location, 0, file.size, file.bytes(0, 1000+100*round))
	cut.conn.Close()
	s.finish(t, location, file)

	download := s.dial(t)
	download.write([]byte(ask("GET " + location)))
	download.conn.Close()
	silent := s.dial(t)
	silent.conn.Close()
	torn := s.dial(t)
	torn.write([]byte("PATCH " + location + " HTTP/1.1\r\nHost: sl"))
	torn.conn.Close()

	for _, path := range []string{"/files/unknown", "/files/unknown/status", "/unknown"} {
		if r := s.do(t, "GET", path); r.status != http.StatusNotFound {
			t.Errorf("GET %s: got %d, want 404", path, r.status)
		}
	}
	s.do(t, "DELETE", location, protocol)
}

// finish sends the rest. The cut request may still be on its way into the server when another one asks for the offset.
func (s *server) finish(t *testing.T, location string, file content) {
	await(t, "the upload is complete", func() bool {
		head := s.do(t, "HEAD", location, protocol)
		offset, err := strconv.ParseInt(head.header.Get("Upload-Offset"), 10, 64)
		if head.status == http.StatusLocked || err != nil {
			return false
		}
		r := s.patch(t, location, offset, file.part(offset, file.size), file.size-offset)
		if r.status != http.StatusNoContent && r.status != http.StatusConflict && r.status != http.StatusLocked {
			t.Errorf("PATCH: got %d %s", r.status, r.body)
		}
		return r.status == http.StatusNoContent || t.Failed()
	})
}
