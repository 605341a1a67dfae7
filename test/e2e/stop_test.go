package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"syscall"
	"testing"
	"time"
)

var durabilities = []string{"always", "none"}

// TestStopInMidPatch ends the server while half of a body has arrived. Whatever was received is there after the next start,
// and whoever asks meanwhile is never told that an upload is gone.
func TestStopInMidPatch(t *testing.T) {
	t.Parallel() // it waits more than it works
	for _, durability := range durabilities {
		t.Run("SIGTERM/"+durability, func(t *testing.T) {
			s, stopped := stopInMidPatch(t, durability, syscall.SIGTERM)
			if kept := s.offset(t, stopped.location); kept != stopped.sent {
				t.Errorf("kept %d bytes, want all %d that were received", kept, stopped.sent)
			}
			stopped.goOn(t, s)
		})
		t.Run("SIGKILL/"+durability, func(t *testing.T) {
			s, stopped := stopInMidPatch(t, durability, syscall.SIGKILL)
			if kept := s.offset(t, stopped.location); kept < stopped.written {
				t.Errorf("kept %d bytes, want at least the %d that were written", kept, stopped.written)
			}
			stopped.goOn(t, s)
		})
	}
}

// stopped is an upload whose server ended in the middle of a body.
type stopped struct {
	file     content
	location string
	sent     int64 // bytes that the server had read
	written  int64 // bytes that it had written to their file
}

func stopInMidPatch(t *testing.T, durability string, signal syscall.Signal) (*server, stopped) {
	s := start(t, "--durability", durability)
	other := content{size: 1 << 20, seed: 2}
	idle := s.create(t, "/files/", other.size)
	s.send(t, idle, other, 0, 300_000)

	up := stopped{file: content{size: 64 << 20, seed: 1}, sent: 40<<20 + 12_345}
	up.location = s.create(t, "/files/", up.file.size)
	before := s.metric(t, "sluice_received_bytes_total")
	patch := s.dial(t)
	patch.begin(up.location, 0, up.file.size, up.file.bytes(0, up.sent))
	patch.drain(t)
	up.written = int64(s.metric(t, "sluice_received_bytes_total") - before)

	others := s.watch(t, idle)
	others.awaitMore(t)
	s.signal(signal)
	checkFarewell(t, patch, signal)
	same := s.watch(t, up.location)
	<-s.ended
	if signal == syscall.SIGTERM {
		s.wait(t)
	}
	s.run(t)
	others.awaitMore(t)
	same.awaitMore(t)
	others.judge(t, "another upload")
	same.judge(t, "the same upload")
	return s, up
}

// checkFarewell reads what a client is told whose request was cut short by the end of the server.
func checkFarewell(t *testing.T, patch *line, signal syscall.Signal) {
	t.Helper()
	answer, err := patch.answer("PATCH")
	switch {
	case err != nil: // the connection was closed
	case signal == syscall.SIGKILL:
		t.Errorf("a killed server answered %d", answer.status)
	case answer.status != http.StatusServiceUnavailable || answer.problem().Code != "shutting_down":
		t.Errorf("got %d %s, want 503 shutting_down", answer.status, answer.body)
	}
}

// goOn sends the rest and compares the whole.
func (up stopped) goOn(t *testing.T, s *server) {
	t.Helper()
	s.send(t, up.location, up.file, s.offset(t, up.location), up.file.size)
	s.checkContent(t, up.location, up.file)
}

// TestUploadThroughRestarts has one client upload while another asks for the same upload's offset all the time, and the
// server is stopped and killed in turn.
func TestUploadThroughRestarts(t *testing.T) {
	for _, durability := range durabilities {
		t.Run(durability, func(t *testing.T) {
			s := start(t, "--durability", durability)
			file := content{size: 48 << 20}
			location := s.create(t, "/files/", file.size)
			watcher := s.watch(t, location)
			done := make(chan error, 1)
			go func() { done <- s.persist(t, location, file) }()
			for quarter, end := range []func(){func() { s.stop(t) }, s.kill, func() { s.stop(t) }} {
				await(t, "a quarter more is stored", func() bool { return watcher.seen() > file.size/4*int64(quarter) })
				end()
				s.run(t)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			watcher.judge(t, durability)
			s.checkContent(t, location, file)
		})
	}
}

// persist uploads like a client that never gives up: it asks for the offset, goes on from there, and begins anew with that
// whatever happens.
func (s *server) persist(t *testing.T, location string, file content) error {
	for t.Context().Err() == nil {
		resp, err := s.http.Do(s.request(t, "HEAD", location, nil, 0, protocol))
		if err != nil {
			time.Sleep(time.Millisecond) // there is no server; ask again
			continue
		}
		resp.Body.Close()
		offset, err := strconv.ParseInt(resp.Header.Get("Upload-Offset"), 10, 64)
		switch {
		case resp.StatusCode == http.StatusLocked:
			continue
		case resp.StatusCode != http.StatusOK || err != nil:
			return fmt.Errorf("HEAD: got %s", resp.Status)
		case offset == file.size:
			return nil
		}
		header := []string{protocol, chunkType, "Upload-Offset: " + strconv.FormatInt(offset, 10)}
		resp, err = s.http.Do(s.request(t, "PATCH", location, file.part(offset, file.size), file.size-offset, header...))
		if err == nil {
			io.Copy(io.Discard, resp.Body) //nolint:errcheck // the next HEAD tells
			resp.Body.Close()
		}
	}
	return errors.New("not done when the test ended")
}
