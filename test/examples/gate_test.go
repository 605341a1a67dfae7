package examples

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// gate stands between a client and the server and passes bytes on. When half has gone up it holds back what comes until
// opened, so that what happens "in the middle" does so, however fast the machine is.
type gate struct {
	address string // host:port for clients
	reached chan struct{}
	passed  atomic.Int64 // bytes that came for the server, headers included
	loses   atomic.Bool  // the next refusal does not get through: its connection breaks

	to       string
	half     int64
	once     sync.Once
	opened   chan struct{}
	listener net.Listener
	work     sync.WaitGroup
}

// newGate opens a gate to s that closes once, when half bytes have come.
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

// open lets the bytes flow.
func (g *gate) open() {
	select {
	case <-g.opened:
	default:
		close(g.opened)
	}
}

// close waits for what passes. Clients are cleaned up before, so that no connection keeps it.
func (g *gate) close() {
	g.listener.Close()
	g.open()
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
		g.work.Go(func() { pass(server, client, g.up) })
		g.work.Go(func() { pass(client, server, g.down) })
	}
}

func (g *gate) up(piece []byte) bool {
	if g.passed.Add(int64(len(piece))) < g.half {
		return true
	}
	g.once.Do(func() { close(g.reached) })
	<-g.opened
	return true
}

func (g *gate) down(piece []byte) bool {
	return !bytes.HasPrefix(piece, []byte("HTTP/1.1 415")) || !g.loses.CompareAndSwap(true, false)
}

// pass copies until one side ends, and ends the other. before sees each piece and tells whether it may go on.
func pass(to, from net.Conn, before func(piece []byte) bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if !before(buf[:n]) {
			return
		}
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
