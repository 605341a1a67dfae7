package handlers

import (
	"io"
	"net/http"
	"strings"
	"time"
)

// response is the ResponseWriter of every public request. It remembers what was sent, lets the endpoint finish the header,
// puts our words in the place of anybody else's when they answer with an error, and keeps the kernel's way from file to
// socket open.
type response struct {
	http.ResponseWriter
	req      *request
	errors   *errorCounts
	idle     time.Duration          // how long a write may stand still
	finish   func(int, http.Header) // called with the status before the header goes out; may be nil
	status   int                    // 0 until the header is out
	foreign  int                    // status of an error that is not in our words yet; 0 if there is none
	bodiless bool                   // net/http does not know that this is the answer to a HEAD
	sent     int64                  // bytes of the body
	rest     bool                   // of the request's body is to be read away
	linger   bool                   // the connection ends, and more of the body may come
	values   [6]string              // of the header, see put
	used     int                    // of them
}

// put sets a field of the header, as Header().Set does, for a key that is in its canonical form already. The first few values lie
// with the request: they are not allocated one by one.
func (w *response) put(key, value string) {
	if w.used == len(w.values) {
		w.Header()[key] = []string{value}
		return
	}
	w.values[w.used] = value
	w.used++
	w.Header()[key] = w.values[w.used-1 : w.used : w.used]
}

// Unwrap lets http.ResponseController reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *response) WriteHeader(status int) {
	switch {
	case status < 200:
		w.ResponseWriter.WriteHeader(status)
	case status >= 400 && (w.req.stalled() || w.Header().Get("Content-Type") != problemType):
		w.foreign = status
	case w.status == 0:
		w.sendHeader(status)
	}
}

func (w *response) sendHeader(status int) {
	w.status = status
	// A deadline stays with a connection from one request to the next, and this answer may have been long in coming.
	_ = w.extend() // fails where there are no deadlines
	h := w.Header()
	if w.finish != nil {
		w.finish(status, h)
	}
	if w.bodiless {
		h.Del("Content-Length")
	}
	w.leaveBody(h)
	w.ResponseWriter.WriteHeader(status)
}

// Write sends p, or takes p for the words of an error that is not ours: tusd's begin with its name.
func (w *response) Write(p []byte) (int, error) {
	if w.foreign != 0 {
		name, _, _ := strings.Cut(string(p), ":")
		w.translate(name)
		return len(p), nil
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(p)
	w.sent += int64(n)
	return n, err
}

// translate answers in our words, once. A body that stood still gets no answer: see [request.stalled].
func (w *response) translate(name string) {
	if w.status != 0 || w.req.stalled() {
		return
	}
	p := problemOf(w.foreign, name)
	w.foreign = 0
	w.Header().Del("Content-Length")
	w.req.answer(p)
	w.foreign = p.Status // what is still written is swallowed
}

// maxDiscard is how much of a body that nobody wanted is read away so that the connection can be used again.
const maxDiscard = 256 << 10

// lingerFor is how long a client that was refused may still send what is not read, until its connection is closed.
const lingerFor = 500 * time.Millisecond

// maxLinger is how much of that is read away.
const maxLinger = 64 << 20

// leaveBody sees to it that an answer goes out at once, not when the client has sent a body that nobody reads: by itself
// net/http reads a short rest first. A body that was begun, or whose rest is long or unknown, takes the connection with it.
func (w *response) leaveBody(h http.Header) {
	body := w.req.body
	switch {
	case w.req.spoiled(): // the connection's deadline may have been moved, see [request.interrupt]
		h.Set("Connection", "close")
		w.linger = body.unread()
	case !body.unread():
	case body.n > 0 || body.length < 0 || body.length > maxDiscard, w.req.outer.Header.Get("Expect") != "":
		h.Set("Connection", "close") // who waits to be told to send will not send, if told this
		w.linger = true
	default:
		w.rest = http.NewResponseController(w.ResponseWriter).EnableFullDuplex() == nil // fails where it is so anyway (HTTP/2)
	}
}

// end leaves the connection as the next request expects it, or drops it. It is called when the handler has returned by
// itself; net/http panics over a body that it has to end by itself in full duplex.
func (w *response) end() {
	if w.foreign != 0 {
		w.translate("") // an error without words
	}
	if w.status == 0 && (w.foreign != 0 || w.req.stalled()) {
		abort()
	}
	rc := http.NewResponseController(w.ResponseWriter)
	if w.req.finished() && w.Header().Get("Connection") != "close" { // interrupted after the header went out
		_ = rc.Flush()
		abort()
	}
	if w.linger { // a reset at once could take the answer with it, and some clients only listen when all is sent
		_ = rc.Flush()
		_ = rc.SetReadDeadline(time.Now().Add(lingerFor))
		_, _ = io.CopyN(io.Discard, w.req.body, maxLinger) // the connection is closed anyway
	}
	if !w.rest {
		return
	}
	if rc.Flush() != nil || rc.SetReadDeadline(time.Now().Add(w.idle)) != nil {
		abort()
	}
	if _, err := io.Copy(io.Discard, w.req.body); err != nil {
		abort()
	}
}

// sendPiece is how much is handed to the kernel at once. Before each piece the deadline moves on.
const sendPiece = 1 << 20

// ReadFrom copies src to the client. For a file it is sendfile: the pieces have the one form that net's sendfile looks
// through.
func (w *response) ReadFrom(src io.Reader) (int64, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	left := int64(1) << 62
	if lr, ok := src.(*io.LimitedReader); ok {
		src, left = lr.R, lr.N
		defer func() { lr.N = left }()
	}
	var total int64
	for left > 0 {
		if err := w.extend(); err != nil {
			return total, err
		}
		piece := min(left, sendPiece)
		n, err := io.Copy(w.ResponseWriter, &io.LimitedReader{R: src, N: piece})
		total, left, w.sent = total+n, left-n, w.sent+n
		if n > 0 && isTimeout(err) {
			continue // slow, but it moves: a download may take as long as it needs
		}
		if err != nil || n < piece {
			return total, err
		}
	}
	return total, nil
}

func (w *response) extend() error {
	if w.idle == 0 {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(w.idle))
}
