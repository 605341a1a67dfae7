// Package web is the page: plain files, embedded, so that the binary alone serves it. [Handler] is the only entry point.
//
// It knows nothing of uploads and imports nothing of ours: what the page says about an upload it asks over HTTP like any
// other client. Only the files of the table below are served; there is no directory to list and no path to walk. They are
// read once and never change, so the handler may be used by any number of requests at once.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

//go:embed index.html *.js *.css favicon.svg vendor/tus.js vendor/tus.LICENSES
var files embed.FS

// mediaTypes is ours and not the machine's: mime.TypeByExtension asks the system's tables, and a module script of a wrong
// type is not run.
var mediaTypes = map[string]string{
	".html":     "text/html; charset=utf-8",
	".js":       "text/javascript; charset=utf-8",
	".css":      "text/css; charset=utf-8",
	".svg":      "image/svg+xml",
	".LICENSES": "text/plain; charset=utf-8",
}

// headers go out with every answer. The policy names what the page needs and nothing else: its own scripts, styles and
// requests, pictures also from blob: (the preview of a file that has not been sent yet), video from the server itself.
// Trusted types with no policy make every sink that turns a string into markup or script an error.
var headers = map[string]string{
	"Content-Security-Policy": strings.Join([]string{
		"default-src 'none'",
		"script-src 'self'",
		"style-src 'self'",
		"img-src 'self' blob:",
		"media-src 'self'",
		"connect-src 'self'",
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
		"trusted-types 'none'",
	}, "; "),
	"Cache-Control":                "no-cache", // kept, but asked for each time: a new binary is a new page at once
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy":           "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
	"Referrer-Policy":              "no-referrer", // the address of an upload is all it takes to read it
	"X-Content-Type-Options":       "nosniff",
}

type asset struct {
	mediaType string
	plain     content
	small     func() content // compressed when somebody first asks for it
}

type content struct {
	body []byte
	etag string
}

// Handler serves the page at "/" and its files beside it. Anything else is 404, any method but GET and HEAD 405. Answers
// carry a strong ETag made from the content and honour If-None-Match.
func Handler() http.Handler {
	assets := load()

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		if trustworthy(r) {
			w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
		}
		a, known := assets[r.URL.Path]
		switch {
		case !known:
			http.Error(w, "There is nothing at this address.", http.StatusNotFound)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "This can only be read.", http.StatusMethodNotAllowed)
		default:
			c := a.plain
			if takesGzip(r) {
				c = a.small()
				w.Header().Set("Content-Encoding", "gzip")
			}
			w.Header().Add("Vary", "Accept-Encoding")
			w.Header().Set("Content-Type", a.mediaType)
			w.Header().Set("ETag", c.etag)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(c.body))
		}
	})
}

// trustworthy tells origins that browsers trust to be who they say: elsewhere they complain about some headers.
func trustworthy(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	ip := net.ParseIP(host)
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" || host == "localhost" || ip != nil && ip.IsLoopback()
}

// load reads every embedded file into a table by URL path.
func load() map[string]asset {
	assets := map[string]asset{}
	for _, dir := range []string{".", "vendor"} {
		entries, err := files.ReadDir(dir)
		if err != nil {
			panic(err) // embedded at build time: not there is a broken binary
		}
		for _, e := range entries {
			if e.IsDir() {
				continue
			}
			name := path.Join(dir, e.Name())
			body, err := files.ReadFile(name)
			if err != nil {
				panic(err)
			}
			assets["/"+name] = asset{mediaTypes[path.Ext(name)], tagged(body), sync.OnceValue(func() content { return tagged(compressed(body)) })}
		}
	}

	// The page has one address.
	assets["/"] = assets["/index.html"]
	delete(assets, "/index.html")
	return assets
}

// tagged adds a strong tag: the same tag is the same bytes. 128 bits of the hash are plenty against accident.
func tagged(body []byte) content {
	sum := sha256.Sum256(body)
	return content{body, `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`}
}

// compressed is done once, so as thoroughly as it goes: the page is a third of its size on its way.
func compressed(body []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is a constant
	}
	w.Write(body) // a buffer takes everything
	w.Close()
	return b.Bytes()
}

// takesGzip reads Accept-Encoding (RFC 9110, 12.5.3) as far as browsers use it: gzip by name, not refused by a weight of 0.
func takesGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(coding), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q, weighted := strings.CutPrefix(strings.TrimSpace(weight), "q=")
			return !weighted || strings.Trim(q, "0.") != ""
		}
	}
	return false
}
