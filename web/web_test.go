package web

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// vendoredTus is the SHA-256 of what scripts/vendor makes of the published package tus-js-client 4.3.1. `make check` and the
// browser tests make it anew and compare; this holds it still between such runs.
const vendoredTus = "9e4c7d8b729e287aa081e987d1da12d91f9fef3d9679f09997bd0d734f054623"

// maxPageBytes is the promise of the page's weight: everything that a first visit loads, before it is compressed.
const maxPageBytes = 150_000

func request(t *testing.T, method, target string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestHandlerServesThePageAndItsFilesOnly(t *testing.T) {
	tests := []struct {
		method, path string
		status       int
		mediaType    string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8"},
		{"HEAD", "/", 200, "text/html; charset=utf-8"},
		{"GET", "/app.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/style.css", 200, "text/css; charset=utf-8"},
		{"GET", "/favicon.svg", 200, "image/svg+xml"},
		{"GET", "/vendor/tus.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/vendor/tus.LICENSES", 200, "text/plain; charset=utf-8"},

		{"GET", "/index.html", 404, ""},
		{"GET", "/web.go", 404, ""},
		{"GET", "/vendor", 404, ""},
		{"GET", "/vendor/", 404, ""},
		{"GET", "/vendor/../web.go", 404, ""},
		{"GET", "//app.js", 404, ""},
		{"POST", "/nothing", 404, ""},
		{"POST", "/", 405, ""},
		{"DELETE", "/app.js", 405, ""},
		{"OPTIONS", "/style.css", 405, ""},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			res := request(t, tt.method, "http://sluice.test"+tt.path)
			if got, want := res.StatusCode, tt.status; got != want {
				t.Fatalf("status %d, want %d", got, want)
			}
			if got, want := res.Header.Get("Content-Type"), tt.mediaType; want != "" && got != want {
				t.Errorf("Content-Type %q, want %q", got, want)
			}
			if got, want := res.Header.Get("Allow"), "GET, HEAD"; tt.status == 405 && got != want {
				t.Errorf("Allow %q, want %q", got, want)
			}
			if tt.method == "HEAD" && body(t, res) != "" {
				t.Error("HEAD was answered with a body")
			}
		})
	}
}

