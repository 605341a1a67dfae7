package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

const (
	protocol  = "Tus-Resumable: 1.0.0"
	chunkType = "Content-Type: application/offset+octet-stream"
)

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
	close  bool // the server said that it ends the connection
}

// problem is the body of an error (RFC 9457), the zero value if it is none.
func (r reply) problem() (p struct{ Code, Detail string }) {
	if r.header.Get("Content-Type") == "application/problem+json" {
		_ = json.Unmarshal(r.body, &p) // a torn one has no code
	}
	return p
}

// request makes a request of the server. header are lines such as "Upload-Offset: 5". A body of unknown length, -1, goes
// out in chunks.
func (s *server) request(t *testing.T, method, path string, body io.Reader, length int64, header ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.scheme+"://"+s.public+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = length
	for _, line := range header {
		key, value, _ := strings.Cut(line, ": ")
		req.Header.Add(key, value)
	}
	return req
}

// exchange sends req and reads the answer.
func (s *server) exchange(t *testing.T, req *http.Request) reply {
	t.Helper()
	resp, err := s.http.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	return reply{resp.StatusCode, resp.Header, body, resp.Close}
}

// do makes a request without a body.
func (s *server) do(t *testing.T, method, path string, header ...string) reply {
	t.Helper()
	return s.exchange(t, s.request(t, method, path, nil, 0, header...))
}

// deferred is a length that is told later.
const deferred int64 = -1

// create makes an upload below path and returns its location.
func (s *server) create(t *testing.T, path string, length int64, header ...string) string {
	t.Helper()
	declared := "Upload-Length: " + strconv.FormatInt(length, 10)
	if length == deferred {
		declared = "Upload-Defer-Length: 1"
	}
	r := s.do(t, "POST", path, append(header, protocol, declared)...)
	if r.status != http.StatusCreated {
		t.Fatalf("POST %s: got %d %s, want 201", path, r.status, r.body)
	}
	return r.header.Get("Location")
}

// patch sends length bytes of body at offset.
func (s *server) patch(t *testing.T, location string, offset int64, body io.Reader, length int64, header ...string) reply {
	t.Helper()
	header = append(header, protocol, chunkType, "Upload-Offset: "+strconv.FormatInt(offset, 10))
	return s.exchange(t, s.request(t, "PATCH", location, body, length, header...))
}

// send adds what file holds from offset to upTo, which must be taken.
func (s *server) send(t *testing.T, location string, file content, offset, upTo int64) reply {
	t.Helper()
	r := s.patch(t, location, offset, file.part(offset, upTo), upTo-offset)
	if r.status != http.StatusNoContent || r.header.Get("Upload-Offset") != strconv.FormatInt(upTo, 10) {
		t.Fatalf("PATCH %s from %d to %d: got %d, Upload-Offset %s, %s", location, offset, upTo, r.status, r.header.Get("Upload-Offset"), r.body)
	}
	return r
}

// upload creates an upload below path and sends file.
func (s *server) upload(t *testing.T, path string, file content) string {
	t.Helper()
	location := s.create(t, path, file.size)
	s.send(t, location, file, 0, file.size)
	return location
}

// offset asks how far an upload is.
func (s *server) offset(t *testing.T, location string) int64 {
	t.Helper()
	r := s.do(t, "HEAD", location, protocol)
	offset, err := strconv.ParseInt(r.header.Get("Upload-Offset"), 10, 64)
	if r.status != http.StatusOK || err != nil {
		t.Fatalf("HEAD %s: got %d, Upload-Offset %q", location, r.status, r.header.Get("Upload-Offset"))
	}
	return offset
}

// checkContent downloads an upload and compares it with file.
func (s *server) checkContent(t *testing.T, location string, file content) {
	t.Helper()
	resp, err := s.http.Do(s.request(t, "GET", location, nil, 0))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.ContentLength != file.size {
		t.Fatalf("GET %s: got %d with %d bytes, want 200 with %d", location, resp.StatusCode, resp.ContentLength, file.size)
	}
	file.check(t, resp.Body)
}

// standing is what the status of an upload says.
type standing struct {
	State    string
	Offset   int64
	Variants []struct{ Name, URL string }
}

func (s *server) standing(t *testing.T, location string) (found standing) {
	t.Helper()
	r := s.do(t, "GET", location+"/status")
	if err := json.Unmarshal(r.body, &found); r.status != http.StatusOK || err != nil {
		t.Fatalf("status of %s: got %d %s", location, r.status, r.body)
	}
	return found
}
