// Package deadline lets a server move the read deadline of a TCP connection as often as it likes. net/http does so seven times
// for each request, and each time a timer of the runtime is set or taken away, though hardly any ever fires.
//
// The invariant: while somebody reads, the connection's own deadline is not later than the one that was set last. It may be
// earlier: what then ends too early is moved, and goes on.
package deadline

import (
	"errors"
	"io"
	"math"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Conn is a TCP connection whose read deadlines cost next to nothing to set. Its methods may be called concurrently, as those of
// any [net.Conn].
type Conn struct {
	*net.TCPConn
	set     atomic.Int64 // the deadline: see [reading]
	armed   atomic.Int64 // the one that the connection itself has
	readers atomic.Int32
	moving  sync.Mutex            // guards changes of armed
	arm     func(time.Time) error // sets it
}

// NewConn returns conn with cheap deadlines. Its own must not be used any more.
func NewConn(conn *net.TCPConn) *Conn {
	c := &Conn{TCPConn: conn, arm: conn.SetReadDeadline}
	c.set.Store(never)
	c.armed.Store(never)
	return c
}

// Points in time are nanoseconds since start, on the monotonic clock; those before it are negative, and always over.
const never = math.MaxInt64

var start = time.Now()

func reading(t time.Time) int64 {
	if t.IsZero() {
		return never
	}
	return int64(t.Sub(start))
}

// errOver is what a read returns that has not even begun.
var errOver = &net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}

// Read implements [net.Conn].
func (c *Conn) Read(b []byte) (int, error) {
	for {
		if err := c.Begin(); err != nil {
			return 0, err
		}
		n, err := c.TCPConn.Read(b)
		if !c.End(n, err) {
			return n, err
		}
	}
}

// Begin is for another way to read from the connection below, as Read does. Unless it returns an error, with which the read ends,
// End is called with what the reading returned. Whoever waits for a slow client does so below neither: stacks stay small.
func (c *Conn) Begin() error {
	c.readers.Add(1)
	switch at := c.set.Load(); {
	case at < 0:
		c.readers.Add(-1)
		return errOver
	case at < c.armed.Load():
		_ = c.move() // its error is that of a closed connection, and the reading has it too
	}
	return nil
}

// End tells whether to read again, from Begin on: nothing came because a deadline was over that is no longer the one.
func (c *Conn) End(n int, err error) (again bool) {
	if err != nil && n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && !c.over() {
		_ = c.move() // likewise
		again = true
	}
	c.readers.Add(-1)
	return again
}

// WriteTo implements [io.WriterTo] by Read: the connection's own would go by the deadline that it has.
func (c *Conn) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, struct{ io.Reader }{c}) }

func (c *Conn) over() bool { return c.set.Load() <= int64(time.Since(start)) }

// SetReadDeadline implements [net.Conn]. That the connection is closed is for the next read to tell.
func (c *Conn) SetReadDeadline(t time.Time) error {
	at := reading(t)
	c.set.Store(at)
	if at >= c.armed.Load() || c.readers.Load() == 0 { // who begins to read looks at set after it is counted
		return nil
	}
	return c.move()
}

// SetDeadline implements [net.Conn].
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.TCPConn.SetWriteDeadline(t))
}

// move gives the connection the deadline that was set last. Whoever sets an earlier one meanwhile may have seen the old one in armed,
// and have left it at that: so it is looked at once more.
func (c *Conn) move() error {
	c.moving.Lock()
	defer c.moving.Unlock()
	for {
		at := c.set.Load()
		var t time.Time
		if at != never {
			t = start.Add(time.Duration(at))
		}
		if err := c.arm(t); err != nil {
			return err
		}
		c.armed.Store(at)
		if c.set.Load() >= at {
			return nil
		}
	}
}