// Browsers ignore the header elsewhere, and complain about it.
func TestOpenersAreKeptOutWhereBrowsersDoIt(t *testing.T) {
	for address, want := range map[string]string{
		"http://localhost:8080/": "same-origin", "http://127.0.0.1/": "same-origin", "http://[::1]:8080/": "same-origin",
		"https://example.org/": "same-origin", "http://192.0.2.2:8080/": "", "http://example.org/": "",
	} {
		w := httptest.NewRecorder()
		Handler().ServeHTTP(w, httptest.NewRequest("GET", address, nil))
		if got := w.Header().Get("Cross-Origin-Opener-Policy"); got != want {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
}

func TestEveryAnswerCarriesThePolicy(t *testing.T) {
	for _, path := range []string{"/", "/app.js", "/nothing"} {
		h := request(t, "GET", path).Header
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff",
			"Referrer-Policy":        "no-referrer",
			"Cache-Control":          "no-cache",
		} {
			// http.Error takes Cache-Control away: an error is not to be kept anyway.
			if got := h.Get(name); got != want && !(path == "/nothing" && name == "Cache-Control") {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		policy := strings.Split(h.Get("Content-Security-Policy"), "; ")
		for _, want := range []string{
			"default-src 'none'", "script-src 'self'", "style-src 'self'", "media-src 'self'", "connect-src 'self'",
			"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "trusted-types 'none'",
		} {
			if !slices.Contains(policy, want) {
				t.Errorf("%s: the policy lacks %q", path, want)
			}
		}
		for _, directive := range policy {
			if strings.Contains(directive, "unsafe") || strings.Contains(directive, "*") {
				t.Errorf("%s: the policy allows too much: %q", path, directive)
			}
		}
	}
}

func TestAnUnchangedFileIsNotSentAgain(t *testing.T) {
	first := request(t, "GET", "/app.js")
	tag := first.Header.Get("ETag")
	if !regexp.MustCompile(`^"[A-Za-z0-9_-]{22}"$`).MatchString(tag) {
		t.Fatalf("ETag %q is not a strong tag of the expected form", tag)
	}
	if other := request(t, "GET", "/style.css").Header.Get("ETag"); other == tag {
		t.Error("two files share an ETag")
	}
	if got, want := request(t, "GET", "/app.js", "If-None-Match", tag).StatusCode, 304; got != want {
		t.Errorf("the same tag: status %d, want %d", got, want)
	}
	if got, want := request(t, "GET", "/app.js", "If-None-Match", `"other"`).StatusCode, 200; got != want {
		t.Errorf("another tag: status %d, want %d", got, want)
	}
}

func TestAClientThatTakesGzipGetsLess(t *testing.T) {
	plain := request(t, "GET", "/vendor/tus.js")
	for accept, want := range map[string]string{
		"gzip":                "gzip",
		"br, GZIP;q=0.5":      "gzip",
		"deflate, gzip;q=1.0": "gzip",
		"gzip;q=0":            "",
		"gzip;q=0.000, br":    "",
		"identity":            "",
		"xgzip":               "",
		"":                    "",
	} {
		res := request(t, "GET", "/vendor/tus.js", "Accept-Encoding", accept)
		if got := res.Header.Get("Content-Encoding"); got != want {
			t.Errorf("Accept-Encoding %q: Content-Encoding %q, want %q", accept, got, want)
		}
		if got := res.Header.Get("Vary"); got != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: Vary %q", accept, got)
		}
	}

	small := request(t, "GET", "/vendor/tus.js", "Accept-Encoding", "gzip")
	if small.Header.Get("ETag") == plain.Header.Get("ETag") {
		t.Error("two different contents share a strong ETag")
	}
	z, err := gzip.NewReader(small.Body)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != body(t, plain) {
		t.Error("what is unpacked is not the file")
	}
}

func TestVendoredFileIsTheOneThatWasMade(t *testing.T) {
	sum := sha256.Sum256([]byte(body(t, request(t, "GET", "/vendor/tus.js"))))
	if got, want := hex.EncodeToString(sum[:]), vendoredTus; got != want {
		t.Errorf("vendor/tus.js has SHA-256 %s, want %s", got, want)
	}
	licences := body(t, request(t, "GET", "/vendor/tus.LICENSES"))
	for _, name := range []string{"js-base64", "querystringify", "requires-port", "tus-js-client", "url-parse"} {
		if !strings.Contains(licences, "---- "+name+" ") {
			t.Errorf("the licence of %s is not beside the file that it is in", name)
		}
	}
}

// Everything that the page refers to must be served, or a browser's console says so; and what is served must be referred
// to, or it is dead weight in the binary.
func TestPageAndFilesAgree(t *testing.T) {
	reference := regexp.MustCompile(`(?m)(?:src|href)="([^"#:]+)"|(?:from|import) '\./([^']+)'`)
	seen := map[string]bool{"/": true}
	total := 0
	for queue := []string{"/"}; len(queue) > 0; queue = queue[1:] {
		res := request(t, "GET", queue[0])
		if res.StatusCode != 200 {
			t.Errorf("%s is referred to but answered with %d", queue[0], res.StatusCode)
			continue
		}
		text := body(t, res)
		if !strings.HasSuffix(queue[0], ".LICENSES") { // a link: read by who wants to
			total += len(text)
		}
		for _, m := range reference.FindAllStringSubmatch(text, -1) {
			if p := "/" + m[1] + m[2]; !seen[p] {
				seen[p] = true
				queue = append(queue, p)
			}
		}
	}
	for p := range load() {
		if !seen[p] {
			t.Errorf("%s is embedded but nothing refers to it", p)
		}
	}
	if total >= maxPageBytes {
		t.Errorf("the page weighs %d bytes, want less than %d", total, maxPageBytes)
	}
	t.Logf("page weight: %d bytes", total)
}

// Inline script and style are refused by the policy; markup that has them would be silently without effect.
func TestMarkupNeedsNothingThatThePolicyRefuses(t *testing.T) {
	page := body(t, request(t, "GET", "/"))
	for what, pattern := range map[string]string{
		"a style attribute": `\sstyle=`,
		"a style element":   `<style`,
		"an event handler":  `\son[a-z]+=`,
		"an inline script":  `<script[^>]*>[^<]`,
		"another origin":    `(?:src|href)="(?:https?:)?//`,
	} {
		if regexp.MustCompile(pattern).MatchString(page) {
			t.Errorf("index.html has %s", what)
		}
	}
}
