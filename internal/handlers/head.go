package handlers

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"sluice/internal/upload"
)

// head answers HEAD: with Tus-Resumable where the upload stands (tus 1.0.0, "HEAD"), without it the header of the content
// if there is one, so that plain HTTP tools work.
//
// Clients take every answer but 2xx and 423 as "gone" and begin again from byte 0. So it is 404 or 410 only when that is
// true, and what is the server's own trouble ends the connection, which they understand as "try again".
func (e *endpoint) head(req *request, r *http.Request) {
	e.count(http.MethodHead)
	h := req.w.Header()
	if len(r.Header[versionKey]) == 0 {
		if rec, err := e.store.Lookup(req.upload); err == nil && rec.State == upload.Ready {
			e.content(req, r)
			return
		}
		req.fail(checkVersion(r, h))
		return
	}
	h["Cache-Control"] = noStore
	rec, err := e.standing(req, r)
	if err == nil && rec.State.Gone() {
		err = goneFor(rec)
	}
	e.resume(rec)
	setState(h, rec)
	if err != nil {
		req.failHead(err)
		return
	}
	e.setStanding(req.w, rec)
	req.w.WriteHeader(http.StatusOK)
}

// resume has an upload processed that is received and that nobody processes, or a final put together: a crash, or the end of
// all tries, left it so, and somebody asks for it.
func (e *endpoint) resume(rec upload.Record) {
	if rec.State == upload.Received && !rec.Partial || rec.State == upload.Receiving && rec.Final {
		e.finisher.Resume(rec)
	}
}

// standing returns the record of the request's upload with an offset that will not move by itself: a request that still
// adds bytes is interrupted first. A complete upload, or a final, needs no lock; nobody writes to it.
func (e *endpoint) standing(req *request, r *http.Request) (upload.Record, error) {
	unlock, free := e.store.TryLock(req.upload)
	if !free {
		rec, err := e.store.Lookup(req.upload)
		if err != nil || rec.State.Complete() || rec.Final {
			return rec, err
		}
		ctx, cancel := context.WithTimeout(r.Context(), lockWithin)
		defer cancel()
		if unlock, err = e.store.Lock(ctx, req.upload, func() {}); err != nil { // held for an instant: nothing to interrupt
			return upload.Record{}, err
		}
	}
	defer unlock()
	rec, err := e.store.Lookup(req.upload)
	if err == nil && !rec.State.Complete() && !rec.Final && rec.Full() {
		return e.complete(req.upload) // the step after the last byte failed
	}
	return rec, err
}

func (e *endpoint) setStanding(w *response, rec upload.Record) {
	switch waits := rec.Final && rec.State == upload.Receiving; {
	case waits: // no offset until it is assembled
		rec.Length = e.lengthOfParts(rec)
	case rec.Length == upload.Deferred:
		w.put("Upload-Defer-Length", "1")
		fallthrough
	default:
		w.put("Upload-Offset", strconv.FormatInt(rec.Offset, 10))
	}
	if rec.Length != upload.Deferred {
		w.put("Upload-Length", strconv.FormatInt(rec.Length, 10))
	}
	if concat := e.concatOf(rec); concat != "" {
		w.put("Upload-Concat", concat)
	}
	setExpires(w, rec)
	if rec.Metadata != "" {
		w.put("Upload-Metadata", rec.Metadata)
	}
}

// failHead is fail for HEAD: no 5xx but for a record that can never be read again.
func (r *request) failHead(err error) {
	if p := r.problemOf(err); p.Status < 500 || errors.Is(err, upload.ErrUnreadable) {
		r.w.errors.count(p)
		r.answer(p)
		return
	}
	abort()
}
