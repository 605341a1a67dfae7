package handlers

import (
	"net/http"
	"net/url"
	"strconv"

	"sluice/internal/upload"
)

// serveTus checks what the protocol says about a POST, PATCH or DELETE and then lets tusd serve it.
func (e *endpoint) serveTus(req *request, r *http.Request, next http.Handler) {
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
	req.header = r.Header
	req.w.finish = func(status int, h http.Header) { e.finishHeader(req, status, h) }
	inner := *r // tusd wants the path below the endpoint, and a body that we can see
	inner.URL = &url.URL{Path: string(req.upload)}
	inner.Body = req.body
	next.ServeHTTP(req.w, &inner)
}

func (e *endpoint) check(req *request, r *http.Request) (err error) {
	switch r.Method {
	case http.MethodPost:
		req.metadata, err = e.checkCreate(r)
	case http.MethodPatch:
		err = e.checkAppend(r)
	}
	if err != nil {
		return err
	}
	return req.takeChecksum(r)
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
