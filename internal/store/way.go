package store

import (
	"errors"
	"io"
	"syscall"
	"time"

	"sluice/internal/splice"
	"sluice/internal/upload"
)

// way is how a chunk's bytes come from its source to its file: through a buffer, which is larger for a fast connection, or
// through the pipe of a fast one that the kernel can splice.
type way struct {
	pool *buffers
	conn *splice.Conn    // nil if it cannot be spliced
	file syscall.RawConn // nil if it cannot be spliced
	pipe *splice.Pipe    // nil while buf is a buffer
	buf  *[]byte
	slow bool // the last read was
}

// way finds out what src and the chunk's file can do.
func (c *chunk) way(src io.Reader) *way {
	left := int64(0)
	if c.length != upload.Deferred {
		left = c.length - c.pos
	}
	w := &way{pool: c.f.buffers, buf: c.f.buffers.get(left)}
	if c.sum != nil {
		return w // the bytes have to be seen
	}
	below, ok := src.(interface{ Below() any })
	if !ok {
		return w
	}
	conn, ok := below.Below().(*splice.Conn)
	if !ok {
		return w
	}
	file, ok := c.file.(syscall.Conn)
	if !ok {
		return w
	}
	if raw, err := file.SyscallConn(); err == nil {
		w.conn, w.file = conn, raw
	}
	return w
}

// end gives back what the way was made of.
func (w *way) end() {
	if w.pipe != nil {
		w.pipe.Return()
		return
	}
	if w.slow {
		release(*w.buf)
	}
	w.pool.put(w.buf)
}

// widen is for a connection that outran the buffer.
func (w *way) widen() {
	if w.pipe != nil {
		return
	}
	if w.conn != nil {
		if pipe := w.conn.Lend(); pipe != nil {
			w.pool.put(w.buf)
			buf := pipe.Buffer()
			w.pipe, w.buf = pipe, &buf
			return
		}
	}
	w.buf = w.pool.grow(w.buf)
}

// narrow is for a slow connection: it gets a first buffer, of which only the first rest bytes take memory while it waits.
func (w *way) narrow(rest int) {
	if len(*w.buf) <= smallBuffer {
		release((*w.buf)[blockEnd(int64(rest)):])
		return
	}
	first := w.pool.get(0)
	copy(*first, (*w.buf)[:rest])
	w.end()
	w.pipe, w.buf = nil, first
}

// room is how many bytes may be in the buffer after the next read, if rest are and the file is written up to pos. With a pipe
// that is up to where blocks begin, from where on it can be spliced.
func (w *way) room(pos int64, rest int) int {
	if end := pos + int64(rest); w.pipe != nil && end%blockBytes != 0 {
		return rest + int(blockEnd(end)-end)
	}
	return len(*w.buf)
}

// fill reads into (*buf)[rest:room]. The first moved of the n bytes are in the file, at pos, already.
func (w *way) fill(src io.Reader, pos int64, rest, room int) (n, moved int, at speed, err error) {
	switch {
	case w.pipe == nil:
		n, at, err = fill(src, (*w.buf)[rest:room])
	case rest > 0 || pos%blockBytes != 0:
		n, err = w.pipe.Fill(src, rest, room)
	default:
		began := time.Now()
		if n, moved, err = w.pipe.Read(src, room, w.file, pos); n < room && time.Since(began) > fillWithin {
			at = slow
		}
	}
	w.slow = at == slow
	return n, moved, at, err
}

// clear makes the block durable that was begun in part, if the next bytes may go behind it by themselves.
func (c *chunk) clear(w *way) error {
	if w.pipe != nil && c.seam > 0 && c.pos >= c.seam {
		return c.syncSeam()
	}
	return nil
}

// moved is told of n bytes that the kernel has put into the file at pos, and of the error that the reading ended with: if
// nobody knows how many there are, none count.
func (c *chunk) moved(n int, srcErr error) (err error) {
	switch {
	case errors.Is(srcErr, splice.ErrMiscounted):
		return c.file.Truncate(c.pos)
	case n == 0:
		return nil
	}
	if c.zero, err = endsInZero(c.file, c.pos+int64(n)); err != nil {
		return c.wrote(0, err)
	}
	if end := c.pos + int64(n); end%blockBytes != 0 {
		c.seam = blockEnd(end)
	}
	return c.wrote(n, nil)
}
