package handlers

import (
	"errors"
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
	req.header, req.record = r.Header, new(upload.Record)
	req.w.finish = func(status int, h http.Header) { e.finishHeader(req, status, h) }
	inner := req.inContext(r) // a copy: tusd wants the path below the endpoint, and a body that we can see
	inner.URL = &url.URL{Path: string(req.upload)}
	inner.Body = req.body
	defer e.confirm(req) // also of an upload whose client could not be told: it expires like any other
	next.ServeHTTP(req.w, inner)
}

func (e *endpoint) check(req *request, r *http.Request) (err error) {
	switch r.Method {
	case http.MethodPost:
		req.concat, err = takePartial(r)
		if err == nil {
			req.metadata, err = e.checkCreate(r)
		}
	case http.MethodPatch:
		err = e.checkAppend(r)
		rec, known := e.store.Lookup(req.upload)
		setExpires(req.w, rec) // also of a PATCH that comes no further
		if known == nil && rec.Final && !rec.State.Gone() {
			return upload.ErrFinal // before the lock: who assembles it is not to be interrupted
		}
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
		e.announce(req, h)
	}
	if status == http.StatusConflict && req.record.ID != "" {
		h.Set("Upload-Offset", strconv.FormatInt(req.record.Offset, 10))
	}
	setState(h, *req.record)
	if req.record.ID != "" {
		h.Del("Upload-Expires") // as it was before
	}
	setExpires(req.w, *req.record)
}

// announce tells where the upload is that the request has made, also with an error: the client can go on, or delete.
func (e *endpoint) announce(req *request, h http.Header) {
	if !e.confirm(req) {
		abort()
	}
	h.Set("Location", e.base+string(req.upload))
}

// confirm writes down an upload that the request has made, if that is not done.
func (e *endpoint) confirm(req *request) bool {
	if !req.created {
		return true
	}
	err := e.store.Confirm(req.upload)
	if err != nil && !errors.Is(err, upload.ErrNotFound) {
		req.log().Error("upload is not written down", "err", err)
		return false
	}
	return true
}

// setState tells a client how its complete upload stands.
func setState(h http.Header, rec upload.Record) {
	if rec.State.Complete() {
		h.Set("Sluice-State", string(rec.State))
	}
}

// setExpires tells until when an unfinished upload is kept if nothing more comes (tus 1.0.0, "Upload-Expires").
func setExpires(w *response, rec upload.Record) {
	if !rec.Expires.IsZero() && (rec.State == upload.Receiving || rec.Partial && !rec.State.Gone()) {
		w.put("Upload-Expires", rec.Expires.Format(http.TimeFormat))
	}
}

// count adds a request that tusd does not see to those that it counts.
func (e *endpoint) count(method string) {
	if counter := e.tusd.Metrics.RequestsTotal[method]; counter != nil { // it has those of tus alone
		addTo(counter)
	}
}
