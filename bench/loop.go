package main

import (
	"bufio"
	"errors"
	"io"
	"iter"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// storm does what share does, for small requests in the clear, as an event loop: one thread, two system calls for a request. It
// takes 8 to 9 us of processor time for a HEAD; a goroutine and a net.Conn for each connection take half as much again. Sluice takes 13 to 18.
func (t *trial) storm(connections, n int, task func(k *conn, i int) error) error {
	if t.tls != nil {
		return t.share(connections, n, task)
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(epoll)
	var tasks []func() (error, bool) // each goes on until it has to wait; it has an error then, or nil, and true
	for w := range connections {
		s, err := connect(t.address)
		if err != nil {
			return err
		}
		defer s.Close()
		k := &conn{ReadWriteCloser: s, r: bufio.NewReaderSize(s, 4<<10), source: t.source, took: t.took}
		goOn, stop := iter.Pull(func(yield func(error) bool) {
			s.wait = func() bool { return yield(nil) }
			for i := w; i < n; i += connections {
				if err := task(k, i); err != nil {
					yield(err)
					return
				}
			}
		})
		defer stop()
		tasks = append(tasks, goOn)
		if err := s.tell(epoll, w); err != nil {
			return err
		}
	}
	return turn(epoll, tasks)
}

// turn runs tasks to their ends, each when its connection is ready.
func turn(epoll int, tasks []func() (error, bool)) error {
	left := len(tasks)
	goOn := func(w int32) error {
		err, waits := tasks[w]()
		if !waits {
			left--
		}
		return err
	}
	for w := range tasks {
		if err := goOn(int32(w)); err != nil {
			return err
		}
	}
	for ready := make([]unix.EpollEvent, len(tasks)); left > 0; {
		n, err := unix.EpollWait(epoll, ready, int(hangs/time.Millisecond))
		switch {
		case err == unix.EINTR:
			continue
		case err == nil && n == 0:
			err = errors.New("no answer")
		}
		if err != nil {
			return err
		}
		for _, event := range ready[:n] {
			if err := goOn(event.Fd); err != nil {
				return err
			}
		}
	}
	return nil
}

// socket is a connection of an event loop.
type socket struct {
	fd   int
	wait func() bool // leaves the turn to others until the socket is ready; false when the loop has ended
}

func connect(address string) (*socket, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.SetNonblock(fd, true),
	)
	if err != nil {
		unix.Close(fd)
	}
	return &socket{fd: fd}, err
}

// tell has epoll name w at each change of the socket.
func (s *socket) tell(epoll, w int) error {
	return unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, s.fd, &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(w),
	})
}

// again tells that err is no error, but a reason to try once more.
func (s *socket) again(err error) bool {
	return err == unix.EINTR || err == unix.EAGAIN && s.wait()
}

func (s *socket) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(s.fd, p)
		switch {
		case err == nil && n == 0:
			return 0, io.EOF
		case err == nil:
			return n, nil
		case !s.again(err):
			return 0, err
		}
	}
}

func (s *socket) Write(p []byte) (int, error) { return len(p), s.send(p, nil) }

// send writes both, and waits for an answer.
func (s *socket) send(head, body []byte) error {
	for len(head)+len(body) > 0 {
		n, err := unix.Writev(s.fd, [][]byte{head, body})
		switch {
		case err == nil:
			ofHead := min(n, len(head))
			head, body = head[ofHead:], body[n-ofHead:]
		case !s.again(err):
			return err
		}
	}
	if !s.wait() { // to look for it now would be a system call in vain
		return io.ErrClosedPipe
	}
	return nil
}

func (s *socket) Close() error { return unix.Close(s.fd) }
