package handlers

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// uploadFile stores content under a name and returns its path.
func (s *testServer) uploadFile(content, metadata string) string {
	s.t.Helper()
	h := append(tus, "Upload-Defer-Length", "1")
	if metadata != "" {
		h = append(h, "Upload-Metadata", metadata)
	}
	a := s.do(http.MethodPost, "/files/", h, nil)
	path := a.Header.Get("Location")
	s.patch(path, "0", strings.NewReader(content), "Upload-Length", itoa(len(content))).want(s.t, statusIs(204), has("Sluice-State", "ready"))
	return path
}

func bodyIs(want string) check {
	return func(a answer) string {
		if a.body != want {
			return "body is " + a.body + ", want " + want
		}
		return ""
	}
}

func TestContentAnswersRangesAndConditions(t *testing.T) {
	s := start(t, nil)
	path := s.uploadFile("0123456789", "")
	whole := s.do(http.MethodGet, path, nil, nil)
	etag, modified := whole.Header.Get("ETag"), whole.Header.Get("Last-Modified")
	tests := []struct {
		name   string
		header header
		checks []check
	}{
		{"whole", nil, []check{statusIs(200), bodyIs("0123456789"), has("Accept-Ranges", "bytes"), has("Content-Length", "10")}},
		{"first bytes", header{"Range", "bytes=0-2"}, []check{statusIs(206), bodyIs("012"), has("Content-Range", "bytes 0-2/10")}},
		{"last bytes", header{"Range", "bytes=-3"}, []check{statusIs(206), bodyIs("789")}},
		{"from the middle", header{"Range", "bytes=7-"}, []check{statusIs(206), bodyIs("789")}},
		{"beyond the end", header{"Range", "bytes=10-"}, []check{statusIs(416), has("Content-Range", "bytes */10"), code("range_not_satisfiable")}},
		{"the last no bytes", header{"Range", "bytes=-0"}, []check{statusIs(416), code("range_not_satisfiable")}},
		{"the last before the first", header{"Range", "bytes=3-1"}, []check{statusIs(416), has("Content-Range", "bytes */10")}},
		{"another unit", header{"Range", "rows=1-2"}, []check{statusIs(200), bodyIs("0123456789")}},
		{"If-Range of this content", header{"Range", "bytes=0-2", "If-Range", etag}, []check{statusIs(206), bodyIs("012")}},
		{"If-Range of other content", header{"Range", "bytes=0-2", "If-Range", `"other"`}, []check{statusIs(200), bodyIs("0123456789")}},
		{"known already", header{"If-None-Match", etag}, []check{statusIs(304), bodyIs("")}},
		{"not changed since", header{"If-Modified-Since", modified}, []check{statusIs(304)}},
		{"only if other", header{"If-Match", `"other"`}, []check{statusIs(412), code("precondition_failed")}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { s.do(http.MethodGet, path, test.header, nil).want(t, test.checks...) })
	}
}

// RFC 9110, section 14.2: ranges are defined for GET alone.
func TestHeadOfContentKnowsNoRanges(t *testing.T) {
	s := start(t, nil)
	path := s.uploadFile("0123456789", "")
	for _, asked := range []string{"bytes=0-2", "bytes=20-", "bytes=a-b"} {
		s.do(http.MethodHead, path, header{"Range", asked}, nil).want(t, statusIs(200), has("Content-Length", "10"), has("Content-Range", ""))
	}
}

func TestContentIsHarmless(t *testing.T) {
	s := start(t, nil)
	tests := []struct {
		name, content, mediaType, disposition string
	}{
		{"plain text", "hello", "text/plain; charset=utf-8", "inline"},
		{"HTML", "<!DOCTYPE html><script>alert(1)</script>", "application/octet-stream", "attachment"},
		{"HTML behind a comment", "<!-- x --><html><script>alert(1)</script>", "application/octet-stream", "attachment"},
		{"SVG", `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`, "application/octet-stream", "attachment"},
		{"XML", `<?xml version="1.0"?><a/>`, "application/octet-stream", "attachment"},
		{"PDF", "%PDF-1.7\n", "application/pdf", "attachment"},
		{"a picture", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "image/png", "inline"},
		{"nothing known", "\x00\x01\x02\x03", "application/octet-stream", "attachment"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := s.uploadFile(test.content, "filename aW5uLmh0bWw=") // a name that lies
			s.do(http.MethodGet, path, nil, nil).want(t, statusIs(200), bodyIs(test.content), has("Content-Type", test.mediaType),
				has("X-Content-Type-Options", "nosniff"), has("Content-Disposition", test.disposition+"; filename=inn.html"),
				has("Content-Security-Policy", "default-src 'none'; sandbox"))
		})
	}
}

