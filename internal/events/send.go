package events

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"sluice/internal/upload"
)

// Format is what an endpoint is sent.
type Format string

const (
	// Standard is a [Message], by Standard Webhooks.
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
	Format Format             // "" is Standard
	Types  []upload.EventType // nil is all
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
		fault(!isType(typ), "no events are of type %q", typ)
	}
	return faults
}

func isType(typ upload.EventType) bool {
	for _, known := range upload.EventTypes() {
		if typ == known {
			return true
		}
	}
	return false
}

// wants tells whether e is to be sent what was recorded.
func (e Endpoint) wants(env envelope) bool {
	if env.To != "" && env.To != e.Name || e.Format == Tusd && env.Message.hook() == "" {
		return false
	}
	for _, typ := range e.Types {
		if typ == env.Message.Type {
			return true
		}
	}
	return len(e.Types) == 0
}

// sender delivers to one endpoint.
type sender struct {
	Endpoint
	keys   []*webhooks.Webhook
	client *http.Client
}

func newSender(e Endpoint) (*sender, error) {
	s := &sender{Endpoint: e}
	for i, key := range e.Keys {
		k, err := webhooks.NewWebhook(key)
		if err != nil {
			return nil, fmt.Errorf("events: endpoint %s: key %d is not base64", e.Name, i+1)
		}
		s.keys = append(s.keys, k)
	}
	s.client = newClient(e)
	return s, nil
}

// answer is how an attempt came out.
type answer struct {
	status int           // 0: there was none
	after  time.Duration // Retry-After, 0 if it does not say
	err    error         // nil: delivered
}

// broken tells that the endpoint, rather than this delivery, is at fault.
func (a answer) broken() bool {
	return a.err != nil && (a.status == 0 || a.status >= 500 || a.status == http.StatusTooManyRequests)
}

// maxAnswer is how much of a body is read, so that the connection can be used again.
const maxAnswer = 64 << 10

// send makes one attempt. Only 2xx is success: redirects are not followed, and 410 is a failure as any other.
func (s *sender) send(ctx context.Context, e envelope) answer {
	req, err := s.request(ctx, e, time.Now())
	if err != nil {
		return answer{err: err}
	}
	res, err := s.client.Do(req)
	if err != nil {
		return answer{err: withoutURL(err)}
	}
	defer res.Body.Close()
	io.CopyN(io.Discard, res.Body, maxAnswer) // what it says does not matter
	if res.StatusCode/100 == 2 {
		return answer{status: res.StatusCode}
	}
	return answer{res.StatusCode, retryAfter(res.Header), fmt.Errorf("it answered %d", res.StatusCode)}
}

// withoutURL takes the address, in which there may be secrets, out of an error of the HTTP client.
func withoutURL(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

func (s *sender) request(ctx context.Context, e envelope, now time.Time) (*http.Request, error) {
	body, err := e.Body, error(nil)
	if s.Format == Tusd {
		if body, err = e.Message.hookJSON(); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, strings.NewReader(string(body)))
	if err != nil {
		return nil, errors.New("the url cannot be requested")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Sluice")
	if s.Format == Tusd {
		req.Header.Set("Hook-Name", e.Message.hook())
	}
	return req, s.sign(req.Header, e.Message.ID, now, body)
}

// sign sets the headers of Standard Webhooks, with a signature by each key.
func (s *sender) sign(h http.Header, id string, now time.Time, body []byte) error {
	h.Set(webhooks.HeaderWebhookID, id)
	h.Set(webhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	signatures := make([]string, len(s.keys))
	for i, key := range s.keys {
		var err error
		if signatures[i], err = key.Sign(id, now, body); err != nil {
			return errors.New("it cannot be signed")
		}
	}
	if len(signatures) > 0 {
		h.Set(webhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	}
	return nil
}

// retryAfter reads the header, in seconds or as a date (RFC 9110, 10.2.3).
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
