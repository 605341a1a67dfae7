package main

import (
	"net"
	"sync"

	"sluice/internal/splice"
)

// limit is a TCP listener that lets at most a number of connections be open at once; more wait in the kernel's queue, where
// nobody takes a wait for an answer. The usual library for it hides what a TCP connection can: here files still go to the
// socket by sendfile.
type limit struct {
	*net.TCPListener
	pipes  *splice.Pipes
	open   chan struct{} // a token for each open connection
	closed chan struct{} // by Close
	once   sync.Once
}

func newLimit(l *net.TCPListener, n int, pipes *splice.Pipes) *limit {
	return &limit{TCPListener: l, pipes: pipes, open: make(chan struct{}, n), closed: make(chan struct{})}
}

// Accept waits for a connection, and before that until there may be one more.
func (l *limit) Accept() (net.Conn, error) {
	select {
	case l.open <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.AcceptTCP()
	if err != nil {
		<-l.open
		return nil, err
	}
	return &limitedConn{Conn: splice.NewConn(conn, l.pipes), release: sync.OnceFunc(func() { <-l.open })}, nil
}

// Close ends the listener, and an Accept that waits.
func (l *limit) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.TCPListener.Close()
}

// limitedConn gives its place back when it is closed.
type limitedConn struct {
	*splice.Conn
	release func()
}

func (c *limitedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
