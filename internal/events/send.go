package events

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"sluice/internal/upload"
)

// wants tells whether an endpoint is to be sent what was recorded.
func (s *sender) wants(env envelope) bool {
	e := s.Endpoint
	if env.To != "" && env.To != e.Name || e.Format == upload.Tusd && env.Message.hook() == "" {
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
	upload.Endpoint
	keys   []*webhooks.Webhook
	client *http.Client
}

func newSender(e upload.Endpoint) (*sender, error) {
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
	if s.Format == upload.Tusd {
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
	if s.Format == upload.Tusd {
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
