package handlers

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"sluice/internal/upload"
)

func withNothing(o *Options) {
	o.List = func(context.Context, upload.Listing, func(upload.Listed) error) error { return nil }
	o.Recording = func() error { return nil }
}

// TestNoStrangersNameLeadsToTheOperator: a page that has its own name lead to this machine learns of no upload, and changes nothing.
func TestNoStrangersNameLeadsToTheOperator(t *testing.T) {
	operator := httptest.NewServer(start(t, withNothing).Private)
	defer operator.Close()
	_, port, err := net.SplitHostPort(operator.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, path, host string) int {
		r, err := http.NewRequestWithContext(t.Context(), method, operator.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	const refused = http.StatusMisdirectedRequest
	for _, host := range []string{"evil.example", "evil.example:" + port, "EVIL.example.", "127.0.0.1.evil.example:" + port, "localhost.evil.example", "[::1].evil.example", "[evil.example]"} {
		for _, asked := range [][2]string{{"GET", "/uploads"}, {"GET", "/events"}, {"POST", "/gc"}, {"POST", "/replay"}, {"GET", "/debug/pprof/"}, {"GET", "//uploads"}, {"GET", "/metrics/"}} {
			if got := ask(asked[0], asked[1], host); got != refused {
				t.Errorf("%s %s from %s: %d, want %d", asked[0], asked[1], host, got, refused)
			}
		}
		for _, path := range []string{"/metrics", "/healthz", "/readyz"} {
			if got := ask("GET", path, host); got != http.StatusOK {
				t.Errorf("GET %s from %s: %d, want 200", path, host, got)
			}
		}
	}
	for _, host := range []string{"localhost", "localhost:" + port, "LOCALHOST.", "sluice.localhost", "Sluice.LocalHost.", "sluice:" + port, "127.0.0.1:" + port, "10.0.0.7", "[::1]:" + port, "[::1]", "[::ffff:127.0.0.1]"} {
		for _, path := range []string{"/uploads", "/debug/pprof/cmdline"} {
			if got := ask("GET", path, host); got != http.StatusOK {
				t.Errorf("GET %s from %s: %d, want 200", path, host, got)
			}
		}
	}
}

// TestNamesAreTheOperatorsBusinessElsewhere: who listens on a network is asked by names that he chose.
func TestNamesAreTheOperatorsBusinessElsewhere(t *testing.T) {
	private := start(t, withNothing).Private
	r := httptest.NewRequestWithContext(t.Context(), "GET", "http://uploads.corp.example/uploads", nil) // comes in over no loopback interface
	w := httptest.NewRecorder()
	private.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Errorf("got %d, want 200", w.Code)
	}
}
