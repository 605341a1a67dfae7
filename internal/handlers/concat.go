package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sluice/internal/upload"
)

// Concatenation (tus 1.0.0, "Concatenation"). A partial upload goes tusd's way like any other. A final one is ours: a record
// with the list of its parts, assembled by the finisher as soon as they are complete.

const (
	concatPartial = "partial"
	concatFinal   = "final"
)

// joinWithin is how long the client that asks for a final waits for it: what is there already is joined in that time, or later.
const joinWithin = time.Second

var (
	errPartial = &clientError{http.StatusForbidden, "partial_upload", "This upload is a part of another: only the whole can be read."}
	// errParts says the same of an upload that is not there and of one that the client may not name.
	errParts = badRequest("bad_concat", "Upload-Concat must name uploads of this address that are partial, and neither expired nor joined already, by their URLs, separated by spaces.")
)

// isFinal tells a POST that joins uploads.
func isFinal(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Upload-Concat"), concatFinal)
}

// takePartial takes Upload-Concat out of the header of a POST that is not [isFinal], and returns it.
func takePartial(r *http.Request) (string, error) {
	if _, given := r.Header["Upload-Concat"]; !given {
		return "", nil
	}
	concat, err := one(r.Header, "Upload-Concat")
	if err == nil && concat != concatPartial {
		err = badRequest("bad_concat", `Upload-Concat must be "partial", or "final;" with the URLs of partial uploads.`)
	}
	r.Header.Del("Upload-Concat")
	return concat, err
}

// serveFinal answers a POST that joins uploads.
func (e *endpoint) serveFinal(req *request, r *http.Request) {
	e.count(http.MethodPost)
	if err := e.h.enter(req); err != nil {
		req.fail(err)
		return
	}
	defer e.h.leave(req)
	rec, err := e.createFinal(req, r)
	if err != nil {
		req.fail(err)
		return
	}
	req.upload = rec.ID
	rec = e.join(req, r.Context(), rec)
	h := req.w.Header()
	h.Set("Location", e.base+string(rec.ID))
	setState(h, rec)
	req.w.WriteHeader(http.StatusCreated)
}

// createFinal checks the request and makes the upload, or finds the one that the same request has made before.
func (e *endpoint) createFinal(req *request, r *http.Request) (upload.Record, error) {
	none := upload.Record{}
	concat, err := one(r.Header, "Upload-Concat")
	if err != nil {
		return none, err
	}
	_, length := r.Header["Upload-Length"]
	_, deferred := r.Header["Upload-Defer-Length"]
	switch {
	case length || deferred:
		return none, badRequest("bad_length", "A final upload is as long as its parts: Upload-Length and Upload-Defer-Length must not be given.")
	case r.ContentLength != 0:
		return none, upload.ErrFinal
	}
	metadata, err := checkMetadata(r.Header)
	if err != nil {
		return none, err
	}
	parts, err := e.parseConcat(concat)
	if err != nil {
		return none, err
	}
	rec := upload.Record{ID: upload.NewID(), Owner: req.owner, Metadata: metadata, Final: true, Parts: parts, Concat: concat}
	if made, ok := e.madeBefore(rec); ok {
		return made, nil
	}
	if rec.Length, err = e.checkParts(req.owner, parts); err != nil {
		return none, err
	}
	if err := e.store.Create(rec); err != nil {
		return none, err
	}
	addTo(e.tusd.Metrics.UploadsCreated)
	return e.store.Lookup(rec.ID)
}

// parseConcat returns the ids that "final;/files/a /files/b" names. A URL may be relative, or absolute: then its path counts,
// since a server does not know all its names.
func (e *endpoint) parseConcat(concat string) ([]upload.ID, error) {
	list, found := strings.CutPrefix(concat, concatFinal+";")
	var parts []upload.ID
	for _, text := range strings.Fields(list) {
		u, err := url.Parse(text)
		if err != nil {
			return nil, errParts
		}
		id, err := e.partOf((&url.URL{Path: e.profile.Path}).ResolveReference(u).Path)
		if err != nil {
			return nil, errParts
		}
		parts = append(parts, id)
	}
	if !found || len(parts) == 0 {
		return nil, errParts
	}
	return parts, nil
}

