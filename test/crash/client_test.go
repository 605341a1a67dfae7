package crash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// life is one run of the server, as its clients see it.
type life struct {
	server  *server
	base    string
	http    *http.Client
	report  *report
	ending  atomic.Bool   // the server is about to be killed, or was
	flowing chan struct{} // closed by the first answer to a client
	first   sync.Once
}

func newLife(s *server, base string, r *report) *life {
	return &life{server: s, base: base, report: r, flowing: make(chan struct{}),
		http: &http.Client{Timeout: patience, Transport: &http.Transport{
			DisableCompression: true, MaxIdleConnsPerHost: 32, IdleConnTimeout: patience / 2, // before the server ends them
		}}}
}

// client is one who uploads.
type client struct {
	*life
	world *world
	rand  *rand.Rand
}

var (
	errKilled     = errors.New("the server was killed")
	errUnanswered = errors.New("no answer") // from a server that lives
	errFailed     = errors.New("reported")
	errGone       = errors.New("the upload is gone")
)

// request is what a client asks.
type request struct {
	method, path string
	header       []string // lines such as "Upload-Offset: 5"
	body         io.Reader
	length       int64 // of body; -1 sends it in chunks
	trailer      string
	frail        bool // a server that lives may end the connection instead of answering
}

// answer is an answer, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (q request) build(ctx context.Context, base string) (*http.Request, error) {
	if q.body == nil {
		q.body = http.NoBody
	}
	req, err := http.NewRequestWithContext(ctx, q.method, base+q.path, q.body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = q.length
	req.Header.Set("Tus-Resumable", "1.0.0")
	for _, line := range q.header {
		key, value, _ := strings.Cut(line, ": ")
		req.Header.Add(key, value)
	}
	if q.trailer != "" {
		req.Trailer = http.Header{checksumKey: {q.trailer}}
	}
	return req, nil
}

// ask sends a request and reads the answer. That none came is reported if the server lives and the request is not frail.
func (c *client) ask(ctx context.Context, q request) (answer, error) {
	req, err := q.build(ctx, c.base)
	if err != nil {
		c.report.add("%s %s: %v", q.method, q.path, err)
		return answer{}, errFailed
	}
	a, err := c.exchange(req)
	switch {
	case err == nil && a.status >= 500:
		c.report.add("%s %s: got %d %s", q.method, q.path, a.status, a.body)
		return a, errFailed
	case err == nil:
		c.first.Do(func() { close(c.flowing) })
		return a, nil
	case c.ending.Load():
		return a, errKilled
	case q.frail:
		return a, errUnanswered
	}
	c.report.add("%s %s: no answer from a server that was not killed: %v", q.method, q.path, err)
	return a, errFailed
}

func (c *client) exchange(req *http.Request) (answer, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, body}, err
}

// wrong reports what a server should not have said about u.
func (c *client) wrong(u *upload, format string, args ...any) error {
	c.report.add("%s: %s", u, fmt.Sprintf(format, args...))
	return errFailed
}

// work carries on uploads of the world, and makes new ones, until the server is killed.
func (c *client) work(ctx context.Context) {
	for !c.ending.Load() && !c.report.failed() {
		u := c.world.claim(c.rand)
		err := c.visit(ctx, u)
		switch {
		case errors.Is(err, errKilled):
			return
		case !errors.Is(err, errUnanswered): // else the server may be at it still, and it is left alone until the next run
			c.world.release(u)
		}
	}
}

// visit does some of what is to be done for an upload.
func (c *client) visit(ctx context.Context, u *upload) error {
	switch {
	case u.finished(), u.kind == part: // a part that is claimed is of something that is gone
		return c.remove(ctx, u)
	case u.kind.visit != nil:
		return u.kind.visit(ctx, c, u)
	}
	return c.carryOn(ctx, u, 1+c.rand.IntN(3))
}

// watch asks for the status of uploads that others carry on: what it is told is acknowledged too.
func (c *client) watch(ctx context.Context) {
	for !c.ending.Load() && !c.report.failed() {
		if u := c.world.any(c.rand); u != nil {
			_, _ = c.status(ctx, u) // reported
		}
		select {
		case <-time.After(time.Millisecond): // leaves the machine to others
		case <-ctx.Done():
		}
	}
}

// carryOn sends up to n chunks of what is missing, the first perhaps with the announcement.
func (c *client) carryOn(ctx context.Context, u *upload, n int) error {
	if u.get(&u.made) != yes {
		if err := c.create(ctx, u, u.kind.firstChunk(c.rand, u)); err != nil {
			return err
		}
	} else if _, err := c.head(ctx, u); err != nil {
		return err
	}
	for ; n > 0 && !u.full(); n-- {
		if err := c.patch(ctx, u, u.kind.next(c.rand, u)); err != nil {
			return err
		}
	}
	if u.full() && !u.finished() && u.kind != part {
		_, err := c.status(ctx, u)
		return err
	}
	return nil
}

// complete carries an upload on until nothing is missing.
func (c *client) complete(ctx context.Context, u *upload) error {
	for !u.full() {
		err := c.carryOn(ctx, u, 1)
		if err != nil && !errors.Is(err, errUnanswered) {
			return err
		}
	}
	return nil
}
