// Package splice moves what comes over a plain TCP connection into a file inside the kernel (splice(2) on Linux), below
// readers that know nothing of it. A server's listener hands out a [Conn] for each connection; whoever writes a body to a file
// borrows a [Pipe] from it and reads the body with [Pipe.Read].
//
// The invariant: a Conn puts into the file only what it was asked to read into the very buffer of the pipe that was borrowed.
// net/http asks its connection to fill the caller's slice of a plain body once its own buffer is empty. Its own reads, those of
// TLS or HTTP/2 and of any body that is held somewhere on its way come with another slice, and are ordinary ones. So nobody has
// to know which case it is. But whoever looks at the bytes on their way, in that very slice, must not have them spliced.
//
// It knows neither HTTP nor uploads. On other systems no pipe is ever lent.
package splice

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"sluice/internal/deadline"
)

const (
	// Bytes is how much a pipe holds, so the most that one read moves: what counts for ext4 is the size of a write.
	Bytes = 1 << 20
	// block is what a file is written in, as far as it goes: the largest block of the usual file systems, and a page.
	block = 4096
	// within is how long what was taken off a connection may wait for more to be written with.
	within = 100 * time.Millisecond
)

// ErrMiscounted: a reader between a connection and its user changed the number of bytes that went into the file.
var ErrMiscounted = errors.New("splice: the body's count is not the connection's")

// Conn is a TCP connection that can be spliced. It reads as any other does unless a [Pipe] is being read through it.
type Conn struct {
	*deadline.Conn
	pipes *Pipes
	armed atomic.Pointer[Pipe]
}

// NewConn makes conn one that lends pipes.
func NewConn(conn *net.TCPConn, pipes *Pipes) *Conn {
	return &Conn{Conn: deadline.NewConn(conn), pipes: pipes}
}

// Lend returns a pipe for reading this connection, or nil if there is none left. Return it to end the loan.
func (c *Conn) Lend() *Pipe {
	p := c.pipes.get()
	if p != nil {
		p.conn = c
	}
	return p
}

// Read implements [net.Conn].
func (c *Conn) Read(b []byte) (n int, err error) {
	for {
		if err := c.Begin(); err != nil {
			return 0, err
		}
		if p := c.armed.Load(); p != nil && p.lent(b) {
			n, err = p.fill(b)
		}
		if n == 0 && err == nil {
			n, err = c.TCPConn.Read(b)
		}
		if !c.End(n, err) {
			return n, err
		}
		n, err = 0, nil
	}
}

// Pipe is a pipe in the kernel, lent to one reader of one connection. It is for one goroutine.
type Pipe struct {
	ends // of this system
	from *Pipes
	conn *Conn
	buf  []byte // Bytes long, and costs no memory until it is written to

	file   syscall.RawConn // where the bytes go
	off    int64           // where the next one goes
	taken  int             // bytes off the connection, in this read
	moved  int             // of them, bytes in the file
	refuse bool            // the file did not take it
	used   bool            // something was written to the buffer
}

// Buffer is what [Pipe.Read] and [Pipe.Fill] read into. Nobody else is to write to it but over what they have read.
func (p *Pipe) Buffer() []byte { return p.buf }

// Fill reads from src into Buffer()[from:to] as any reader does, nothing of it into the file.
func (p *Pipe) Fill(src io.Reader, from, to int) (n int, err error) {
	p.used = true
	return src.Read(p.buf[from:to])
}

// Read reads from src, which may be the body of a request over the pipe's connection, at most max bytes. Of the n bytes, the
// first moved are in file at off and following, and the others in Buffer()[moved:n]: all of them if they could not be spliced,
// else what does not end with a block, and what the file did not take; its error will come again when that is written. err is
// the source's. Read waits for as much as one read may move, but not for long.
func (p *Pipe) Read(src io.Reader, max int, file syscall.RawConn, off int64) (n, moved int, err error) {
	p.file, p.off, p.taken, p.moved = file, off, 0, 0
	if !p.refuse && p.conn.armed.CompareAndSwap(nil, p) {
		defer p.conn.armed.Store(nil)
	}
	n, err = src.Read(p.buf[:max])
	p.used = p.used || n > p.moved || p.taken > p.moved
	if p.taken != 0 && p.taken != n {
		return 0, 0, errors.Join(err, ErrMiscounted)
	}
	return n, p.moved, err
}

// lent tells whether b is the buffer, or the beginning of it, for the first time in this read.
func (p *Pipe) lent(b []byte) bool { return len(b) > 0 && &b[0] == &p.buf[0] && p.taken == 0 }

// Return ends the loan.
func (p *Pipe) Return() { p.from.put(p) }
