package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// stubborn is a client that never gives up an upload: whatever happens, it asks how far the upload is and goes on there. It
// complains of what no client may be told.
type stubborn struct {
	s    *server
	path string
	file content

	chunk    int64  // the most that it sends at once; 0: all that is left
	location string // "" until the upload is made
	offset   int64  // as HEAD told it last
	tries    int    // requests that carried bytes; HEAD comes before each but the first
}

// run uploads until HEAD tells that the upload is ready.
func (c *stubborn) run(ctx context.Context, t *testing.T) error {
	for {
		done, err := c.step(ctx, t)
		if done || err != nil {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s has %d of %d bytes after %d tries", c.location, c.offset, c.file.size, c.tries)
		}
	}
}

// step does the one request that is next. An answer that does not come is no error.
func (c *stubborn) step(ctx context.Context, t *testing.T) (done bool, err error) {
	switch {
	case c.location == "":
		return false, c.create(ctx, t)
	case c.tries > 0:
		resp, ok := c.ask(ctx, c.s.request(t, "HEAD", c.location, http.NoBody, 0, protocol))
		if !ok {
			return false, nil
		}
		if err := c.look(resp); err != nil || resp.StatusCode == http.StatusLocked {
			return false, err
		}
		if c.offset == c.file.size {
			time.Sleep(time.Millisecond) // somebody may still be at work on it
			return resp.Header.Get("Sluice-State") == "ready", nil
		}
	}
	return false, c.send(ctx, t)
}

func (c *stubborn) send(ctx context.Context, t *testing.T) error {
	upTo := c.file.size
	if c.chunk > 0 {
		upTo = min(upTo, c.offset+c.chunk)
	}
	c.tries++
	header := []string{protocol, chunkType, "Upload-Offset: " + strconv.FormatInt(c.offset, 10)}
	resp, ok := c.ask(ctx, c.s.request(t, "PATCH", c.location, c.file.part(c.offset, upTo), upTo-c.offset, header...))
	if !ok {
		return nil
	}
	switch resp.StatusCode {
	case http.StatusNoContent, http.StatusConflict, http.StatusLocked: // an earlier request may still be on its way
		return nil
	}
	return fmt.Errorf("PATCH %s at %d: got %s", c.location, c.offset, resp.Status)
}

func (c *stubborn) create(ctx context.Context, t *testing.T) error {
	length := "Upload-Length: " + strconv.FormatInt(c.file.size, 10)
	resp, ok := c.ask(ctx, c.s.request(t, "POST", c.path, http.NoBody, 0, protocol, length))
	if ok && resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("POST: got %s", resp.Status)
	}
	if ok {
		c.location = resp.Header.Get("Location")
	}
	return nil
}

// look reads the answer to a HEAD.
func (c *stubborn) look(resp *http.Response) error {
	if resp.StatusCode == http.StatusLocked {
		return nil
	}
	offset, err := strconv.ParseInt(resp.Header.Get("Upload-Offset"), 10, 64)
	switch {
	case resp.StatusCode != http.StatusOK || err != nil:
		return fmt.Errorf("HEAD %s: got %s, Upload-Offset %q", c.location, resp.Status, resp.Header.Get("Upload-Offset"))
	case offset < c.offset || offset > c.file.size:
		return fmt.Errorf("HEAD %s told %d of %d bytes, after %d", c.location, offset, c.file.size, c.offset)
	}
	c.offset = offset
	return nil
}

// ask makes a request; ok tells that an answer came, whole.
func (c *stubborn) ask(ctx context.Context, req *http.Request) (resp *http.Response, ok bool) {
	resp, err := c.s.http.Do(req.WithContext(ctx))
	if err != nil {
		return nil, false
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp, err == nil
}

// anything is a network in which everything happens that can happen to a connection, to each only some of it.
func anything() []toxic {
	return []toxic{
		{"latency", up, 0.3, map[string]int{"latency": 5, "jitter": 5}},
		{"latency", down, 0.3, map[string]int{"latency": 5, "jitter": 5}},
		{"slicer", up, 0.3, map[string]int{"average_size": 1400, "size_variation": 1000}},
		{"slicer", down, 0.3, map[string]int{"average_size": 3, "size_variation": 2}},
		{"bandwidth", up, 0.3, map[string]int{"rate": 2 << 10}},
		{"slow_close", up, 0.2, map[string]int{"delay": 50}},
		{"limit_data", up, 0.9, map[string]int{"bytes": 150_000}},
		{"limit_data", down, 0.2, map[string]int{"bytes": 50}},
		{"reset_peer", down, 0.1, map[string]int{}},
		{"timeout", up, 0.03, map[string]int{}}, // takes everything, delivers nothing, never ends
		{"timeout", down, 0.03, map[string]int{}},
	}
}

// TestManyThroughBadNetwork has clients of every profile upload at once through a network in which anything may happen. All
// of them get through, and what the server has in the end is what was sent.
func TestManyThroughBadNetwork(t *testing.T) {
	many, within := 200, 2*patience
	if os.Getenv("SOAK") == "1" {
		many, within = 1000, 20*patience
	}
	s := start(t, "--idle-timeout", "2s")
	n := s.behind(t, anything()...)
	clients := make([]*stubborn, many)
	for i := range clients {
		clients[i] = &stubborn{s: n.server, path: "/files/", file: content{size: sizeOf(i), seed: int64(i)}}
		switch {
		case i%10 == 0:
			clients[i].path, clients[i].file = "/avatars/", picture(t, 100+i%100, 90)
		case i%3 == 0:
			clients[i].path, clients[i].file.head = "/videos/", movie
		}
	}
	runAll(t, clients, within)

	for _, c := range clients {
		s.checkReady(t, c.location, c.file)
	}
	s.http.CloseIdleConnections()
	await(t, "nobody is served any more", func() bool {
		return s.metric(t, "sluice_http_requests_in_flight") == 0 && s.metric(t, "sluice_uploads_receiving") == 0
	})
}

// sizeOf spreads sizes from 100 KiB to 2 MiB, more of them small.
func sizeOf(i int) int64 {
	part := float64(i*37%101) / 100
	return 100<<10 + int64(part*part*part*float64(2<<20-100<<10))
}

// runAll has all clients upload at once.
func runAll(t *testing.T, clients []*stubborn, within time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	var work sync.WaitGroup
	var tries, bytes atomic.Int64
	for _, c := range clients {
		work.Go(func() {
			if err := c.run(ctx, t); err != nil {
				t.Error(err)
			}
			tries.Add(int64(c.tries))
			bytes.Add(c.file.size)
		})
	}
	work.Wait()
	if t.Failed() {
		t.FailNow()
	}
	if len(clients) > 1 {
		t.Logf("%d uploads, %d MiB, %d requests with bytes", len(clients), bytes.Load()>>20, tries.Load())
	}
}
