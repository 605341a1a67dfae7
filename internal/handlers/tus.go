package handlers

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/upload"
)

const (
	// lockWithin is how long a request waits for another to let go of the upload, before 423.
	lockWithin = 10 * time.Second
	// tusdAfterlife is how long tusd keeps two goroutines after each request, for stores that depend on its context. Ours
	// does not.
	tusdAfterlife = time.Millisecond
)

// endpoint serves one profile.
type endpoint struct {
	h            *Handlers
	profile      upload.Profile
	store        Store
	finisher     Finisher
	base         string // what a Location begins with, before the id
	answerWithin time.Duration
	tusd         *handler.UnroutedHandler
	post         http.Handler
	patch        http.Handler
	del          http.Handler
}

func newEndpoint(h *Handlers, of Endpoint, o Options) (*endpoint, error) {
	e := &endpoint{h: h, profile: of.Profile, store: of.Store, finisher: o.Finisher, base: of.Profile.Path, answerWithin: cmp.Or(o.AnswerWithin, answerWithin)}
	if o.PublicURL != nil {
		e.base = strings.TrimSuffix(o.PublicURL.String(), "/") + of.Profile.Path
	}
	composer := handler.NewStoreComposer()
	composer.UseCore(tusStore{e})
	composer.UseTerminater(tusStore{e})
	composer.UseLengthDeferrer(tusStore{e})
	composer.UseLocker(tusLocker{e})
	tusd, err := handler.NewUnroutedHandler(handler.Config{
		StoreComposer:                    composer,
		BasePath:                         of.Profile.Path,
		MaxSize:                          of.Profile.MaxBytes,
		DisableDownload:                  true,
		DisableConcatenation:             true,
		Cors:                             &handler.CorsConfig{Disable: true}, // ours covers every answer
		Logger:                           tusdLogger(o.Logger),
		PreUploadCreateCallback:          e.beforeCreate,
		PreFinishResponseCallback:        e.beforeFinish,
		GracefulRequestCompletionTimeout: tusdAfterlife,
		AcquireLockTimeout:               lockWithin,
		NetworkTimeout:                   o.IdleTimeout,
	})
	if err != nil {
		return nil, err
	}
	e.tusd = tusd
	e.post = tusd.Middleware(http.HandlerFunc(tusd.PostFile))
	e.patch = tusd.Middleware(http.HandlerFunc(tusd.PatchFile))
	e.del = tusd.Middleware(http.HandlerFunc(tusd.DelFile))
	return e, nil
}

// ServeHTTP finds the handler of a request below the profile's path.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := requestFrom(r.Context())
	name, below, nested := strings.Cut(strings.TrimPrefix(r.URL.Path, strings.TrimSuffix(e.profile.Path, "/")+"/"), "/")
	collection := name == "" || r.URL.Path+"/" == e.profile.Path
	if collection {
		name, nested = "", false
	}
	req.route = e.route(collection, below, nested)
	id, err := upload.ParseID(name)
	req.upload = id
	switch {
	case r.Method == http.MethodOptions:
		e.options(req)
	case collection:
		e.serveCollection(req, r)
	case err != nil:
		req.fail(err)
	case nested:
		e.serveBelow(req, r, below)
	default:
		e.serveUpload(req, r)
	}
}

// route is the template of a request's path, for logs and metrics: what a client chooses is no label.
func (e *endpoint) route(collection bool, below string, nested bool) string {
	switch {
	case collection:
		return e.profile.Path
	case nested && below == "status":
		return e.profile.Path + "{id}/status"
	case nested:
		return e.profile.Path + "{id}/{name}"
	}
	return e.profile.Path + "{id}"
}

func (e *endpoint) serveCollection(req *request, r *http.Request) {
	if r.Method != http.MethodPost {
		req.notAllowed("POST, OPTIONS")
		return
	}
	e.serveTus(req, r, e.post)
}

func (e *endpoint) serveUpload(req *request, r *http.Request) {
	switch r.Method {
	case http.MethodHead:
		e.head(req, r)
	case http.MethodGet:
		e.content(req, r)
	case http.MethodPatch:
		e.serveTus(req, r, e.patch)
	case http.MethodDelete:
		e.serveTus(req, r, e.del)
	default:
		req.notAllowed("GET, HEAD, PATCH, DELETE, OPTIONS")
	}
}

func (e *endpoint) serveBelow(req *request, r *http.Request, name string) {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		req.notAllowed("GET, HEAD, OPTIONS")
	case name == "status":
		e.status(req, r)
	default:
		e.variant(req, r, name)
	}
}

func (r *request) notAllowed(methods string) {
	r.w.Header().Set("Allow", methods)
	r.fail(&clientError{http.StatusMethodNotAllowed, "method_not_allowed", "This address takes " + methods + "."})
}

// options tells what the endpoint can do (tus 1.0.0, "OPTIONS"); the answer to a browser's preflight is in the header
// already.
func (e *endpoint) options(req *request) {
	e.count(http.MethodOptions)
	h := req.w.Header()
	h.Set("Tus-Resumable", tusVersion)
	h.Set("Tus-Version", tusVersion)
	h.Set("Tus-Extension", tusExtensions)
	if e.profile.MaxBytes > 0 {
		h.Set("Tus-Max-Size", strconv.FormatInt(e.profile.MaxBytes, 10))
	}
	req.w.WriteHeader(http.StatusNoContent)
}

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
	req.body = &tap{body: r.Body, length: r.ContentLength}
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
	return r.body != nil && r.interrupted() == nil && isTimeout(r.body.err)
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
	if status >= 400 && req.body.n > 0 && req.body.unread() {
		h.Set("Connection", "close") // do not read the rest of a refused body to find the next request
	}
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

