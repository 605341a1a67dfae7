package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
)

// network is a server as clients see it from behind a bad network: everything that a server's clients can do goes that way.
// The private listener is near.
type network struct {
	*server
	proxy *toxiproxy.Proxy
}

// toxic is one way in which a network is bad. Toxiproxy's README tells their names and attributes.
type toxic struct {
	Type       string         `json:"type"`
	Stream     string         `json:"stream"`
	Toxicity   float32        `json:"toxicity"` // which part of all connections has it
	Attributes map[string]int `json:"attributes"`
}

// The directions of a toxic.
const (
	up   = "upstream"   // what clients send
	down = "downstream" // answers
)

// cut ends every connection after so many bytes.
func cut(direction string, bytes int) toxic {
	return toxic{"limit_data", direction, 1, map[string]int{"bytes": bytes}}
}

// resets makes every end of a connection a reset: of a connection that is cut, and of one that the server has answered on,
// whose answer is lost.
func resets() toxic { return toxic{"reset_peer", down, 1, map[string]int{}} }

// behind puts a network before s until the test ends.
func (s *server) behind(t *testing.T, toxics ...toxic) *network {
	t.Helper()
	proxies := &toxiproxy.ApiServer{Metrics: toxiproxy.NewMetricsContainer(nil)}
	proxies.Logger = zero(proxies.Logger) // says nothing
	n := &network{proxy: toxiproxy.NewProxy(proxies, t.Name(), "127.0.0.1:0", s.public)}
	for _, bad := range toxics {
		n.spoil(t, bad)
	}
	if err := n.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true}
	n.server = &server{scheme: "http", public: n.proxy.Listen, private: s.private, http: &http.Client{Transport: transport}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		n.proxy.Stop()
	})
	return n
}

// zero is a new zero value of a type that need not be named: its package is none of ours.
func zero[T any](*T) *T { return new(T) }

// spoil adds a toxic, also for the connections that are there. The proxy waits for one whose server hung up, for ever.
func (n *network) spoil(t *testing.T, bad toxic) {
	t.Helper()
	raw, err := json.Marshal(bad)
	if err != nil {
		t.Fatal(err)
	}
	added := make(chan error, 1)
	go func() {
		_, err := n.proxy.Toxics.AddToxicJson(bytes.NewReader(raw))
		added <- err
	}()
	select {
	case err := <-added:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatal("the server has ended the connection that was to be spoiled")
	}
}

// sample is a file for one of the paths below which there are profiles.
type sample struct {
	path string
	file content
}

// samples are one for each built-in profile. The first bytes of the second are judged while they arrive, and those of the
// third when all are there.
func samples(t *testing.T, size int64) []sample {
	t.Helper()
	return []sample{
		{"/files/", content{size: size}},
		{"/videos/", content{size: size, head: movie}},
		{"/avatars/", picture(t, 300, 200)},
	}
}

// picture is a small PNG of that size as a content.
func picture(t *testing.T, width, height int) content {
	t.Helper()
	raw := gradient(t, width, height)
	return content{size: int64(len(raw)), head: raw}
}

// TestCutsAtEveryBoundary has connections end at every place in a request where a server may wait for something else than it
// waited for a byte before. What came before the cut is kept, nothing else, and the upload goes on from there.
func TestCutsAtEveryBoundary(t *testing.T) {
	s := start(t)
	for _, of := range samples(t, 100_000) {
		t.Run(of.path, func(t *testing.T) {
			head := len(of.head("/x/0123456789abcdef0123456789abcdef"))
			for _, at := range boundaries(head, int(of.file.size)) {
				closed := t.Run(fmt.Sprintf("closed after %d bytes of the body", at-head), func(t *testing.T) {
					checkCut(t, s, of, at, true, cut(up, at))
				})
				reset := t.Run(fmt.Sprintf("reset after %d bytes of the body", at-head), func(t *testing.T) {
					checkCut(t, s, of, at, false, cut(up, at), resets())
				})
				if !closed || !reset {
					return // each that fails waits for long
				}
			}
		})
	}
}

// boundaries are places in a request with a head and a body of so many bytes.
func boundaries(head, body int) []int {
	places := []int{0, 1, 20, head / 2, head - 2, head - 1}
	for _, at := range []int{0, 1, 4095, 4096, 4097, 32<<10 - 1, 32<<10 + 1, 50_000, 65_536, body - 1, body} {
		if at <= body {
			places = append(places, head+at)
		}
	}
	return places
}

// head is the head of a PATCH that sends all of it at once. Its length is the same for all uploads of the sample.
func (of sample) head(location string) string {
	return ask("PATCH "+location, protocol, chunkType, "Upload-Offset: 0", fmt.Sprintf("Content-Length: %d", of.file.size))
}

// checkCut sends a whole upload over a connection that ends at so many bytes. Without a reset all of them arrive.
func checkCut(t *testing.T, s *server, of sample, at int, exactly bool, toxics ...toxic) {
	t.Helper()
	location := s.create(t, of.path, of.file.size)
	head := of.head(location)
	l := s.behind(t, toxics...).dial(t)
	l.write(append([]byte(head), of.file.bytes(0, of.file.size)...))
	l.ended(t)

	arrived := min(max(int64(at-len(head)), 0), of.file.size)
	if exactly {
		await(t, fmt.Sprintf("%d bytes are kept", arrived), func() bool { return s.standing(t, location).Offset == arrived })
	}
	if offset := s.offset(t, location); offset > arrived || exactly && offset != arrived {
		t.Errorf("%d bytes kept of %d that arrived", offset, arrived)
	}
	// The request that was cut may be served only now, and move the offset between two of this client's requests.
	again := &stubborn{s: s, location: location, file: of.file, tries: 1}
	runAll(t, []*stubborn{again}, patience)
	s.checkReady(t, location, of.file)
}

