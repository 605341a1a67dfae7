package main

import (
	"io"
	"net"
	"testing"

	"sluice/internal/splice"
)

// listen returns a limit for n connections.
func listen(t *testing.T, n int) *limit {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	limited := newLimit(l.(*net.TCPListener), n, splice.NewPipes(0))
	t.Cleanup(func() { limited.Close() })
	return limited
}

func dial(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestConnectionsBeyondTheLimitWaitForAPlace(t *testing.T) {
	l := listen(t, 2)
	accepted := make(chan net.Conn)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- conn
		}
	}()
	for range 3 {
		dial(t, l)
	}
	first, second := <-accepted, <-accepted
	if got := len(l.open); got != 2 {
		t.Errorf("%d places are taken, want 2", got)
	}
	first.Close()
	first.Close() // a second time gives no second place
	third := <-accepted
	if got := len(l.open); got != 2 {
		t.Errorf("%d places are taken, want 2", got)
	}
	l.Close() // also ends the Accept that waits for a place
	if _, ok := <-accepted; ok {
		t.Error("a fourth connection came")
	}
	second.Close()
	third.Close()
}

func TestLimitedConnectionStillSendsFiles(t *testing.T) {
	l := listen(t, 1)
	dial(t, l)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, ok := conn.(io.ReaderFrom); !ok {
		t.Errorf("%T cannot take a file whole: every download would be copied through memory", conn)
	}
}