// tusStore is the endpoint's store as tusd sees it. It keeps the request's view of the record up to date, and it is where
// errors become answers.
type tusStore struct{ e *endpoint }

func (s tusStore) NewUpload(ctx context.Context, info handler.FileInfo) (handler.Upload, error) {
	req := requestFrom(ctx)
	rec := upload.Record{ID: upload.ID(info.ID), Length: info.Size, Metadata: req.metadata}
	if info.SizeIsDeferred {
		rec.Length = upload.Deferred
	}
	if err := s.e.store.Create(rec); err != nil {
		return nil, req.tusError(err)
	}
	req.upload, req.created = rec.ID, true
	return s.GetUpload(ctx, info.ID)
}

func (s tusStore) GetUpload(ctx context.Context, id string) (handler.Upload, error) {
	req := requestFrom(ctx)
	rec, err := s.e.store.Lookup(upload.ID(id))
	req.record = rec
	s.e.resume(rec)
	switch {
	case req.method == http.MethodDelete && (err == nil || errors.Is(err, upload.ErrUnreadable)):
		return &tusUpload{s.e, upload.ID(id)}, nil
	case err != nil:
		return nil, req.tusError(err)
	case rec.State == upload.Rejected:
		return nil, req.tusError(goneFor(rec))
	}
	return &tusUpload{s.e, rec.ID}, nil
}

func (s tusStore) AsTerminatableUpload(u handler.Upload) handler.TerminatableUpload {
	return u.(*tusUpload)
}

func (s tusStore) AsLengthDeclarableUpload(u handler.Upload) handler.LengthDeclarableUpload {
	return u.(*tusUpload)
}

// goneFor is the answer for an upload that was rejected: gone, with the reason.
func goneFor(rec upload.Record) error {
	if rec.Reason == nil {
		return upload.ErrGone
	}
	return &clientError{http.StatusGone, rec.Reason.Code, rec.Reason.Message}
}

// tusUpload is one upload as tusd sees it, within one request.
type tusUpload struct {
	e  *endpoint
	id upload.ID
}

func (u *tusUpload) GetInfo(ctx context.Context) (handler.FileInfo, error) {
	rec := requestFrom(ctx).record
	return handler.FileInfo{
		ID: string(u.id), Size: max(rec.Length, 0), SizeIsDeferred: rec.Length == upload.Deferred, Offset: rec.Offset,
	}, nil
}

func (u *tusUpload) WriteChunk(ctx context.Context, offset int64, src io.Reader) (int64, error) {
	req := requestFrom(ctx)
	n, err := u.e.store.WriteChunk(u.id, offset, &guarded{src: src, req: req})
	rec, _ := u.e.store.Lookup(u.id) // if that fails, the header says less
	req.record = rec
	if err == nil || rec.State == upload.Receiving && rec.Offset == rec.Length && errors.Is(err, upload.ErrInterrupted) {
		return n, nil // an interrupt that came after the last byte interrupted nothing
	}
	return n, req.tusError(err)
}

func (u *tusUpload) DeclareLength(ctx context.Context, length int64) error {
	req := requestFrom(ctx)
	if err := u.e.store.DeclareLength(u.id, length); err != nil {
		return req.tusError(err)
	}
	req.record.Length = length
	return nil
}

func (u *tusUpload) FinishUpload(ctx context.Context) error {
	req := requestFrom(ctx)
	rec, err := u.e.store.Complete(u.id)
	req.record = rec
	if err != nil {
		return req.tusError(err)
	}
	return nil
}

func (u *tusUpload) Terminate(ctx context.Context) error {
	req := requestFrom(ctx)
	if err := u.e.store.Terminate(u.id); err != nil {
		return req.tusError(err)
	}
	req.record = upload.Record{}
	return nil
}

// GetReader is part of tusd's interface and used only by its own GET, which is off.
func (u *tusUpload) GetReader(context.Context) (io.ReadCloser, error) {
	return nil, upload.ErrNotReady
}

// tusLocker is the store's lock as tusd sees it.
type tusLocker struct{ e *endpoint }

func (l tusLocker) NewLock(id string) (handler.Lock, error) {
	return &tusLock{e: l.e, id: upload.ID(id)}, nil
}

type tusLock struct {
	e      *endpoint
	id     upload.ID
	unlock func()
}

// Lock takes the upload's lock. tusd's own way to be interrupted is left unused: it is lost in a window, see
// [request.interrupt].
func (l *tusLock) Lock(ctx context.Context, _ func()) error {
	req := requestFrom(ctx)
	unlock, err := l.e.store.Lock(ctx, l.id, func() { req.interrupt(upload.ErrInterrupted) })
	if err != nil {
		return req.tusError(err)
	}
	l.unlock = unlock
	return nil
}

func (l *tusLock) Unlock() error {
	l.unlock()
	return nil
}
