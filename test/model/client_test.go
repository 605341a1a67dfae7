package model

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// patience is how long anything may take before it is taken for a hang.
const patience = 10 * time.Second

// answer is a response that was read to its end.
type answer struct {
	status int
	header http.Header
	length int64 // as announced
	body   string
}

// told are the headers that are compared, and shown in the log.
var told = []string{"Location", "Upload-Offset", "Upload-Length", "Upload-Defer-Length", "Upload-Metadata", "Upload-Concat",
	"Upload-Expires", "Sluice-State", "Tus-Version", "Content-Range", "Allow"}

// code is that of a problem (RFC 9457), "" if the answer is none.
func (a answer) code() string {
	var problem struct{ Code string }
	if a.header.Get("Content-Type") == "application/problem+json" {
		_ = json.Unmarshal([]byte(a.body), &problem) // a torn one has no code
	}
	return problem.Code
}

// String is the answer in one line.
func (a answer) String() string {
	out := fmt.Sprint(a.status)
	if code := a.code(); code != "" {
		out += " " + code
	}
	for _, key := range told {
		for _, value := range a.header.Values(key) {
			out += fmt.Sprintf(", %s: %s", key, short(value))
		}
	}
	return out
}

// client is one connection at a time, made anew when the server ends it. What is on it is written by hand, so that a request
// may be as odd as it likes.
type client struct {
	conn net.Conn
	in   *bufio.Reader
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// exchange sends r to address and reads the answer. replace puts in what r leaves open.
func (c *client) exchange(address string, r request, replace *strings.Replacer) (answer, error) {
	if err := c.dial(address); err != nil {
		return answer{}, err
	}
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return answer{}, err
	}
	written := make(chan error, 1)
	go func() { written <- c.write(r, replace) }() // the server may answer before it has read all
	a, ends, err := c.read(r)
	if err != nil || ends || r.body.cut {
		c.conn.Close()
	}
	writeErr := <-written
	if err != nil {
		return a, errors.Join(err, writeErr)
	}
	if ends || r.body.cut || writeErr != nil {
		c.close()
	}
	return a, nil
}

func (c *client) dial(address string) (err error) {
	if c.conn != nil {
		return nil
	}
	if c.conn, err = net.Dial("tcp", address); err == nil {
		c.in = bufio.NewReader(c.conn)
	}
	return err
}

func (c *client) write(r request, replace *strings.Replacer) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s %s HTTP/1.1\r\nHost: test\r\n", r.method, replace.Replace(r.target))
	for _, line := range slices.Concat(r.header, r.body.header()) {
		fmt.Fprintf(&out, "%s\r\n", replace.Replace(line))
	}
	fmt.Fprintf(&out, "\r\n%s", r.body.wire())
	if _, err := c.conn.Write(out.Bytes()); err != nil || !r.body.cut {
		return err
	}
	return c.conn.(*net.TCPConn).CloseWrite()
}

// read reads the answer to r, and tells whether the connection ends with it.
func (c *client) read(r request) (a answer, ends bool, err error) {
	resp, err := http.ReadResponse(c.in, &http.Request{Method: r.method})
	if err != nil {
		return answer{}, true, fmt.Errorf("no answer: %w", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, true, fmt.Errorf("a torn answer: %w", err)
	}
	return answer{resp.StatusCode, resp.Header, resp.ContentLength, string(body)}, resp.Close, nil
}
