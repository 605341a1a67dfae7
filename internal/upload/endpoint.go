package upload

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Format is what an endpoint is sent.
type Format string

const (
	// Standard is a message by Standard Webhooks, with the upload as it was then.
	Standard Format = "standard"
	// Tusd is the body of tusd v2's HTTP hooks post-create, post-finish and post-terminate. What tusd has no hook for is not
	// sent.
	Tusd Format = "tusd"
)

// Endpoint is somebody who is told, over HTTP.
type Endpoint struct {
	Name string // for files, metrics and logs: lower-case letters, digits and dashes, at most 32
	URL  string // http or https; never logged
	// Keys sign every delivery, each with a signature of its own, so that keys can be changed: "whsec_" and base64 of 24 to 64
	// bytes. None: deliveries are not signed. [NewKey] makes one.
	Keys   []string
	Format Format      // "" is Standard
	Types  []EventType // nil is all
	// AllowPrivate lets the endpoint be on this machine or in a private network. Metadata services of clouds stay refused.
	AllowPrivate bool
	// Timeout is for a whole delivery, 15 s if 0; a third of it to connect, and a third for TLS.
	Timeout time.Duration
	// Concurrency is how many deliveries run at once, 8 if 0.
	Concurrency int
}

// LogValue keeps the address and the keys out of logs.
func (e Endpoint) LogValue() slog.Value { return slog.StringValue(e.Name) }

// String keeps the address and the keys out of texts.
func (e Endpoint) String() string { return "endpoint " + e.Name }

// GoString is String.
func (e Endpoint) GoString() string { return e.String() }

// NewKey makes a key to sign with, of 256 random bits.
func NewKey() string {
	var b [32]byte
	rand.Read(b[:]) // never fails since Go 1.24
	return keyPrefix + base64.StdEncoding.EncodeToString(b[:])
}

const keyPrefix = "whsec_"

var endpointName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// Check returns everything that is wrong with e. It repeats neither the address nor a key.
func (e Endpoint) Check() []error {
	var faults []error
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf("endpoint %q: "+format, append([]any{e.Name}, args...)...))
		}
	}
	fault(!endpointName.MatchString(e.Name), "name must be lower-case letters, digits and dashes, at most 32")
	u, err := url.Parse(e.URL)
	fault(err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "", "url must be http:// or https:// and a host")
	fault(e.Format != "" && e.Format != Standard && e.Format != Tusd, "format %q is neither %q nor %q", e.Format, Standard, Tusd)
	fault(e.Timeout < 0 || e.Concurrency < 0, "timeout and concurrency must not be negative")
	for i, key := range e.Keys {
		raw, prefixed := strings.CutPrefix(key, keyPrefix)
		decoded, err := base64.StdEncoding.DecodeString(raw)
		fault(!prefixed || err != nil || len(decoded) < 24 || len(decoded) > 64,
			"key %d must be %q and base64 of 24 to 64 bytes", i+1, keyPrefix)
	}
	for _, typ := range e.Types {
		fault(!slices.Contains(EventTypes(), typ), "no events are of type %q", typ)
	}
	return faults
}
