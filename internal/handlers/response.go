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
	errors *errorCounts
	idle   time.Duration          // how long a write may stand still
	finish func(int, http.Header) // called with the status before the header goes out; may be nil
	status int                    // 0 until the header is out
	sent   int64                  // bytes of the body
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

// sendPiece is how much is handed to the kernel at once. Before each piece the deadline moves on, so a download may take as
// long as it needs while it moves at all: 1 MiB in the idle time, 18 KB/s at 60 s.
const sendPiece = 1 << 20

// looks through.
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
