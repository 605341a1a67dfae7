package handlers

import (
	"io"
	"net/http"
	"time"
)

// response is the ResponseWriter of every public request. It remembers what was sent, lets the endpoint finish the header,
// and keeps the kernel's way from file to socket open.
type response struct {
	http.ResponseWriter
	body   *tap // of the request
	errors *errorCounts
	idle   time.Duration          // how long a write may stand still
	finish func(int, http.Header) // called with the status before the header goes out; may be nil
	status int                    // 0 until the header is out
	sent   int64                  // bytes of the body
	rest   bool                   // of the request's body is to be read away
}

// Unwrap lets http.ResponseController reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *response) WriteHeader(status int) {
	if status >= 200 && w.status == 0 {
		w.status = status
		// A deadline stays with a connection from one request to the next, and this answer may have been long in coming.
		_ = w.extend() // fails where there are no deadlines
		if w.finish != nil {
			w.finish(status, w.Header())
		}
		if status >= 400 && w.body != nil {
			w.refuse()
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(p)
	w.sent += int64(n)
	return n, err
}

// maxDiscard is how much of a refused body is read away so that the connection can be used again.
const maxDiscard = 256 << 10

// refuse sees to it that a refusal goes out at once, not when the client has sent what is refused: by itself net/http reads
// a short rest first. A body that was begun, or whose rest is long or unknown, takes the connection with it.
func (w *response) refuse() {
	switch left := w.body.length - w.body.n; {
	case !w.body.unread():
		return
	case w.body.n > 0 || w.body.length < 0 || left > maxDiscard:
		w.Header().Set("Connection", "close")
		return
	}
	w.rest = http.NewResponseController(w.ResponseWriter).EnableFullDuplex() == nil
}

// discard reads the short rest of a refused body away, after the refusal is out. It tells whether the connection is of use.
// It must be done before the handler returns: net/http panics over a body that it has to end itself in full duplex.
func (w *response) discard() bool {
	if !w.rest {
		return true
	}
	rc := http.NewResponseController(w.ResponseWriter)
	if rc.Flush() != nil || rc.SetReadDeadline(time.Now().Add(w.idle)) != nil {
		return false
	}
	_, err := io.Copy(io.Discard, w.body)
	return err == nil
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