func TestContentDispositionKeepsNamesAndNothingElse(t *testing.T) {
	tests := []struct{ name, want string }{
		{"", "inline"},
		{"a.txt", "inline; filename=a.txt"},
		{"a b.txt", `inline; filename="a b.txt"`},
		{`a"b.txt`, `inline; filename=a_b.txt; filename*=UTF-8''a%22b.txt`},
		{"größe.txt", `inline; filename=gr__e.txt; filename*=UTF-8''gr%C3%B6%C3%9Fe.txt`},
		{"€ rates.txt", `inline; filename="_ rates.txt"; filename*=UTF-8''%E2%82%AC%20rates.txt`},
		{"../../etc/passwd", "inline; filename=passwd"},
		{`C:\temp\x.txt`, "inline; filename=x.txt"},
		{"..", "inline"},
		{"a\r\nSet-Cookie: x", `inline; filename="aSet-Cookie: x"`},
		{"evil\u202egnp.exe", "inline; filename=evilgnp.exe"},
		{"a\u2067\u200f\u061cb.txt", "inline; filename=ab.txt"},
		{"50%.txt", "inline; filename=50_.txt; filename*=UTF-8''50%25.txt"},
		{"\xff\xfe", "inline; filename=_"},
	}
	for _, test := range tests {
		if got := contentDisposition("inline", test.name); got != test.want {
			t.Errorf("contentDisposition(%q) = %s, want %s", test.name, got, test.want)
		}
	}
	if got := cleanFilename(strings.Repeat("ä", 400)); len(got) > maxFilename {
		t.Errorf("a name of %d bytes is kept", len(got))
	}
}

func TestContentIsReadByManyAtOnce(t *testing.T) {
	s := start(t, nil)
	content := strings.Repeat("many readers ", 50_000)
	path := s.uploadFile(content, "")
	var readers sync.WaitGroup
	for range 20 {
		readers.Go(func() {
			resp, err := http.Get(s.url + path)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if got, err := io.ReadAll(resp.Body); err != nil || string(got) != content {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
		})
	}
	readers.Wait()
}

func TestContentWaitsUntilItIsReady(t *testing.T) {
	s := start(t, nil)
	path := s.create("/files/", "Upload-Length", "10")
	s.patch(path, "0", strings.NewReader("hello")).want(t, statusIs(204))
	s.do(http.MethodGet, path, nil, nil).want(t, statusIs(409), code("not_ready"))
	s.do(http.MethodGet, path+"/512", nil, nil).want(t, statusIs(404))
	s.do(http.MethodGet, path+"/status/more", nil, nil).want(t, statusIs(404))
}

func TestSlowReaderIsServedToTheEnd(t *testing.T) {
	s := start(t, func(o *Options) { o.IdleTimeout = 100 * time.Millisecond })
	content := strings.Repeat("slowly and still whole ", 400_000) // far more than socket buffers hold
	path := s.uploadFile(content, "")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", path)
	resp, err := http.ReadResponse(bufio.NewReader(&paced{conn, time.NewTicker(10 * time.Millisecond)}), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != content {
		t.Errorf("got %d of %d bytes, %v", len(got), len(content), err)
	}
}

// paced reads at most 64 KiB a tick, so that one piece takes longer than the idle time.
type paced struct {
	io.Reader
	tick *time.Ticker
}

func (p *paced) Read(b []byte) (int, error) {
	<-p.tick.C
	return p.Reader.Read(b[:min(len(b), 64<<10)])
}

// recorder is a connection's ResponseWriter as net/http's is: it takes a file whole.
type recorder struct {
	http.ResponseWriter
	pieces []int64
	types  []bool // whether each piece came as a limited *os.File, which net sends without copying
	got    bytes.Buffer
}

func (r *recorder) Header() http.Header         { return http.Header{} }
func (r *recorder) WriteHeader(int)             {}
func (r *recorder) Write(p []byte) (int, error) { return r.got.Write(p) }

func (r *recorder) ReadFrom(src io.Reader) (int64, error) {
	limited, _ := src.(*io.LimitedReader)
	_, file := limited.R.(*os.File)
	n, err := r.got.ReadFrom(src)
	r.pieces, r.types = append(r.pieces, n), append(r.types, file)
	return n, err
}

func TestFilesReachTheSocketWithoutCopies(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	content := bytes.Repeat([]byte("0123456789abcdef"), (2*sendPiece+16)/16)
	if _, err := file.WriteAt(content, 0); err != nil {
		t.Fatal(err)
	}
	to := &recorder{}
	w := &response{ResponseWriter: to, req: &request{body: &tap{}}}
	n, err := io.CopyN(w, file, int64(len(content)))
	if err != nil || n != int64(len(content)) || !bytes.Equal(to.got.Bytes(), content) {
		t.Errorf("copied %d bytes, %v", n, err)
	}
	if len(to.pieces) != 3 || !to.types[0] || !to.types[1] || !to.types[2] {
		t.Errorf("pieces %v, as files %v", to.pieces, to.types)
	}
}
