package splice

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ends are the two ends of a pipe.
type ends struct {
	r, w int
	held int // bytes in it
}

// Pipes is a bounded pool of pipes.
type Pipes struct {
	free chan *Pipe    // made and empty
	left chan struct{} // a token for each that is lent or free
	idle *time.Timer   // when it fires nobody has given one back for a while, and the free ones go
}

// idleFor is how long free pipes, and their descriptors, are kept for the next who wants one.
const idleFor = 5 * time.Second

// NewPipes makes a pool of at most n pipes; 0 lends none.
func NewPipes(n int) *Pipes {
	s := &Pipes{free: make(chan *Pipe, n), left: make(chan struct{}, n)}
	s.idle = time.AfterFunc(idleFor, s.closeFree)
	return s
}

func (s *Pipes) closeFree() {
	for {
		select {
		case p := <-s.free:
			_ = p.close() // nothing was in it
			<-s.left
		default:
			return
		}
	}
}

func (s *Pipes) get() *Pipe {
	select {
	case p := <-s.free:
		return p
	default:
	}
	select {
	case s.left <- struct{}{}:
	default:
		return nil
	}
	p, err := s.make()
	if err != nil { // no descriptors, or more pipes than the user may have: it goes without
		<-s.left
		return nil
	}
	return p
}

func (s *Pipes) make() (*Pipe, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	p := &Pipe{from: s, ends: ends{r: fds[0], w: fds[1]}}
	_, err := unix.FcntlInt(uintptr(p.w), unix.F_SETPIPE_SZ, Bytes)
	if err == nil {
		// Pages that the garbage collector does not clear, and that are there only when touched.
		p.buf, err = unix.Mmap(-1, 0, Bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// put takes an empty pipe back, and closes one that is not.
func (s *Pipes) put(p *Pipe) {
	p.conn, p.file, p.refuse = nil, nil, false
	if p.held > 0 || !p.clear() {
		_ = p.close()
		<-s.left
		return
	}
	s.free <- p
	s.idle.Reset(idleFor)
}

// clear gives the buffer's memory back.
func (p *Pipe) clear() bool {
	if p.used && unix.Madvise(p.buf, unix.MADV_DONTNEED) != nil {
		return false
	}
	p.used = false
	return true
}

func (p *Pipe) close() error {
	var unmap error
	if p.buf != nil {
		unmap = unix.Munmap(p.buf)
	}
	return errors.Join(unmap, unix.Close(p.r), unix.Close(p.w))
}

// fill moves what comes into the file, up to len(b) bytes. It returns how many came off the connection; what is not in the
// file is in b. 0 without an error tells that an ordinary read has more to say: that the deadline is over, or the end.
func (p *Pipe) fill(b []byte) (int, error) {
	raw, err := p.conn.SyscallConn()
	if err != nil {
		return 0, nil
	}
	var failed error
	began := time.Now()
	// Its error is that of a wait: what was taken is not to be lost by it, and the next read will meet it.
	_ = raw.Read(func(fd uintptr) (done bool) {
		done, failed = p.take(int(fd), len(b), began)
		return done
	})
	p.drain()
	if err := p.keep(b); err != nil {
		return 0, err
	}
	if failed != nil {
		failed = p.conn.readError(failed)
	}
	return p.taken, failed
}

// readError is an error of the socket as an ordinary read would have it.
func (c *Conn) readError(err error) error {
	at, peer := c.LocalAddr(), c.RemoteAddr()
	return &net.OpError{Op: "read", Net: at.Network(), Source: at, Addr: peer, Err: os.NewSyscallError("read", err)}
}

// take moves bytes from the socket into the pipe until want are taken, or no more is to be waited for. It is not done when
// there may be more.
func (p *Pipe) take(socket, want int, began time.Time) (done bool, err error) {
	again := false
	for p.taken < want && !p.refuse {
		n, err := unix.Splice(socket, nil, p.w, nil, want-p.taken, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		switch {
		case n > 0:
			p.taken += int(n)
			p.held += int(n)
			again = false
		case err == unix.EINTR:
		case err == unix.EINVAL: // no socket for that
			return true, nil
		case err != unix.EAGAIN:
			return true, err // nil at the end of the stream
		case !waiting(socket):
			return p.taken > 0 && time.Since(began) > within, nil
		case p.drain():
		case again: // full, of what makes no block
			return true, nil
		default: // or it came just now
			again = true
		}
	}
	return true, nil
}

// waiting tells whether the socket has something to say: bytes, an end or an error. A full pipe hides all three.
func waiting(socket int) bool {
	fds := []unix.PollFd{{Fd: int32(socket), Events: unix.POLLIN | unix.POLLRDHUP}}
	n, err := unix.Poll(fds, 0)
	return n > 0 || err != nil
}

// drain moves whole blocks from the pipe into the file, and tells whether any went.
func (p *Pipe) drain() (moved bool) {
	err := p.file.Control(func(fd uintptr) {
		for !p.refuse {
			whole := p.held - int((p.off+int64(p.held))%block)
			if whole <= 0 {
				return
			}
			n, err := unix.Splice(p.r, nil, int(fd), &p.off, whole, unix.SPLICE_F_MOVE)
			switch {
			case n > 0:
				p.held -= int(n)
				p.moved += int(n)
				moved = true
			case err != unix.EINTR:
				p.refuse = true
			}
		}
	})
	p.refuse = p.refuse || err != nil
	return moved
}

// keep reads what is left in the pipe into its place in b.
func (p *Pipe) keep(b []byte) error {
	for p.held > 0 {
		n, err := unix.Read(p.r, b[p.taken-p.held:p.taken])
		switch {
		case n > 0:
			p.held -= n
		case err == unix.EINTR:
		case err == nil:
			return io.ErrUnexpectedEOF
		default:
			return os.NewSyscallError("read", err)
		}
	}
	return nil
}
