package handlers

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"sluice/internal/upload"
)

// serveTus checks what the protocol says about a POST, PATCH or DELETE and then lets tusd serve it.
func (e *endpoint) serveTus(req *request, r *http.Request, next http.Handler) {
	req.w.Header().Set("Tus-Resumable", tusVersion)
	if err := e.check(req, r); err != nil {
		e.count(r.Method)
		req.fail(err)
		return
	}
	if r.Method != http.MethodDelete {
		if err := e.h.enter(req); err != nil {
			e.count(r.Method)
			req.fail(err)
			return
		}
		defer e.h.leave(req)
	}
	req.w.finish = func(status int, h http.Header) { e.finishHeader(req, status, h) }
	inner := *r // tusd wants the path below the endpoint, and a body that we can see
	inner.URL = &url.URL{Path: string(req.upload)}
	inner.Body = req.body
	outer := &tusResponse{response: req.w, req: req}
	next.ServeHTTP(outer, &inner)
	if outer.status != 0 {
		outer.replace("") // tusd had no words
	}
	if req.w.status == 0 {
		abort()
	}
}

func (e *endpoint) check(req *request, r *http.Request) (err error) {
	if err := checkVersion(r, req.w.Header()); err != nil {
		return err
	}
	switch r.Method {
	case http.MethodPost:
		req.metadata, err = e.checkCreate(r)
	case http.MethodPatch:
		err = checkAppend(r)
	}
	return err
}

// stalled tells that the body stood still for so long that the connection was given up. No status says "begin again where
// you were" to every client, but a dropped connection does.
func (r *request) stalled() bool {
	return r.interrupted() == nil && isTimeout(r.body.err)
}

// finishHeader completes the header of an answer that tusd made.
func (e *endpoint) finishHeader(req *request, status int, h http.Header) {
	h.Del("Location")
	if req.created {
		h.Set("Location", e.base+string(req.upload)) // also with an error: the client can go on, or delete
	}
	if status == http.StatusConflict && req.record.ID != "" {
		h.Set("Upload-Offset", strconv.FormatInt(req.record.Offset, 10))
	}
	setState(h, req.record)
}

// setState tells a client how its complete upload stands.
func setState(h http.Header, rec upload.Record) {
	if rec.State.Complete() {
		h.Set("Sluice-State", string(rec.State))
	}
}

// count adds a request that tusd does not see to those that it counts.
func (e *endpoint) count(method string) { addTo(e.tusd.Metrics.RequestsTotal[method]) }

// tusResponse puts our words in the place of tusd's when it answers with an error of its own.
type tusResponse struct {
	*response
	req    *request
	status int // of tusd's own error, while its words are awaited or swallowed; else 0
}

// Unwrap lets tusd's http.ResponseController reach the connection.
func (w *tusResponse) Unwrap() http.ResponseWriter { return w.response }

func (w *tusResponse) WriteHeader(status int) {
	if status >= 400 && (w.req.stalled() || w.Header().Get("Content-Type") != problemType) {
		w.status = status
		return
	}
	w.response.WriteHeader(status)
}

// Write looks at tusd's words, which begin with the error's name, and sends ours.
func (w *tusResponse) Write(p []byte) (int, error) {
	if w.status == 0 {
		return w.response.Write(p)
	}
	name, _, _ := strings.Cut(string(p), ":")
	w.replace(name)
	return len(p), nil
}

// replace answers in the place of tusd, once. A body that stood still gets no answer: see [request.stalled].
func (w *tusResponse) replace(name string) {
	if w.response.status == 0 && !w.req.stalled() {
		w.Header().Del("Content-Length")
		w.req.answer(problemOfTusd(w.status, name))
	}
}
