package e2e

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestHeadInterruptsVanishedPeer has a client's machine vanish: no packet says that the connection is over, and none ever
// comes again.
func TestHeadInterruptsVanishedPeer(t *testing.T) {
	s := start(t)
	peer, up := stall(t, s)
	peer.vanish(t)
	up.takeOver(t, s)
}

// vanish takes the connection out of the kernel without a word to the other side.
func (l *line) vanish(t *testing.T) {
	t.Helper()
	raw, err := l.conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var refused error
	err = raw.Control(func(fd uintptr) {
		refused = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_REPAIR, 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	if refused != nil {
		without(t, "a connection can only vanish under root: TCP_REPAIR: %v", refused)
	}
	l.conn.Close()
}