// partOf returns the id in the path of an upload of this endpoint, with or without what the public URL puts before it.
func (e *endpoint) partOf(path string) (upload.ID, error) {
	name, ours := strings.CutPrefix(path, e.basePath)
	if !ours {
		name, ours = strings.CutPrefix(path, e.profile.Path)
	}
	if !ours {
		return "", upload.ErrNotFound
	}
	return upload.ParseID(strings.TrimSuffix(name, "/"))
}

// checkParts returns how long the parts are together: Deferred while one does not say.
func (e *endpoint) checkParts(owner upload.Owner, parts []upload.ID) (length int64, err error) {
	for _, id := range parts {
		part, err := e.store.Lookup(id)
		switch {
		case errors.Is(err, upload.ErrNotFound), err == nil && (!part.Partial || part.State.Gone() || part.JoinedIn != "" || part.Owner != "" && part.Owner != owner):
			return 0, errParts
		case err != nil:
			return 0, err
		}
		length = addLength(length, part.Length)
	}
	return length, e.checkLength(length)
}

// addLength adds lengths of which any may be Deferred; then so is the sum.
func addLength(sum, n int64) int64 {
	if sum == upload.Deferred || n == upload.Deferred {
		return upload.Deferred
	}
	return sum + n
}

// lengthOfParts is the length of a final that waits, or Deferred while that cannot be told.
func (e *endpoint) lengthOfParts(rec upload.Record) (length int64) {
	if rec.Length != upload.Deferred {
		return rec.Length
	}
	for _, id := range rec.Parts {
		part, err := e.store.Lookup(id)
		if err != nil || part.State.Gone() {
			return upload.Deferred
		}
		length = addLength(length, part.Length)
	}
	return length
}

// madeBefore finds the final that a request has made whose answer was lost: of the same parts, with the same metadata. By the
// time that the client asks again, its parts may have gone into it.
func (e *endpoint) madeBefore(rec upload.Record) (upload.Record, bool) {
	first, err := e.store.Lookup(rec.Parts[0])
	if err != nil {
		return rec, false
	}
	for _, id := range append(e.store.Finals(first.ID), first.JoinedIn) {
		if id == "" {
			continue
		}
		made, err := e.store.Lookup(id)
		if err == nil && !made.State.Gone() && made.Owner == rec.Owner && slices.Equal(made.Parts, rec.Parts) && made.Metadata == rec.Metadata {
			return made, true
		}
	}
	return rec, false
}

// join has a final assembled and settled, and waits for that, but not for long.
func (e *endpoint) join(req *request, ctx context.Context, rec upload.Record) upload.Record {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), joinWithin)
	defer cancel()
	req.wakeBy(cancel)
	if joined, err := e.finisher.Join(ctx, rec); err == nil {
		return joined
	}
	return rec // what went wrong is logged, and its verdict is in the status
}

// complete moves an upload whose bytes are all there to received. If it is a part, the finals that wait for it go on.
func (e *endpoint) complete(id upload.ID) (rec upload.Record, err error) {
	if rec, err = e.store.Complete(id); err == nil && rec.Partial {
		e.resumeFinals(e.store.Finals(id))
	}
	return rec, err
}

// resumeFinals has finals looked at whose parts have changed.
func (e *endpoint) resumeFinals(finals []upload.ID) {
	for _, id := range finals {
		if rec, err := e.store.Lookup(id); err == nil {
			e.finisher.Resume(rec)
		}
	}
}

// concatOf is Upload-Concat as the client sent it, or, of an upload that tusd made, as it may have been.
func (e *endpoint) concatOf(rec upload.Record) string {
	switch {
	case rec.Concat != "":
		return rec.Concat
	case rec.Partial:
		return concatPartial
	case !rec.Final:
		return ""
	}
	urls := make([]string, len(rec.Parts))
	for i, id := range rec.Parts {
		urls[i] = e.base + string(id)
	}
	return concatFinal + ";" + strings.Join(urls, " ")
}

// concatKind says which kind of upload it is: "" if it is one by itself.
func concatKind(rec upload.Record) string {
	switch {
	case rec.Partial:
		return concatPartial
	case rec.Final:
		return concatFinal
	}
	return ""
}