// ended waits until the connection has ended, with or without an answer.
func (l *line) ended(t *testing.T) {
	t.Helper()
	if _, err := io.Copy(io.Discard, l.r); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the connection did not end")
	}
}

// TestLostAnswers has every byte arrive, and only the first few bytes of the answer come back. The client asks, and learns
// that all is well: also the verdict.
func TestLostAnswers(t *testing.T) {
	s := start(t)
	for _, of := range samples(t, 100_000) {
		for _, bytes := range []int{0, 1, 12, 60} {
			ok := t.Run(fmt.Sprintf("%s after %d bytes", of.path, bytes), func(t *testing.T) {
				location := s.create(t, of.path, of.file.size)
				l := s.behind(t, cut(down, bytes)).dial(t)
				l.write(append([]byte(of.head(location)), of.file.bytes(0, of.file.size)...))
				if _, err := l.answer("PATCH"); err == nil {
					t.Fatal("the answer came through whole: the test shows nothing")
				}
				s.checkSettled(t, location, of.file)
			})
			if !ok {
				return // each that fails waits for long
			}
		}
	}
}

// checkSettled is a client that has sent everything and asks what became of it.
func (s *server) checkSettled(t *testing.T, location string, file content) {
	t.Helper()
	await(t, "HEAD tells that the upload is ready", func() bool {
		r := s.do(t, "HEAD", location, protocol)
		if r.status != http.StatusOK && r.status != http.StatusLocked {
			t.Fatalf("HEAD: got %d, want 200", r.status)
		}
		return r.header.Get("Sluice-State") == "ready" && r.header.Get("Upload-Offset") == fmt.Sprint(file.size)
	})
	again := s.patch(t, location, file.size, http.NoBody, 0)
	if again.status != http.StatusNoContent || again.header.Get("Sluice-State") != "ready" {
		t.Errorf("PATCH of nothing: got %d %q, want 204 ready", again.status, again.header.Get("Sluice-State"))
	}
	s.checkReady(t, location, file)
}

// checkReady sees that an upload is there for its readers, whole and right.
func (s *server) checkReady(t *testing.T, location string, file content) {
	t.Helper()
	found := s.standing(t, location)
	if found.State != "ready" || found.Offset != file.size {
		t.Errorf("%s is %s with %d bytes, want ready with %d", location, found.State, found.Offset, file.size)
		return
	}
	if strings.HasPrefix(location, "/avatars/") {
		s.checkVariants(t, location)
	}
	s.checkContent(t, location, file)
}

// complete goes on with an upload to its end, from where HEAD says that it is.
func (s *server) complete(t *testing.T, location string, file content) {
	t.Helper()
	if offset := s.offset(t, location); offset < file.size {
		s.send(t, location, file, offset, file.size)
	}
	await(t, "the upload is settled", func() bool { return s.standing(t, location).State != "received" })
	s.checkReady(t, location, file)
}

// slowly is how long a network that passes everything on makes every packet, or the end of a connection, wait.
const slowly = 20 * time.Millisecond

// TestPoorNetworks uploads and downloads through networks that lose nothing, and are bad otherwise.
func TestPoorNetworks(t *testing.T) {
	s := start(t)
	wait := int(slowly.Milliseconds())
	for _, row := range []struct {
		name       string
		size       int64
		kind       string
		attributes map[string]int
	}{
		{"one byte at a time", 20_000, "slicer", map[string]int{"average_size": 1}},
		{"small pieces", 1 << 20, "slicer", map[string]int{"average_size": 500, "size_variation": 400}},
		{"late", 2 << 20, "latency", map[string]int{"latency": wait, "jitter": wait - 1}},
		{"narrow", 1 << 20, "bandwidth", map[string]int{"rate": 4 << 10}},
		{"slow to close", 1 << 20, "slow_close", map[string]int{"delay": 5 * wait}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel() // they wait more than they work
			n := s.behind(t, toxic{row.kind, up, 1, row.attributes}, toxic{row.kind, down, 1, row.attributes})
			for _, of := range samples(t, row.size) {
				location := n.create(t, of.path, of.file.size)
				n.send(t, location, of.file, 0, of.file.size/3)
				n.complete(t, location, of.file)
			}
		})
	}
}

// TestSingleBytes has a client write one byte after the other, head and body.
func TestSingleBytes(t *testing.T) {
	s := start(t)
	for _, of := range samples(t, 6000) {
		t.Run(of.path, func(t *testing.T) {
			location := s.create(t, of.path, of.file.size)
			l := s.dial(t)
			text := append([]byte(of.head(location)), of.file.bytes(0, of.file.size)...)
			for i := range text {
				l.write(text[i : i+1])
			}
			if answer, err := l.answer("PATCH"); err != nil || answer.status != http.StatusNoContent {
				t.Fatalf("got %d %s %v, want 204", answer.status, answer.body, err)
			}
			s.checkReady(t, location, of.file)
		})
	}
}
