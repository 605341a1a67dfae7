package handlers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/finish"
	"sluice/internal/store"
	"sluice/internal/upload"
)

// testServer is the real edge over real stores and the real pipeline, on a real socket.
type testServer struct {
	*Handlers
	t        *testing.T
	url      string
	registry *prometheus.Registry
	stores   map[string]*store.File
}

// start serves the built-in profiles. alter changes the options before the parts are joined.
func start(t *testing.T, alter func(*Options)) *testServer {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	s := &testServer{t: t, registry: prometheus.NewRegistry(), stores: make(map[string]*store.File)}
	metrics := store.NewMetrics()
	o := Options{
		Page: http.NotFoundHandler(), CORSOrigins: []string{"*"}, MaxUploads: 100, IdleTimeout: 5 * time.Second,
		Registry: s.registry, Logger: log,
	}
	var lanes []finish.Lane
	for _, p := range upload.DefaultProfiles() {
		files, err := store.Open(store.Options{
			Dir: t.TempDir(), Profile: p.Name, Flat: p.Flat, Variants: p.VariantNames(), Judge: finish.Judge(p),
			KeepRejected: p.KeepRejected, Digest: p.Digest,
			Metrics: metrics, Logger: log,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { files.Close() })
		s.stores[p.Name] = files
		o.Endpoints = append(o.Endpoints, Endpoint{p, files})
		lanes = append(lanes, finish.Lane{Profile: p, Store: files})
	}
	pipeline := finish.New(finish.Options{Lanes: lanes, ImageMemory: 1 << 30, Metrics: finish.NewMetrics(), Logger: log})
	t.Cleanup(pipeline.Close)
	o.Finisher = pipeline
	if alter != nil {
		alter(&o)
	}
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Handlers = h
	server := httptest.NewServer(h.Public)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// header is a request's header in pairs.
type header []string

var tus = header{"Tus-Resumable", "1.0.0"}

// answer is a response that has been read to its end.
type answer struct {
	*http.Response
	body string
}

// do sends a request and reads its answer.
func (s *testServer) do(method, path string, h header, body io.Reader) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(h); i += 2 {
		req.Header.Add(h[i], h[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req) // no redirects followed
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer{resp, string(raw)}
}

// create makes an upload at the endpoint and returns its path.
func (s *testServer) create(endpoint string, h ...string) string {
	s.t.Helper()
	a := s.do(http.MethodPost, endpoint, append(tus, h...), nil)
	a.want(s.t, statusIs(http.StatusCreated))
	return a.Header.Get("Location")
}

// patch adds bytes at offset.
func (s *testServer) patch(path, offset string, body io.Reader, h ...string) answer {
	s.t.Helper()
	h = append(h, append(tus, "Content-Type", chunkType, "Upload-Offset", offset)...)
	return s.do(http.MethodPatch, path, h, body)
}

// state asks the state of an upload.
func (s *testServer) state(path string) (got statusJSON) {
	s.t.Helper()
	a := s.do(http.MethodGet, path+"/status", nil, nil)
	a.want(s.t, statusIs(http.StatusOK))
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		s.t.Fatal(err)
	}
	return got
}

type statusJSON struct {
	State    upload.State
	Offset   int64
	Length   *int64
	Reason   *upload.Rejection
	Variants []struct{ URL string }
}

// check looks at an answer; "" is well.
type check func(answer) string

func (a answer) want(t *testing.T, checks ...check) {
	t.Helper()
	for _, c := range checks {
		if fault := c(a); fault != "" {
			t.Errorf("%s %s: %s\nanswer: %s %v %s", a.Request.Method, a.Request.URL.Path, fault, a.Status, a.Header, a.body)
		}
	}
}

func statusIs(want int) check {
	return func(a answer) string {
		if a.StatusCode == want {
			return ""
		}
		return "status is not " + http.StatusText(want)
	}
}

func has(key, want string) check {
	return func(a answer) string {
		if got := a.Header.Get(key); got != want {
			return key + " is " + got + ", want " + want
		}
		return ""
	}
}

func hasNo(key string) check {
	return func(a answer) string {
		if got := a.Header.Values(key); len(got) > 0 {
			return key + " is there: " + got[0]
		}
		return ""
	}
}

// code is the stable code of a problem.
func code(want string) check {
	return func(a answer) string {
		if !strings.HasPrefix(a.Header.Get("Content-Type"), problemType) {
			return "not a problem: " + a.Header.Get("Content-Type")
		}
		if !strings.Contains(a.body, `"code":"`+want+`"`) {
			return "code is not " + want
		}
		return ""
	}
}

// dropLength hides the length of a body, so that it is sent in chunks.
func dropLength(s string) io.Reader { return struct{ io.Reader }{bytes.NewReader([]byte(s))} }

// TestAPathIsTakenAsItIsWritten asks beside an upload's own path: what is not plainly below an endpoint's is no upload.
func TestAPathIsTakenAsItIsWritten(t *testing.T) {
	s := start(t, nil)
	id := strings.TrimPrefix(s.create("/files/", "Upload-Length", "10"), "/files/")
	for path, want := range map[string]int{
		"/files/" + id: http.StatusOK,
		fmt.Sprintf("/files/%%%x%s", id[0], id[1:]): http.StatusOK, // an escaped letter is a letter
		"/files/" + id + "/":                        http.StatusNotFound,
		"/%66iles/" + id:                            http.StatusOK,
		"/files%2f" + id:                            http.StatusNotFound, // an escaped slash is none
		"/files":                                    http.StatusMethodNotAllowed,
		"/files/":                                   http.StatusMethodNotAllowed,
		"/files//" + id:                             http.StatusTemporaryRedirect,
		"//files/" + id:                             http.StatusTemporaryRedirect,
		"/files/../files/" + id:                     http.StatusTemporaryRedirect,
		"/filesx/" + id:                             http.StatusNotFound,
		"/avatars/" + id:                            http.StatusNotFound,
		"/files/" + id + "%2fmore":                  http.StatusNotFound,
	} {
		if got := s.do(http.MethodHead, path, tus, nil).StatusCode; got != want {
			t.Errorf("%s: got %d, want %d", path, got, want)
		}
	}
}
