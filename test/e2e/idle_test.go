package e2e

import (
	"net/http"
	"testing"
	"time"
)

// TestStalledConnectionsAreClosed has clients promise bytes that never come. None of them may keep a connection for ever,
// and what did come is kept.
func TestStalledConnectionsAreClosed(t *testing.T) {
	t.Parallel() // it waits more than it works
	s := start(t, "--idle-timeout", "500ms")
	file := content{size: 1 << 20}
	location := s.create(t, "/files/", file.size)

	t.Run("PATCH stands still", func(t *testing.T) {
		l := s.dial(t)
		l.begin(location, 0, file.size, file.bytes(0, 1000))
		if answer, err := l.answer("PATCH"); err == nil && answer.status < 500 && answer.status != http.StatusRequestTimeout {
			t.Errorf("got %d, want no answer, or one that makes every client try again", answer.status)
		}
		if err := l.closed(); err != nil {
			t.Errorf("the connection was not closed: %v", err)
		}
		if offset := s.offset(t, location); offset != 1000 {
			t.Errorf("%d bytes kept of 1000", offset)
		}
	})
	for _, row := range []struct {
		name, request string
		status        int
	}{
		{"body of a refused POST", ask("POST /files/", "Upload-Length: 100", "Content-Length: 100"), http.StatusPreconditionFailed},
		{"body of a refused PATCH", ask("PATCH "+location, protocol, chunkType, "Upload-Offset: 5000", "Content-Length: 100"), http.StatusConflict},
		{"chunks of a refused PATCH", ask("PATCH "+location, protocol, chunkType, "Upload-Offset: 5000", chunked), http.StatusConflict},
		{"body after a refused expectation", ask("PATCH "+location, protocol, chunkType, "Upload-Offset: 5000", "Content-Length: 100", "Expect: 100-continue"), http.StatusConflict},
		{"body of a GET", ask("GET "+location+"/status", "Content-Length: 100"), http.StatusOK},
		{"body of the page", ask("GET /", "Content-Length: 100"), http.StatusOK},
	} {
		t.Run(row.name, func(t *testing.T) {
			l := s.dial(t)
			l.within(t, 10*time.Second)
			l.write([]byte(row.request))
			if answer, err := l.answer("POST"); err == nil && answer.status != row.status {
				t.Errorf("got %d, want %d, or no answer", answer.status, row.status)
			}
			if err := l.closed(); err != nil {
				t.Errorf("the connection was not closed: %v", err)
			}
		})
	}
}
