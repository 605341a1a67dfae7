package handlers

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// middleware is what every public request passes on its way in and out: identity, method, CORS, log, metrics.
func (h *Handlers) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.serving.Add(1)
		defer h.serving.Done()
		began := time.Now()
		req := h.newRequest(w, r)
		h.metrics.inFlight.Inc()
		defer func() {
			h.metrics.inFlight.Dec()
			h.done(req, time.Since(began), recover())
		}()
		h.serve(next, req, r)
		req.w.end()
	})
}

func (h *Handlers) serve(next http.Handler, req *request, r *http.Request) {
	header := req.w.Header()
	req.w.put(requestIDKey, req.id)
	header["X-Content-Type-Options"] = nosniff
	h.cors.apply(header, r)
	method, err := effectiveMethod(r)
	req.method = method
	if err != nil {
		header.Set("Tus-Resumable", tusVersion)
		req.fail(err)
		return
	}
	req.w.bodiless = method == http.MethodHead && r.Method != method
	if len(r.TransferEncoding) > 0 {
		// Chunked, perhaps with a Content-Length beside, which net/http drops in silence: somebody on the way may have gone
		// by that, so what follows on this connection is not to be trusted (RFC 9112, section 6.1).
		header.Set("Connection", "close")
	}
	if method != r.Method {
		inner := *r // net/http keeps looking at the original
		inner.Method = method
		r = &inner
	}
	next.ServeHTTP(req.w, r)
}

const (
	requestIDKey = "X-Request-Id"
	overrideKey  = "X-Http-Method-Override"
)

// What headers of most answers say. These slices are never changed, so the answers share them.
var (
	nosniff     = []string{"nosniff"}
	varyOrigin  = []string{"Origin"}
	thisVersion = []string{tusVersion}
	noStore     = []string{"no-store"}
)

func (h *Handlers) newRequest(w http.ResponseWriter, r *http.Request) *request {
	parts := new(struct { // in one piece of memory
		request  request
		response response
		body     tap
	})
	req := &parts.request
	req.id, req.method, req.route, req.outer, req.base = requestID(r), r.Method, "page", r, h.log
	req.body, req.w = &parts.body, &parts.response
	req.body.body, req.body.length, req.body.all = r.Body, r.ContentLength, &h.flowed
	req.w.ResponseWriter, req.w.req, req.w.errors, req.w.idle = w, req, h.metrics.errors, h.idle
	for key := range r.Trailer { // declared, without values yet
		req.trailers = append(req.trailers, key)
	}
	return req
}

var plainID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// requestID is the client's X-Request-ID if that can do no harm in a log, else a new one.
func requestID(r *http.Request) string {
	if ids := r.Header[requestIDKey]; len(ids) > 0 && plainID.MatchString(ids[0]) {
		return ids[0]
	}
	return newID()
}

// newID is 26 letters and digits, as [crypto/rand.Text] makes them, for less: it need only be another's by no accident.
func newID() string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var id [26]byte
	a, b := rand.Uint64(), rand.Uint64()
	for i := 0; i < len(id); i += 2 {
		id[i], id[i+1] = digits[a%32], digits[b%32]
		a, b = a/32, b/32
	}
	return string(id[:])
}

// done counts and logs a request that has ended, by a panic if cause is not nil.
func (h *Handlers) done(req *request, took time.Duration, cause any) {
	status := req.w.status
	if cause != nil {
		status = statusAborted
	}
	h.metrics.observe(req, status, took)
	if cause != nil && cause != http.ErrAbortHandler {
		req.logEnd(slog.LevelError, "panic", status, took, slog.Any("panic", cause))
		panic(http.ErrAbortHandler) // the connection goes; what failed is in the log
	}
	level := slog.LevelDebug
	if req.method == http.MethodPost || req.method == http.MethodPatch || req.method == http.MethodDelete {
		level = slog.LevelInfo
	}
	req.logEnd(level, "request", status, took)
	if cause != nil {
		h.metrics.aborts.Inc()
		panic(http.ErrAbortHandler)
	}
}

// logEnd writes the line of a request that has ended, if it is wanted: most are not, and making one costs. Where in the program
// it comes from would cost most, and is not in it.
func (r *request) logEnd(level slog.Level, message string, status int, took time.Duration, more ...slog.Attr) {
	ctx := r.outer.Context()
	if !r.base.Enabled(ctx, level) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 8), slog.String("request", r.id), slog.String("method", r.method), slog.String("route", r.route),
		slog.String("id", string(r.upload)), slog.Int("status", status), slog.Float64("seconds", took.Seconds()))
	if r.body.n > 0 {
		attrs = append(attrs, slog.Int64("received", r.body.n))
	}
	line := slog.NewRecord(time.Now(), level, message, 0)
	line.AddAttrs(append(attrs, more...)...)
	_ = r.base.Handler().Handle(ctx, line) // whom should it be told?
}

// statusAborted stands in logs and metrics for a request that got no answer because its client was gone.
const statusAborted = 499

// abort ends the request without an answer, by closing its connection. It is what a client understands as "try again".
func abort() { panic(http.ErrAbortHandler) }

// effectiveMethod resolves X-HTTP-Method-Override before anything is decided by the method (tus 1.0.0,
// "X-HTTP-Method-Override": it counts, the real one does not).
func effectiveMethod(r *http.Request) (string, error) {
	override := strings.Join(r.Header[overrideKey], ",") // two are as bad as a bad one
	if override == "" {
		return r.Method, nil
	}
	r.Header.Del(overrideKey) // tusd would look at it again
	switch method := strings.ToUpper(override); method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method, nil
	}
	return r.Method, badRequest("bad_method_override", "X-HTTP-Method-Override must name a method that this server knows.")
}

// cors lets browsers of other origins use the server (Fetch standard, "CORS protocol"). No credentials: there is nothing
// that a cookie could allow.
type cors struct {
	any     bool
	origins map[string]bool
}

func newCORS(origins []string) cors {
	c := cors{origins: make(map[string]bool)}
	for _, origin := range origins {
		c.any = c.any || origin == "*"
		c.origins[origin] = true
	}
	return c
}

const (
	corsMethods = "POST, GET, HEAD, PATCH, DELETE, OPTIONS"
	corsRequest = "Authorization, Content-Type, If-Range, Range, Tus-Resumable, Upload-Checksum, Upload-Concat, " +
		"Upload-Defer-Length, Upload-Length, Upload-Metadata, Upload-Offset, X-HTTP-Method-Override, X-Request-ID, X-Requested-With"
	corsExpose = "Accept-Ranges, Content-Disposition, Content-Range, ETag, Location, Repr-Digest, Retry-After, Sluice-State, Tus-Checksum-Algorithm, " +
		"Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, Upload-Concat, Upload-Defer-Length, Upload-Expires, Upload-Length, " +
		"Upload-Metadata, Upload-Offset, X-Request-ID"
	corsMaxAge = "86400"
)

func (c cors) apply(h http.Header, r *http.Request) {
	origin := r.Header.Get("Origin")
	if !c.any {
		h["Vary"] = varyOrigin
	}
	switch {
	case origin == "" || !c.any && !c.origins[origin]:
		return
	case c.any:
		h.Set("Access-Control-Allow-Origin", "*")
	default:
		h.Set("Access-Control-Allow-Origin", origin)
	}
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", corsMethods)
		h.Set("Access-Control-Allow-Headers", corsRequest)
		h.Set("Access-Control-Max-Age", corsMaxAge)
		return
	}
	h.Set("Access-Control-Expose-Headers", corsExpose)
}

// isTimeout tells a body that stood still too long from one that was cut.
func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
