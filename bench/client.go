package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// hangs is how long a connection may live: longer than any load takes, so that one that hangs fails the trial.
const hangs = 3 * time.Minute

// client makes connections to one server.
type client struct {
	address string
	source  *source
	tls     *tls.Config // nil: in the clear
	took    *latencies
}

// conn is one kept-alive HTTP/1.1 connection, with no more HTTP than the two servers' answers need.
type conn struct {
	io.ReadWriteCloser // *net.TCPConn, *tls.Conn, or *socket
	r                  *bufio.Reader
	source             *source
	file               *os.File   // own descriptor of the source, as sendfile moves its position; nil for a *socket
	took               *latencies // where do notes how long it waited for its answer; nil is nowhere
}

// upload is one on the server whose content is source[base:base+size].
type upload struct {
	path       string
	base, size int64
}

// answer is what the loads look at.
type answer struct {
	status   int
	location string // the path alone
	offset   int64  // Upload-Offset, -1 when absent
	length   int64  // of the body, which is still to be read
}

func (c *client) dial() (*conn, error) {
	nc, err := net.Dial("tcp", c.address)
	if err != nil {
		return nil, err
	}
	nc.SetDeadline(time.Now().Add(hangs))
	f, err := os.Open(c.source.name)
	if err != nil {
		nc.Close()
		return nil, err
	}
	if c.tls != nil {
		nc = tls.Client(nc, c.tls)
	}
	return &conn{ReadWriteCloser: nc, r: bufio.NewReaderSize(nc, 32<<10), source: c.source, file: f, took: c.took}, nil
}

func (c *conn) Close() error {
	c.file.Close()
	return c.ReadWriteCloser.Close()
}

// do sends a request, with source[off:off+n] as its body, and reads the head of an answer, which must have the given status.
func (c *conn) do(want int, request string, off, n int64) (answer, error) {
	began := time.Now()
	if err := c.send(request, off, n); err != nil {
		a, _ := readAnswer(c.r) // a server that closes in mid-body mostly says why
		return a, fmt.Errorf("refused, status %d: %w", a.status, err)
	}
	a, err := readAnswer(c.r)
	c.took.add(time.Since(began))
	if err == nil && a.status != want {
		err = fmt.Errorf("status %d instead of %d for %.60q", a.status, want, request)
	}
	return a, err
}

// send writes request and source[off:off+n]; in the clear by sendfile, or at once, so that the client costs little beside the server.
func (c *conn) send(request string, off, n int64) error {
	body := c.source.data[off : off+n]
	if s, ok := c.ReadWriteCloser.(*socket); ok {
		return s.send([]byte(request), body)
	}
	if _, err := io.WriteString(c, request); err != nil || n == 0 {
		return err
	}
	tcp, ok := c.ReadWriteCloser.(*net.TCPConn)
	if !ok {
		_, err := c.Write(body)
		return err
	}
	if _, err := c.file.Seek(off, io.SeekStart); err != nil {
		return err
	}
	_, err := tcp.ReadFrom(io.LimitReader(c.file, n))
	return err
}

// create begins an upload of source[base:base+size] and sends the first n bytes with it.
func (c *conn) create(base, size, n int64) (upload, error) {
	a, err := c.do(201, createRequest(size, n), base, n)
	return upload{a.location, base, size}, err
}

func createRequest(size, n int64) string {
	request := fmt.Sprintf("POST /files/ HTTP/1.1\r\nHost: bench\r\nTus-Resumable: 1.0.0\r\n"+
		"Upload-Length: %d\r\nContent-Length: %d\r\n", size, n)
	if n > 0 {
		request += "Content-Type: application/offset+octet-stream\r\n"
	}
	return request + "\r\n"
}

// patch sends the bytes off..off+n of u.
func (c *conn) patch(u upload, off, n int64) error {
	a, err := c.do(204, patchRequest(u, off, n), u.base+off, n)
	if err == nil && a.offset != off+n {
		err = fmt.Errorf("offset %d instead of %d", a.offset, off+n)
	}
	return err
}

func patchRequest(u upload, off, n int64) string {
	return fmt.Sprintf("PATCH %s HTTP/1.1\r\nHost: bench\r\nTus-Resumable: 1.0.0\r\n"+
		"Content-Type: application/offset+octet-stream\r\nUpload-Offset: %d\r\nContent-Length: %d\r\n\r\n", u.path, off, n)
}

