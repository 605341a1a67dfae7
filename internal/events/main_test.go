package events_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/internal/durable"
	"sluice/internal/events"
	"sluice/internal/upload"
)

var quiet = slog.New(slog.DiscardHandler)

func TestMain(m *testing.M) {
	if dir, child := os.LookupEnv(killEnv); child {
		recordUntilKilled(dir, os.Getenv(killURLEnv), os.Getenv(killRoundEnv))
	}
	goleak.VerifyTestMain(m)
}

// got is one request to an endpoint.
type got struct {
	events.Message
	header http.Header
	body   []byte
	status int
}

// endpoint is an HTTP server that notes what it is sent, and answers what answer says, 204 if that is nil.
type endpoint struct {
	*httptest.Server
	mu     sync.Mutex
	all    []got
	count  int            // of those that were answered 2xx
	times  map[string]int // by event, how often it was taken
	answer func(n int, m events.Message) int
	change chan struct{}
}

func newEndpoint(t *testing.T, answer func(n int, m events.Message) int) *endpoint {
	e := &endpoint{answer: answer, change: make(chan struct{}, 1)}
	e.Server = httptest.NewServer(e)
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.WriteHeader(e.take(r.Header, body))
}

func (e *endpoint) take(header http.Header, body []byte) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	g := got{header: header, body: body, status: http.StatusNoContent}
	json.Unmarshal(body, &g.Message)
	if e.answer != nil {
		g.status = e.answer(len(e.all), g.Message)
	}
	e.all = append(e.all, g)
	if g.status/100 == 2 {
		e.count++
		if e.times == nil {
			e.times = make(map[string]int)
		}
		e.times[g.ID]++
	}
	select {
	case e.change <- struct{}{}:
	default:
	}
	return g.status
}

// RoundTrip has an endpoint be asked without a socket.
func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	status := e.take(r.Header, body)
	header := http.Header{}
	if status == http.StatusTooManyRequests {
		header.Set("Retry-After", "600")
	}
	return &http.Response{StatusCode: status, Header: header, Body: http.NoBody, Request: r}, nil
}

func (e *endpoint) requests() []got {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.all)
}

// taken are the requests that were answered 2xx.
func (e *endpoint) taken() []got {
	return slices.DeleteFunc(e.requests(), func(g got) bool { return g.status/100 != 2 })
}

// await waits until ok, as long as there are requests.
func (e *endpoint) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for !ok() {
		select {
		case <-e.change:
		case <-time.After(10 * time.Second):
			t.Fatalf("no %s; taken: %s", what, brief(e.taken()))
		}
	}
}

func (e *endpoint) awaitTaken(t *testing.T, n int) []got {
	t.Helper()
	e.await(t, fmt.Sprintf("%d deliveries", n), func() bool { return e.counted() >= n })
	return e.taken()
}

// awaitEvents waits for n different events, and returns them without what a crash had sent twice.
func (e *endpoint) awaitEvents(t *testing.T, n int) []got {
	t.Helper()
	e.await(t, fmt.Sprintf("%d events", n), func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return len(e.times) >= n
	})
	seen := make(map[string]bool)
	return slices.DeleteFunc(e.taken(), func(g got) bool {
		twice := seen[g.ID]
		seen[g.ID] = true
		return twice
	})
}

func (e *endpoint) counted() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.count
}

// brief is who was told of what.
func brief(all []got) string {
	const most = 100
	if len(all) > most {
		return fmt.Sprintf("%d, and at last %s", len(all)-most, brief(all[len(all)-most:]))
	}
	texts := make([]string, len(all))
	for i, g := range all {
		texts[i] = string(g.Data.ID) + " " + strings.TrimPrefix(string(g.Type), "upload.")
	}
	return strings.Join(texts, ", ")
}

// quick is a backoff for tests whose time is the real one.
var quick = events.Backoff{First: time.Millisecond, Most: 20 * time.Millisecond}

func (e *endpoint) configured() upload.Endpoint {
	return upload.Endpoint{Name: "back-end", URL: e.URL, AllowPrivate: true}
}

func options(fsys durable.FS, endpoints ...upload.Endpoint) events.Options {
	return events.Options{FS: fsys, Durable: true, Endpoints: endpoints, Backoff: quick, Logger: quiet}
}

func open(t *testing.T, o events.Options) *events.Outbox {
	t.Helper()
	b, err := events.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func record(id upload.ID, state upload.State) upload.Record {
	return upload.Record{ID: id, Profile: "video", Length: 5, State: state, Created: noon, Changed: noon.Add(time.Second)}
}

func tell(t *testing.T, b *events.Outbox, id upload.ID, types ...upload.EventType) {
	t.Helper()
	for _, typ := range types {
		if err := b.Record(t.Context(), upload.NewEvent(typ, record(id, upload.Receiving))); err != nil {
			t.Fatal(err)
		}
	}
}

// words is a log that a test can look into.
type words struct {
	mu     sync.Mutex
	b      bytes.Buffer
	change chan struct{} // made by logger
}

// await waits until text was said.
func (w *words) await(t *testing.T, text string) {
	t.Helper()
	for !strings.Contains(w.String(), text) {
		select {
		case <-w.change:
		case <-time.After(10 * time.Second):
			t.Fatalf("nobody said %q: %s", text, w.String())
		}
	}
}

func (w *words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case w.change <- struct{}{}:
	default:
	}
	return w.b.Write(p)
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

func (w *words) logger() *slog.Logger {
	w.change = make(chan struct{}, 1)
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func newDirAt(t *testing.T, dir string) *durable.Root {
	root, err := durable.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func newDir(t *testing.T) *durable.Root { return newDirAt(t, t.TempDir()) }
