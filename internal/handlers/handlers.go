// Package handlers is the HTTP edge: [New] makes the two handlers that a server listens with, one for everybody and one for
// its operator.
//
// A request goes one way: middleware.go (identity, log, CORS, method), tus.go and its neighbours (the protocol's text), then
// tusd's own handler for creation, PATCH and DELETE, or our own answers to everything else, all on one store and one lock.
// hooks.go holds the contrast between the two lanes. errors.go is the only door through which an error reaches a client.
//
// It does not know files, nor what processing does; it declares the small interfaces that it needs of both.
package handlers

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sluice/internal/upload"
)

// Store is what the edge needs of a profile's store; store.Store has the contract.
type Store interface {
	Create(rec upload.Record) error
	Announce(rec upload.Record) error
	Confirm(id upload.ID) error
	Lookup(id upload.ID) (upload.Record, error)
	Lock(ctx context.Context, id upload.ID, interrupt func()) (unlock func(), err error)
	TryLock(id upload.ID) (unlock func(), free bool)
	WriteChunk(id upload.ID, off int64, src io.Reader, check upload.Check) (int64, error)
	DeclareLength(id upload.ID, length int64) error
	Complete(id upload.ID) (upload.Record, error)
	Terminate(id upload.ID) error
	Open(id upload.ID) (io.ReadSeekCloser, upload.Record, error)
	OpenVariant(id upload.ID, name string) (io.ReadSeekCloser, upload.Record, error)
	Finals(part upload.ID) []upload.ID
	Check() error
}

// Finisher takes a received upload, or a final whose parts are complete, to its verdict. Whole, Stream and Join return the record
// as it then is; when ctx ends before, as it was. Resume only sees to it that the work is under way. Passed counts an upload that was
// ready without any.
type Finisher interface {
	Passed()
	Resume(rec upload.Record)
	Whole(ctx context.Context, rec upload.Record) (upload.Record, error)
	Stream(ctx context.Context, rec upload.Record) (upload.Record, error)
	Join(ctx context.Context, rec upload.Record) (upload.Record, error)
	Joined() uint64 // how many finals were put together
}

// Sweep removes what is over, or only tells of it.
type Sweep func(ctx context.Context, dry bool, tell func(upload.Swept)) error

// Replay has events delivered, and uploads processed, again. It is [upload.ErrNoEndpoint] if there is none of that name.
type Replay func(ctx context.Context, which upload.Replay) (upload.Replayed, error)

// List tells of every upload that is wanted, until do fails.
type List func(ctx context.Context, which upload.Listing, do func(upload.Listed) error) error

// Endpoint joins a profile with its store.
type Endpoint struct {
	Profile upload.Profile
	Store   Store
}

// Options are the parts and limits of the edge.
type Options struct {
	Endpoints   []Endpoint
	Finisher    Finisher
	Sweep       Sweep
	Replay      Replay
	List        List
	Listen      Listen
	ShowEvents  Audience      // who may know all about every upload; others name theirs
	ShowLevel   bool          // each second, to who listens
	Recording   func() error  // whether events can be recorded: nil, or why not
	Data        string        // the data directory, absolute: what [Sweep] is asked for
	Page        http.Handler  // serves / and its files
	PublicURL   *url.URL      // under which clients reach the public handler; nil: locations are paths
	CORSOrigins []string      // "*" is any
	OwnerHeader string        // in which a proxy says who asks; "": everybody is the one owner
	MaxUploads  int           // requests with a body at once
	IdleTimeout time.Duration // after which a connection that stands still is given up
	// AnswerWithin is how long the client of a whole file waits for its verdict; 0 is 15 s.
	AnswerWithin time.Duration
	Registry     *prometheus.Registry // served at /metrics; New adds its own collectors
	Logger       *slog.Logger
}

// Handlers are the two sides of the server. Both may be used concurrently.
type Handlers struct {
	Public  http.Handler
	Private http.Handler

	endpoints  []*endpoint
	sweep      Sweep
	replay     Replay
	list       List
	listen     Listen
	showEvents Audience
	level      *level // nil: it is not shown
	recording  func() error

	ownerHeader string        // in canonical form
	listeners   atomic.Int64  // at /events
	flowed      atomic.Int64  // bytes received in bodies
	stopping    chan struct{} // closed by Drain
	data        string
	metrics     *metrics
	log         *slog.Logger
	idle        time.Duration
	cors        cors
	bodies      chan struct{} // a token for each request with a body

	serving  sync.WaitGroup // every public request
	mu       sync.Mutex     // guards draining and active
	draining bool
	active   map[*request]struct{} // requests that receive bytes
}