// patches sends u from off to its end, chunk bytes at a time.
func (c *conn) patches(u upload, off, chunk int64) error {
	for ; off < u.size; off += chunk {
		if err := c.patch(u, off, min(chunk, u.size-off)); err != nil {
			return err
		}
	}
	return nil
}

// head asks how far u is.
func (c *conn) head(u upload) (int64, error) {
	a, err := c.do(200, headRequest(u), 0, 0)
	return a.offset, err
}

func headRequest(u upload) string {
	return "HEAD " + u.path + " HTTP/1.1\r\nHost: bench\r\nTus-Resumable: 1.0.0\r\n\r\n"
}

// get reads n bytes of u from off, and drops them in the kernel.
func (c *conn) get(u upload, off, n int64) error {
	a, err := c.do(206, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: bench\r\nRange: bytes=%d-%d\r\n\r\n", u.path, off, off+n-1), 0, 0)
	if err == nil && a.length != n {
		err = fmt.Errorf("%d bytes instead of %d", a.length, n)
	}
	if err != nil {
		return err
	}
	return c.discard(n)
}

// discard drops n bytes of a body, in the kernel as far as they are there still.
func (c *conn) discard(n int64) error {
	here, err := c.r.Discard(int(min(n, int64(c.r.Buffered()))))
	if err != nil {
		return err
	}
	n -= int64(here)
	tcp, ok := c.ReadWriteCloser.(*net.TCPConn)
	if !ok {
		_, err := io.CopyN(io.Discard, c.r, n)
		return err
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	never := make([]byte, min(n, 1<<20)) // is not written to
	for n > 0 && err == nil {
		var got int
		var failed error
		err = raw.Read(func(fd uintptr) bool {
			got, _, failed = unix.Recvfrom(int(fd), never[:min(n, int64(len(never)))], unix.MSG_TRUNC)
			return failed != unix.EAGAIN && failed != unix.EINTR
		})
		if err == nil && failed == nil && got == 0 {
			failed = io.ErrUnexpectedEOF
		}
		if failed != nil {
			return failed
		}
		n -= int64(got)
	}
	return err
}

// verify reads an upload back and compares it with the source.
func (c *conn) verify(u upload) error {
	a, err := c.do(200, "GET "+u.path+" HTTP/1.1\r\nHost: bench\r\n\r\n", 0, 0)
	if err != nil {
		return err
	}
	if a.length != u.size {
		return fmt.Errorf("%s: %d bytes instead of %d", u.path, a.length, u.size)
	}
	got := make([]byte, min(u.size, 256<<10))
	for done := int64(0); done < u.size; done += int64(len(got)) {
		got = got[:min(int64(len(got)), u.size-done)]
		if _, err := io.ReadFull(c.r, got); err != nil {
			return err
		}
		if !bytes.Equal(got, c.source.data[u.base+done:u.base+done+int64(len(got))]) {
			return fmt.Errorf("%s: wrong content after byte %d", u.path, done)
		}
	}
	return nil
}

// readAnswer reads the head of a response.
func readAnswer(r *bufio.Reader) (answer, error) {
	a := answer{offset: -1}
	line, err := r.ReadSlice('\n')
	if err != nil {
		return a, err
	}
	if len(line) < 12 {
		return a, fmt.Errorf("no status line: %q", line)
	}
	a.status, err = strconv.Atoi(string(line[9:12]))
	for err == nil {
		if line, err = r.ReadSlice('\n'); err != nil {
			break
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return a, nil
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case bytes.EqualFold(name, []byte("Location")):
			a.location = pathOf(string(value))
		case bytes.EqualFold(name, []byte("Upload-Offset")):
			a.offset, err = strconv.ParseInt(string(value), 10, 64)
		case bytes.EqualFold(name, []byte("Content-Length")):
			a.length, err = strconv.ParseInt(string(value), 10, 64)
		}
	}
	return a, err
}

// pathOf cuts scheme and host off: tusd's Location is absolute, Sluice's is a path.
func pathOf(location string) string {
	if i := strings.Index(location, "/files/"); i >= 0 {
		return location[i:]
	}
	return location
}
