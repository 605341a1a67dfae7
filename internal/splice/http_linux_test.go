package splice

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
)

// listener hands out connections that can be spliced.
type listener struct {
	net.Listener
	pipes *Pipes
}

func (l listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return NewConn(conn.(*net.TCPConn), l.pipes), nil
}

type connKey struct{}

// under finds the connection that everything else is built on.
func under(ctx context.Context, conn net.Conn) context.Context {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	return context.WithValue(ctx, connKey{}, conn)
}

// sink stores the body of each request in a file, and splices whenever it has a pipe: it does not look whether it may.
type sink struct {
	t     testing.TB
	pipes *Pipes
	mu    sync.Mutex
	moved map[string]int // by path
	files map[string][]byte
}

func newSink(t testing.TB) *sink {
	return &sink{t: t, pipes: NewPipes(16), moved: map[string]int{}, files: map[string][]byte{}}
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := r.Context().Value(connKey{}).(*Conn).Lend()
	defer p.Return()
	f := newTarget(s.t)
	if err := f.takeAll(p, r.Body, Bytes); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	raw, err := os.ReadFile(f.Name())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved[r.URL.Path], s.files[r.URL.Path] = f.moved, raw
	fmt.Fprint(w, f.off, err)
}

// server is one that is as a test wants it.
func (s *sink) server(t testing.TB, change func(*http.Server)) *httptest.Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(s)
	server.Listener.Close()
	server.Listener, server.Config.ConnContext = listener{l, s.pipes}, under
	if change != nil {
		change(server.Config)
	}
	t.Cleanup(server.Close)
	return server
}

// put sends a body and checks that it is stored as it is.
func (s *sink) put(t testing.TB, client *http.Client, url string, body []byte, chunked bool) {
	t.Helper()
	r, err := http.NewRequest("PUT", url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if chunked {
		r.Body, r.ContentLength = io.NopCloser(io.MultiReader(r.Body)), -1
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	said, _ := io.ReadAll(answer.Body)
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s", url, answer.StatusCode, said)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := s.files[r.URL.Path]; !bytes.Equal(got, body) {
		t.Fatalf("%s: %d bytes are stored, the same up to %d, want %d", url, len(got), same(got, body), len(body))
	}
}

// TestOnlyPlainBodiesAreSpliced asks for every body, whatever it comes over: nothing but that of a plain HTTP/1 request may be
// taken from below.
func TestOnlyPlainBodiesAreSpliced(t *testing.T) {
	for _, tt := range []struct {
		name    string
		proto   int
		tls     bool
		spliced bool
	}{
		{"HTTP/1.1", 1, false, true},
		{"HTTP/1.1 over TLS", 1, true, false},
		{"HTTP/2", 2, false, false},
		{"HTTP/2 over TLS", 2, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSink(t)
			server := s.server(t, func(c *http.Server) { c.Protocols = protocols(tt.proto) })
			if server.EnableHTTP2 = tt.proto == 2; tt.tls {
				server.StartTLS()
			} else {
				server.Start()
			}
			client := server.Client()
			if !tt.tls {
				client = &http.Client{Transport: &http.Transport{Protocols: protocols(tt.proto)}}
			}
			defer client.CloseIdleConnections()
			var at sync.WaitGroup
			for i, size := range append(boundaries, 0, 4<<20) {
				at.Go(func() { s.put(t, client, fmt.Sprintf("%s/%d", server.URL, size), content(size, uint64(i)), false) })
			}
			at.Wait()
			if moved := s.moved["/4194304"]; (moved > 0) != tt.spliced {
				t.Errorf("%d bytes were moved by the kernel", moved)
			}
		})
	}
}

func protocols(version int) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(version == 1)
	p.SetHTTP2(version == 2)
	p.SetUnencryptedHTTP2(version == 2)
	return p
}

// TestPipelinedRequestsDoNotMix sends requests in one stream, which is cut into pieces at different places.
func TestPipelinedRequestsDoNotMix(t *testing.T) {
	s := newSink(t)
	server := s.server(t, nil)
	server.Start()
	var stream bytes.Buffer
	sizes := append(boundaries, 0, 5000, 100<<10)
	for i, size := range sizes {
		fmt.Fprintf(&stream, "PUT /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", i, size)
		stream.Write(content(size, uint64(i)))
	}
	for _, piece := range []int{stream.Len(), 1<<20 + 1, 9000, block - 1, 1447} {
		clear(s.files)
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for b := stream.Bytes(); len(b) > 0; b = b[min(piece, len(b)):] {
				conn.Write(b[:min(piece, len(b))])
			}
		}()
		answers := bufio.NewReader(conn)
		for i, size := range sizes {
			answer, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			said, _ := io.ReadAll(answer.Body)
			if want := fmt.Sprint(size, " <nil>"); string(said) != want {
				t.Errorf("pieces of %d, request %d: got %q, want %q", piece, i, said, want)
			}
		}
		conn.Close()
		for i, size := range sizes {
			if !bytes.Equal(s.files[fmt.Sprint("/", i)], content(size, uint64(i))) {
				t.Errorf("pieces of %d: request %d is not stored as it was sent", piece, i)
			}
		}
	}
}

// TestAChunkedBodyIsRightOrRefused: its reader may ask the connection for more than once in a read.
func TestAChunkedBodyIsRightOrRefused(t *testing.T) {
	s := newSink(t)
	server := s.server(t, nil)
	server.Start()
	for i := range 20 {
		data := content(100<<10+i*977, uint64(i))
		r, _ := http.NewRequest("PUT", fmt.Sprint(server.URL, "/", i), io.MultiReader(bytes.NewReader(data)))
		answer, err := server.Client().Do(r)
		if err != nil {
			continue // the server may have closed
		}
		said, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		switch {
		case answer.StatusCode == http.StatusOK && !bytes.Equal(s.files[r.URL.Path], data):
			t.Errorf("body %d is not stored as it was sent", i)
		case answer.StatusCode != http.StatusOK && !strings.Contains(string(said), ErrMiscounted.Error()):
			t.Errorf("body %d: %d %s", i, answer.StatusCode, said)
		}
	}
}
