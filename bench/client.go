package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
)

// source is the content of every upload: a file of random bytes in the page cache, which the kernel sends by sendfile,
// so that the client costs little beside the server.
type source struct {
	*os.File
	size int64
}

func newSource(path string, size int64) (*source, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	// A fixed seed: the same bytes in every run.
	if _, err := io.CopyN(f, rand.NewChaCha8([32]byte{}), size); err != nil {
		return nil, err
	}
	return &source{f, size}, nil
}

// client makes connections to one server.
type client struct {
	address string
	source  *source
}

// conn is one kept-alive HTTP/1.1 connection, with no more HTTP than the two servers' answers need.
type conn struct {
	net.Conn
	r      *bufio.Reader
	source *source
	file   *os.File // own descriptor of the source, as sendfile moves its position
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
	f, err := os.Open(c.source.Name())
	if err != nil {
		nc.Close()
		return nil, err
	}
	return &conn{Conn: nc, r: bufio.NewReaderSize(nc, 64<<10), source: c.source, file: f}, nil
}

func (c *conn) Close() error {
	c.file.Close()
	return c.Conn.Close()
}

// do sends a request, with n bytes of the source from position off as its body, and reads an answer that must have the
// given status and no body.
func (c *conn) do(want int, request string, off, n int64) (answer, error) {
	if _, err := io.WriteString(c.Conn, request); err != nil {
		return answer{}, err
	}
	if n > 0 {
		if _, err := c.file.Seek(off, io.SeekStart); err != nil {
			return answer{}, err
		}
		// TCPConn.ReadFrom of a limited file is sendfile.
		if _, err := c.Conn.(*net.TCPConn).ReadFrom(io.LimitReader(c.file, n)); err != nil {
			a, _ := readAnswer(c.r) // a server that closes in mid-body mostly says why
			return a, fmt.Errorf("body refused, status %d: %w", a.status, err)
		}
	}
	a, err := readAnswer(c.r)
	if err == nil && a.status != want {
		err = fmt.Errorf("status %d instead of %d for %.60q", a.status, want, request)
	}
	return a, err
}

// create begins an upload; a positive n sends its content with it. It returns the upload's path.
func (c *conn) create(size, off, n int64) (string, error) {
	request := fmt.Sprintf("POST /files/ HTTP/1.1\r\nHost: bench\r\nTus-Resumable: 1.0.0\r\nUpload-Length: %d\r\nContent-Length: %d\r\n", size, n)
	if n > 0 {
		request += "Content-Type: application/offset+octet-stream\r\n"
	}
	a, err := c.do(201, request+"\r\n", off, n)
	return a.location, err
}

// patch sends bytes off..off+n of the source to the upload's offset off.
func (c *conn) patch(path string, off, n int64) error {
	a, err := c.do(204, fmt.Sprintf("PATCH %s HTTP/1.1\r\nHost: bench\r\nTus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream\r\n"+
		"Upload-Offset: %d\r\nContent-Length: %d\r\n\r\n", path, off, n), off, n)
	if err == nil && a.offset != off+n {
		err = fmt.Errorf("offset %d instead of %d", a.offset, off+n)
	}
	return err
}

// verify reads an upload back and compares it with the source.
func (c *conn) verify(path string, off, n int64) error {
	a, err := c.do(200, "GET "+path+" HTTP/1.1\r\nHost: bench\r\n\r\n", 0, 0)
	if err != nil {
		return err
	}
	if a.length != n {
		return fmt.Errorf("%s: %d bytes instead of %d", path, a.length, n)
	}
	got, want := make([]byte, 256<<10), make([]byte, 256<<10)
	for done := int64(0); done < n; done += int64(len(got)) {
		got, want = got[:min(int64(len(got)), n-done)], want[:min(int64(len(want)), n-done)]
		if _, err := io.ReadFull(c.r, got); err != nil {
			return err
		}
		if _, err := c.source.ReadAt(want, off+done); err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("%s: wrong content after byte %d", path, done)
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
	if i := bytes.Index([]byte(location), []byte("/files/")); i >= 0 {
		return location[i:]
	}
	return location
}
