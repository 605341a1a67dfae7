package e2e

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// gate stands between a client and the server and passes bytes on. When half has gone up it holds content back until opened, so
// that what happens "in the middle" does so, however fast the machine is.
type gate struct {
	address string // host:port for clients
	reached chan struct{}
	passed  atomic.Int64 // bytes on their way to the server, headers included

	to       string
	half     int64
	once     sync.Once
	opened   chan struct{}
	listener net.Listener
	work     sync.WaitGroup

	mu    sync.Mutex
	shut  bool
	conns []net.Conn
}

// newGate opens a gate to s that closes once, when half bytes have passed.
func newGate(t *testing.T, s *server, half int64) *gate {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{address: listener.Addr().String(), reached: make(chan struct{}), to: s.public, half: half,
		opened: make(chan struct{}), listener: listener}
	g.work.Go(g.accept)
	t.Cleanup(g.close)
	return g
}

// open lets the bytes flow again.
func (g *gate) open() { close(g.opened) }

func (g *gate) close() {
	g.listener.Close()
	g.mu.Lock()
	g.shut = true
	for _, conn := range g.conns {
		conn.Close()
	}
	g.mu.Unlock()
	select {
	case <-g.opened:
	default:
		g.open()
	}
	g.work.Wait()
}

func (g *gate) accept() {
	for {
		client, err := g.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", g.to)
		if err != nil {
			client.Close() // as if the server had refused
			continue
		}
		if !g.keep(client, server) {
			return
		}
		g.work.Go(func() { g.pass(server, client, g.up) })
		g.work.Go(func() { g.pass(client, server, func(int) {}) })
	}
}

// keep notes connections that close must end.
func (g *gate) keep(conns ...net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		for _, conn := range conns {
			conn.Close()
		}
		return false
	}
	g.conns = append(g.conns, conns...)
	return true
}

// pass copies until one side ends, and ends the other. before sees each piece on its way.
func (g *gate) pass(to, from net.Conn, before func(n int)) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		before(n)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// requestBytes is more than the header of a request, and less than a piece of a large file.
const requestBytes = 2 << 10

func (g *gate) up(n int) {
	small := n < requestBytes && g.half > requestBytes
	if g.passed.Add(int64(n)) < g.half || small {
		return
	}
	g.once.Do(func() { close(g.reached) })
	<-g.opened
}
