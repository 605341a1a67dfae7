package handlers

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"sluice/internal/upload"
)

// request is what we know about one HTTP request beyond its http.Request. It travels with the ResponseWriter, and in the context
// of those that tusd serves, which it hands on to the store's adapter and to the hooks. Only the goroutine that serves the
// request uses it, but for interrupt.
type request struct {
	id      string       // X-Request-ID of the answer, and of the log
	method  string       // after X-HTTP-Method-Override
	base    *slog.Logger // see [request.log]
	w       *response
	route   string // for logs and metrics: one of a fixed set
	upload  upload.ID
	owner   upload.Owner // who asks
	created bool         // this request made the upload

	outer    *http.Request  // net/http's own: a trailer that was not announced comes in there alone
	trailers []string       // that were announced
	checksum *checksum      // in the header; nil if there is none
	header   http.Header    // as tusd will see it
	metadata string         // Upload-Metadata as sent
	concat   string         // Upload-Concat as sent, of a partial upload
	declared bool           // the request told a length that was deferred
	record   *upload.Record // as last seen; the zero record if none was; nil where tusd does not serve the request
	body     *tap           // never nil

	mu    sync.Mutex
	cause error  // why the body must not be read further; set once
	cut   bool   // the connection's deadline was moved for that
	wake  func() // ends what else the request waits for; nil if nothing
	over  bool   // the handler has returned: the connection is the next request's
}

type connKey struct{}

// WithConn returns a context for the requests of conn, which says what the store may use below their bodies. It is for
// [http.Server.ConnContext].
func WithConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

type requestKey struct{}

// log is a log whose lines name the request.
func (r *request) log() *slog.Logger { return r.base.With("request", r.id) }

// requestFrom returns the state of the request that ctx belongs to.
func requestFrom(ctx context.Context) *request { return ctx.Value(requestKey{}).(*request) }

// inContext returns a copy of from with r in its context, for [requestFrom].
func (r *request) inContext(from *http.Request) *http.Request {
	return from.WithContext(context.WithValue(from.Context(), requestKey{}, r))
}

// requestOf returns the state of the request that w answers.
func requestOf(w http.ResponseWriter) *request { return w.(*response).req }

// interrupt makes a request that reads its body stop soon. It may be called from any goroutine, at any time, repeatedly.
//
// tusd's own interrupt is lost when it comes before the handler has a body to close. Here the cause is set before the
// deadline, and looked at before each read (see [tap.Read] and [guarded.Read]): whichever of the two the reader meets
// first, it stops.
func (r *request) interrupt(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cause != nil || r.over {
		return
	}
	r.cause = cause
	if r.wake != nil {
		r.wake()
	}
	if r.body.ended.Load() {
		return // nothing is read any more, and a deadline would hit the connection's next request
	}
	r.cut = true
	// The error is that of a connection that cannot have deadlines: then the next read notices the cause.
	_ = http.NewResponseController(r.w.ResponseWriter).SetReadDeadline(time.Now())
}

func (r *request) interrupted() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cause
}

// wakeBy has wake called when the request is interrupted: at once if it was already.
func (r *request) wakeBy(wake func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wake = wake
	if r.cause != nil {
		wake()
	}
}

// finished ends the time in which the request can be interrupted, and tells whether the connection is spoiled by it.
func (r *request) finished() (spoiled bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	return r.cut
}

// spoiled tells whether the connection's deadline was moved.
func (r *request) spoiled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cut
}

// tap is the request's body as it comes from the network. tusd hides errors of the body from the store and cuts off what
// is too long; the tap remembers what really happened.
type tap struct {
	body   io.ReadCloser
	length int64         // as announced, -1 if it was not
	n      int64         // bytes that came out
	all    *atomic.Int64 // those of every request
	err    error         // that ended it; io.EOF at its end
	ended  atomic.Bool   // it has, in whatever way; for other goroutines
}

// unread tells that more of the body may come.
func (t *tap) unread() bool { return t.err != io.EOF && (t.length < 0 || t.n < t.length) }

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.body.Read(p)
	t.n += int64(n)
	t.all.Add(int64(n))
	if err != nil {
		t.err = err
	}
	if !t.unread() {
		t.ended.Store(true)
	}
	return n, err
}

func (t *tap) Close() error { return t.body.Close() }
