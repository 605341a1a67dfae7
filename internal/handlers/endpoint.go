package handlers

import (
	"cmp"
	"net/http"
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
	// does not. With less, the timer of each request would wake somebody for itself.
	tusdAfterlife = time.Millisecond
)

// endpoint serves one profile.
type endpoint struct {
	h            *Handlers
	profile      upload.Profile
	store        Store
	finisher     Finisher
	routes       routes
	base         string // what a Location begins with, before the id
	basePath     string // the path in it
	answerWithin time.Duration
	tusd         *handler.UnroutedHandler
	post         http.Handler
	patch        http.Handler
	del          http.Handler
}

func newEndpoint(h *Handlers, of Endpoint, o Options) (*endpoint, error) {
	e := &endpoint{h: h, profile: of.Profile, store: of.Store, finisher: o.Finisher, routes: newRoutes(of.Profile.Path), base: of.Profile.Path, basePath: of.Profile.Path, answerWithin: cmp.Or(o.AnswerWithin, answerWithin)}
	if o.PublicURL != nil {
		e.base = strings.TrimSuffix(o.PublicURL.String(), "/") + of.Profile.Path
		e.basePath = strings.TrimSuffix(o.PublicURL.Path, "/") + of.Profile.Path
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
		GracefulRequestCompletionTimeout: tusdAfterlife,
		AcquireLockTimeout:               lockWithin,
		NetworkTimeout:                   o.IdleTimeout,
	})
	if err != nil {
		return nil, err
	}
	e.tusd = tusd
	e.post, e.patch, e.del = e.begin(tusd.PostFile), e.begin(tusd.PatchFile), e.begin(tusd.DelFile)
	return e, nil
}

// begin stands for tusd's own middleware, whose checks and headers have all been done at the door: it counts, and gives the body as
// long as a connection may stand still. The answer too, should the client want to be told to go on.
func (e *endpoint) begin(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.count(r.Method)
		res := requestOf(w).w
		_ = http.NewResponseController(res.ResponseWriter).SetReadDeadline(time.Now().Add(e.h.idle)) // fails where there are no deadlines
		_ = res.extend()
		next(w, r)
	})
}

// ServeHTTP finds the handler of a request below the profile's path.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := requestOf(w)
	rest := strings.TrimPrefix(r.URL.Path+"/", e.profile.Path) // the path may lack its last slash
	collection := rest == "" || rest == "/"
	name, below, nested := strings.Cut(strings.TrimSuffix(rest, "/"), "/")
	req.route = e.routes.of(collection, below, nested)
	id, err := upload.ParseID(name)
	req.upload = id
	req.w.Header()[versionKey] = thisVersion
	if versioned(r) && !nested {
		if err := checkVersion(r, req.w.Header()); err != nil {
			e.count(r.Method)
			req.fail(err)
			return
		}
	}
	if err == nil || collection {
		plain := (r.Method == http.MethodGet || r.Method == http.MethodHead) && len(r.Header[versionKey]) == 0
		if err := e.admit(req, r, collection, plain && below != "status"); err != nil {
			e.count(r.Method)
			req.refuse(err)
			return
		}
	}
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

// versioned tells requests of the protocol, which must name its version before anything else is looked at. HEAD without one
// may be of plain HTTP.
func versioned(r *http.Request) bool {
	switch r.Method {
	case http.MethodPost, http.MethodPatch, http.MethodDelete:
		return true
	case http.MethodHead:
		return len(r.Header[versionKey]) > 0
	}
	return false
}

// routes are the templates of requests' paths, for logs and metrics: what a client chooses is no label.
type routes struct{ collection, upload, status, below string }

func newRoutes(path string) routes {
	return routes{path, path + "{id}", path + "{id}/status", path + "{id}/{name}"}
}

func (r routes) of(collection bool, below string, nested bool) string {
	switch {
	case collection:
		return r.collection
	case nested && below == "status":
		return r.status
	case nested:
		return r.below
	}
	return r.upload
}

func (e *endpoint) serveCollection(req *request, r *http.Request) {
	if r.Method != http.MethodPost {
		req.notAllowed("POST, OPTIONS")
		return
	}
	if isFinal(r) {
		e.serveFinal(req, r)
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
	h.Set("Tus-Version", tusVersion)
	h.Set("Tus-Extension", tusExtensions)
	h.Set("Tus-Checksum-Algorithm", algorithmNames())
	if e.profile.MaxBytes > 0 {
		h.Set("Tus-Max-Size", strconv.FormatInt(e.profile.MaxBytes, 10))
	}
	req.w.WriteHeader(http.StatusNoContent)
}
