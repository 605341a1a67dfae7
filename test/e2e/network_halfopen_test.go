package e2e

import (
	"net/http"
	"strconv"
	"testing"
	"time"
)

// swallow makes a network take what it is given, deliver none of it, and never say so.
func (n *network) swallow(t *testing.T) {
	t.Helper()
	for _, direction := range []string{up, down} {
		n.spoil(t, toxic{"timeout", direction, 1, map[string]int{}})
	}
}

// half has a client on the other side of a network send the first half of an upload and be cut off in silence: it believes
// that it has sent the rest too.
func half(t *testing.T, s *server, n *network, of sample) (location string) {
	t.Helper()
	location = s.create(t, of.path, of.file.size)
	l := n.dial(t)
	before := s.metric(t, "sluice_received_bytes_total")
	l.begin(location, 0, of.file.size, of.file.bytes(0, of.file.size/2))
	await(t, "bytes arrive", func() bool { return s.metric(t, "sluice_received_bytes_total") > before })
	n.swallow(t)
	l.write(of.file.bytes(of.file.size/2, of.file.size))
	return location
}

// TestHalfOpenPeerIsTakenOver has the same client come back by another way while its first connection hangs. It need not
// wait for that to be found out: HEAD has the offset, not a 423.
func TestHalfOpenPeerIsTakenOver(t *testing.T) {
	s := start(t)                            // its idle timeout is longer than any patience here
	s.upload(t, "/files/", content{size: 1}) // from now on there is a count of bytes
	for _, of := range samples(t, 8<<20)[:2] {
		t.Run(of.path, func(t *testing.T) {
			location := half(t, s, s.behind(t), of)
			began := time.Now()
			offset := s.offset(t, location)
			t.Logf("HEAD had the offset after %v", time.Since(began).Round(time.Microsecond))
			if offset == 0 || offset > of.file.size/2 {
				t.Errorf("HEAD told %d, want some of the %d that went through", offset, of.file.size/2)
			}
			s.complete(t, location, of.file)
		})
	}
}

// TestHalfOpenPeersAreLetGo leaves connections hanging at every stage of a request, with nobody who comes back. The server
// keeps none of them, nor anything that it had for them, but for the bytes.
func TestHalfOpenPeersAreLetGo(t *testing.T) {
	t.Parallel() // it waits more than it works
	s := start(t, "--idle-timeout", "1s")
	large := content{size: 64 << 20}
	download := s.upload(t, "/files/", large)
	s.checkContent(t, download, large)
	s.http.CloseIdleConnections()
	goroutines, files := s.metric(t, "go_goroutines"), s.metric(t, "process_open_fds")

	of := sample{"/files/", content{size: 1 << 20}}
	var locations []string
	for range 10 {
		locations = append(locations, half(t, s, s.behind(t), of))
	}
	hang(t, s, "")
	hang(t, s, "PATCH "+locations[0]+" HTTP/1.1\r\nHost: sl")
	hang(t, s, ask("GET "+download)) // whose answer nobody reads
	hang(t, s, ask("OPTIONS /files/"))
	await(t, "there are connections that hang", func() bool { return s.metric(t, "tusd_connections_open") > 0 })
	s.http.CloseIdleConnections()
	for _, gauge := range []string{"sluice_uploads_receiving", "sluice_http_requests_in_flight", "tusd_connections_open"} {
		await(t, gauge+" is 0", func() bool { return s.metric(t, gauge) == 0 })
	}
	await(t, "the server holds no more goroutines and files than before", func() bool {
		return s.metric(t, "go_goroutines") <= goroutines+5 && s.metric(t, "process_open_fds") <= files+3
	})
	for _, location := range locations {
		if offset := s.offset(t, location); offset == 0 || offset > of.file.size/2 {
			t.Errorf("HEAD told %d, want some of the %d that went through", offset, of.file.size/2)
		}
		s.complete(t, location, of.file)
	}
}

// hang opens a connection that says so much and then neither speaks nor reads.
func hang(t *testing.T, s *server, text string) {
	t.Helper()
	s.dial(t).write([]byte(text))
}

// TestLateRequestCannotHarm has a network hold a request back until the client has begun again by another way. When the old
// one arrives, it changes nothing.
func TestLateRequestCannotHarm(t *testing.T) {
	s := start(t)
	for _, of := range samples(t, 300_000) {
		t.Run(of.path, func(t *testing.T) {
			location := s.create(t, of.path, of.file.size)
			held := newGate(t, s, 1)
			late := (&server{public: held.address}).dial(t)
			wrong := content{size: of.file.size, seed: 99} // so that it would show
			late.begin(location, 0, wrong.size, wrong.bytes(0, wrong.size))
			part := of.file.size / 3
			s.send(t, location, of.file, 0, part)
			held.open()
			answer, err := late.answer("PATCH")
			told := answer.header.Get("Upload-Offset")
			if err != nil || answer.status != http.StatusConflict || told != strconv.FormatInt(part, 10) {
				t.Errorf("the late request: got %d %s %q %v, want 409 with the offset", answer.status, answer.body, told, err)
			}
			s.complete(t, location, of.file)
		})
	}
}
