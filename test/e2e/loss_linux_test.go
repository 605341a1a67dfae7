package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// lossy makes a network of the process's own, with nothing in it but a loopback interface whose packets are as small as
// those of a real one, and which loses one in twenty of them, in both directions. It then becomes the program that it is
// given. The network goes when that has ended and nobody else uses it. A lost packet that nothing follows is sent again
// after 200 ms at the least, for the sake of networks where a packet may be that long on its way; here it is missed sooner.
const lossy = `set -e
ip link set lo mtu 1500 gso_max_segs 1 gso_max_size 1500 up
ip route replace local 127.0.0.1 dev lo src 127.0.0.1 table local rto_min 5ms
nft -f - <<END
table ip lossy {
	chain arriving {
		type filter hook input priority 0
		meta l4proto tcp numgen random mod 100 < 5 drop
	}
}
END
exec "$@"`

// startLossy runs a server in a network of its own that loses packets.
func startLossy(t *testing.T, flags ...string) *server {
	t.Helper()
	if os.Getuid() != 0 {
		without(t, "a network of its own, and its rules, need root")
	}
	program(t, "nft")
	through := []string{program(t, "unshare"), "--net", "sh", "-c", lossy, "sh"}
	try := append(through[:len(through):len(through)], "true")
	if out, err := exec.Command(try[0], try[1:]...).CombinedOutput(); err != nil {
		without(t, "a network of its own, and its rules, need root: %v: %s", err, out)
	}
	s := newServer(t, t.TempDir(), flags...)
	s.through = through
	reach(t, s)
	s.run(t)
	return s
}

// reach has the clients of s dial from the network in which its process lives.
func reach(t *testing.T, s *server) {
	transport := &http.Transport{DisableCompression: true}
	transport.DialContext = func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		entered := enter(s.cmd.Process.Pid, func() { conn, err = new(net.Dialer).DialContext(ctx, network, address) })
		return conn, errors.Join(entered, err)
	}
	s.http.Transport = transport
	t.Cleanup(transport.CloseIdleConnections)
}

// enter does something in the network of a process. A socket belongs for good to the network of the thread that makes it, so
// a thread goes there for as long as it takes.
func enter(pid int, do func()) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and the thread ends with the goroutine if it does not come back
		err := enterThread(pid, do)
		if err == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

func enterThread(pid int, do func()) error {
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer home.Close()
	there, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	do()
	return unix.Setns(int(home.Fd()), unix.CLONE_NEWNET)
}

// TestLostPackets uploads through a network that loses one packet in twenty.
func TestLostPackets(t *testing.T) {
	many, size, within := 4, int64(3<<20), 2*patience
	if os.Getenv("SOAK") == "1" {
		many, size, within = 40, 32<<20, 20*patience
	}
	s := startLossy(t, "--idle-timeout", "10s")
	var clients []*stubborn
	for i := range many {
		for _, of := range samples(t, size) {
			of.file.seed = int64(i)
			clients = append(clients, &stubborn{s: s, path: of.path, file: of.file, chunk: 1_000_000})
		}
	}
	runAll(t, clients, within)
	for _, c := range clients {
		s.checkReady(t, c.location, c.file)
	}

	sent := s.resent(t)
	t.Logf("%d packets were sent again", sent)
	if least := int64(many) * size / 1500 / 100; sent < least {
		t.Errorf("%d packets were sent again, want at least %d: the test shows nothing", sent, least)
	}
}

// resent is how many packets the kernel had to send again in the server's network.
func (s *server) resent(t *testing.T) int64 {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/snmp", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, names, _ := strings.Cut(string(raw), "Tcp: ") // a line of names, then one of numbers
	names, rest, _ := strings.Cut(names, "\nTcp: ")
	numbers, _, _ := strings.Cut(rest, "\n")
	i := slices.Index(strings.Fields(names), "RetransSegs")
	if i < 0 {
		t.Fatalf("no count of packets that were sent again in %s", raw)
	}
	n, err := strconv.ParseInt(strings.Fields(numbers)[i], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
