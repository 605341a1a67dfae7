package handlers

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"sluice/internal/upload"
)

// sink is where an answer goes that nobody reads.
type sink struct{ header http.Header }

func (s sink) Header() http.Header                { return s.header }
func (s sink) Write(p []byte) (int, error)        { return len(p), nil }
func (s sink) WriteHeader(int)                    {}
func (s sink) SetReadDeadline(_ time.Time) error  { return nil }
func (s sink) SetWriteDeadline(_ time.Time) error { return nil }

// TestAHeadAllocatesLittle counts what is ours: net/http needs about 20 more for each request.
func TestAHeadAllocatesLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := start(t, nil)
	r := httptest.NewRequest(http.MethodHead, s.create("/files/", "Upload-Length", "10"), nil)
	r.Header.Set("Tus-Resumable", tusVersion)
	w := sink{make(http.Header)}
	got := testing.AllocsPerRun(100, func() {
		clear(w.header)
		s.Public.ServeHTTP(w, r)
	})
	if w.header.Get("Upload-Length") != "10" {
		t.Fatalf("got %v", w.header)
	}
	if most := 7.0; got > most {
		t.Errorf("a HEAD allocates %v times, want at most %v", got, most)
	}
}

// TestASlowUploadKeepsASmallStack has uploads wait for bytes: one large frame too many on the way down, and the stack of each is
// 16 KiB instead of 8. The bytes are of no type that is hard to tell: for those the judge goes deeper.
func TestASlowUploadKeepsASmallStack(t *testing.T) {
	if raceEnabled || runtime.GOARCH != "amd64" {
		t.Skip("other frames are on the stack")
	}
	const n, most = 90, 16 << 10 // tusd has two goroutines more for each, of 2 KiB
	s := start(t, nil)
	paths := make([]string, n)
	for i := range paths {
		paths[i] = s.create("/files/", "Upload-Length", "1000000")
	}
	before := stackInUse()
	for _, path := range paths {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: a\r\nTus-Resumable: 1.0.0\r\nContent-Type: %s\r\nUpload-Offset: 0\r\nContent-Length: 1000000\r\n\r\n", path, chunkType)
		io.WriteString(conn, strings.Repeat("\x01\x08\x0f\x16", 1024))
	}
	for _, path := range paths {
		for s.lookup(path).Offset < 4096 {
			time.Sleep(time.Millisecond)
		}
	}
	if got := (stackInUse() - before) / n; got > most {
		t.Errorf("the stacks of an upload that waits take %d bytes, want at most %d", got, most)
	}
}

func stackInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.StackInuse
}

func (s *testServer) lookup(path string) upload.Record {
	s.t.Helper()
	rec, err := s.stores["file"].Lookup(upload.ID(path[strings.LastIndexByte(path, '/')+1:]))
	if err != nil {
		s.t.Fatal(err)
	}
	return rec
}
