package power

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	protocol  = "Tus-Resumable: 1.0.0"
	chunkType = "Content-Type: application/offset+octet-stream"
	lastOfIts = "Connection: close" // on a connection that will break
)

// client speaks to one server. What breaks on its way has a connection of its own: [http.Transport] may put the next request on
// one where the last is being written still, when that was answered early, and what breaks the last breaks both.
type client struct {
	base   string
	http   *http.Client
	breaks *http.Client
}

func newClient(t *testing.T) client {
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 32, WriteBufferSize: 256 << 10}
	t.Cleanup(transport.CloseIdleConnections)
	alone := transport.Clone()
	alone.DisableKeepAlives = true
	return client{http: &http.Client{Transport: transport}, breaks: &http.Client{Transport: alone}}
}

// answer is one read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// offset is what the answer says of the upload's offset.
func (a answer) offset() (int64, bool) {
	n, err := strconv.ParseInt(a.header.Get("Upload-Offset"), 10, 64)
	return n, err == nil
}

func (a answer) state() string { return a.header.Get("Sluice-State") }

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.body) }

// open makes a request and leaves the answer's body to be read. header are lines such as "Upload-Offset: 5".
func (c client) open(ctx context.Context, method, path string, body io.Reader, length int64, header ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = length
	for _, line := range header {
		key, value, _ := strings.Cut(line, ": ")
		req.Header.Add(key, value)
	}
	if slices.Contains(header, lastOfIts) {
		return c.breaks.Do(req)
	}
	return c.http.Do(req)
}

// send makes a request with a body and reads the answer.
func (c client) send(ctx context.Context, method, path string, body io.Reader, length int64, header ...string) (answer, error) {
	resp, err := c.open(ctx, method, path, body, length, header...)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, text}, err
}

// ask makes a request without a body.
func (c client) ask(ctx context.Context, method, path string, header ...string) (answer, error) {
	return c.send(ctx, method, path, nil, 0, header...)
}

// standing is what the status of an upload says.
type standing struct {
	State    string
	Offset   int64
	Damaged  bool
	Variants []struct{ Name, URL string }
}

func (c client) standing(ctx context.Context, path string) (found standing, err error) {
	a, err := c.ask(ctx, "GET", path+"/status")
	if err != nil {
		return found, err
	}
	if a.status != http.StatusOK {
		return found, fmt.Errorf("status of %s: got %s", path, a)
	}
	return found, json.Unmarshal(a.body, &found)
}