// New joins the parts.
func New(o Options) (*Handlers, error) {
	h := &Handlers{
		log: o.Logger, sweep: o.Sweep, replay: o.Replay, list: o.List, listen: o.Listen, showEvents: o.ShowEvents, recording: o.Recording, stopping: make(chan struct{}),
		ownerHeader: http.CanonicalHeaderKey(o.OwnerHeader),
		data:        o.Data, idle: o.IdleTimeout, cors: newCORS(o.CORSOrigins), bodies: make(chan struct{}, o.MaxUploads),
		active: make(map[*request]struct{}),
	}
	if o.ShowLevel {
		h.level = &level{bytes: h.flowed.Load, active: h.receiving}
	}
	for _, e := range o.Endpoints {
		endpoint, err := newEndpoint(h, e, o)
		if err != nil {
			return nil, fmt.Errorf("handlers: profile %s: %w", e.Profile.Name, err)
		}
		h.endpoints = append(h.endpoints, endpoint)
	}
	h.metrics = newMetrics(h.endpoints, o.Finisher.Joined)
	if err := h.metrics.register(o.Registry); err != nil {
		return nil, fmt.Errorf("handlers: %w", err)
	}
	h.Public = h.public(o.Page)
	h.Private = h.private(o.Registry)
	return h, nil
}

// public is the URL map that everybody sees. Below a profile's path:
//
//	POST                 create an upload                      tusd   store.Create
//	POST                 join uploads                          concat.go
//	OPTIONS              what the endpoint can do              options.go
//	PATCH   {id}         add bytes                             tusd   store.WriteChunk, hooks.beforeFinish
//	DELETE  {id}         terminate                             tusd   store.Terminate
//	HEAD    {id}         the offset, or the content's header   head.go
//	GET     {id}         the content, once ready               content.go
//	GET     {id}/status  the state at any time                 status.go
//	GET     {id}/{name}  a variant                             content.go
//
// GET /events tells what happens (events.go).
func (h *Handlers) public(page http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", page)
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) { h.events(w, requestOf(w).inContext(r)) })
	for _, e := range h.endpoints {
		mux.Handle(e.profile.Path, e)
		mux.Handle(e.profile.Path[:len(e.profile.Path)-1], e) // tusd takes the path without its slash too
	}
	return h.middleware(h.shortcut(mux))
}

// shortcut takes collections and uploads to their endpoint, as mux would after a longer look: such a path needs no cleaning, and no
// endpoint's lies inside another's. A path that was escaped, perhaps its slashes, is left to mux.
func (h *Handlers) shortcut(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, e := range h.endpoints {
			name, below := strings.CutPrefix(r.URL.Path, e.profile.Path)
			if _, err := upload.ParseID(name); below && r.URL.RawPath == "" && (name == "" || err == nil) {
				e.ServeHTTP(w, r)
				return
			}
		}
		mux.ServeHTTP(w, r)
	})
}

// private is the URL map of the operator, on a listener that is not for the world.
func (h *Handlers) private(registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry}))
	mux.HandleFunc("GET /healthz", h.healthz)
	mux.HandleFunc("GET /readyz", h.readyz)
	mux.HandleFunc("GET /events", h.eventsForOperator)
	mux.HandleFunc("GET /uploads", h.uploads)
	own := http.NewCrossOriginProtection() // no web page may ask for these
	mux.Handle("POST /gc", own.Handler(http.HandlerFunc(h.gc)))
	mux.Handle("POST /replay", own.Handler(http.HandlerFunc(h.replayed)))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return underOwnName(mux)
}

// Drain makes every request that receives bytes stop, keeping what has arrived, and refuses new ones with 503. HEAD, GET
// and status are answered as before, so nobody takes an upload for lost while the server goes down. Who listens to events is let
// go.
func (h *Handlers) Drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.draining {
		close(h.stopping)
	}
	h.draining = true
	for r := range h.active {
		r.interrupt(upload.ErrShutdown)
	}
}

// Wait returns when no public request is served any more. Its caller has seen to it that none begins.
func (h *Handlers) Wait() { h.serving.Wait() }

// enter counts r among those that receive bytes, unless the server drains or has too many.
func (h *Handlers) enter(r *request) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return upload.ErrShutdown
	}
	select {
	case h.bodies <- struct{}{}:
		h.active[r] = struct{}{}
		return nil
	default:
		return errBusy
	}
}

func (h *Handlers) leave(r *request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.active, r)
	<-h.bodies
}

// receiving is how many requests carry the bytes of uploads now.
func (h *Handlers) receiving() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.active)
}
