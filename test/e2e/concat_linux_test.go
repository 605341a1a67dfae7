package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestFinalIsPutTogetherByTheKernel joins 600 MiB. Its bytes never come into the process: few system calls, and no memory,
// are enough.
func TestFinalIsPutTogetherByTheKernel(t *testing.T) {
	const part, total = 200 << 20, 600 << 20
	s := start(t, "--durability", "none", "--reserve", "0")
	film := content{size: total, head: movie}
	parts := s.parts(t, "/videos/", film, part, 2*part)
	s.http.CloseIdleConnections()
	peak, calls := s.peak(t), s.writeCalls(t)
	follow := s.trace(t, "copy_file_range,read,pread64,write,pwrite64,sendfile,splice")
	whole := s.final(t, "/videos/", parts...)
	await(t, "the whole is ready", func() bool { return s.recorded(t, whole) == "ready" }) // without answers that are counted
	moved := movedBy(t, follow())

	calls, grown := s.writeCalls(t)-calls, s.peak(t)-peak
	t.Logf("%d calls that write for %d MiB; the peak of the memory grew by %.1f MiB; bytes moved: %v",
		calls, total>>20, mib(grown), moved)
	if most := int64(total / (4 << 20)); calls > most { // 1 MiB each would be 600
		t.Errorf("%d calls that write, want at most %d", calls, most)
	}
	if grown > growth {
		t.Errorf("the peak of the memory grew by %.1f MiB", mib(grown))
	}
	checkMoved(t, moved, total)
	s.checkContent(t, whole, film)
}

// checkMoved sees that the kernel copied all that there was, and the process next to nothing.
func checkMoved(t *testing.T, moved map[string]int64, total int64) {
	t.Helper()
	if n := moved["copy_file_range"]; n != total {
		t.Errorf("copy_file_range moved %d bytes, want %d", n, total)
	}
	for call, n := range moved {
		if call != "copy_file_range" && n > 1<<20 { // requests, answers, records, the log
			t.Errorf("%s moved %d bytes, want next to none", call, n)
		}
	}
}

// trace follows the server's system calls of these names until the function that it returns is called, which returns what
// strace has said.
func (s *server) trace(t *testing.T, calls string) (end func() string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "trace")
	var said output
	cmd := exec.Command(program(t, "strace"), "-f", "-e", "trace="+calls, "-o", name, "-p", strconv.Itoa(s.cmd.Process.Pid))
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // the trace tells
	}()
	stop := func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // it lets go of the server; gone already: what was wanted
		<-ended
	}
	t.Cleanup(stop)
	await(t, "strace follows the server", func() bool {
		select {
		case <-ended:
			without(t, "strace may not follow the server: %s", &said)
		default:
		}
		return strings.Contains(said.String(), "attached")
	})
	return func() string {
		stop()
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
}

var traced = regexp.MustCompile(`(?m)^\d+ +(?:(\w+)\(|<\.\.\. (\w+) resumed>).* = (\d+)$`)

// movedBy adds up what the calls in a trace have returned.
func movedBy(t *testing.T, trace string) map[string]int64 {
	t.Helper()
	moved := map[string]int64{}
	for _, found := range traced.FindAllStringSubmatch(trace, -1) {
		n, err := strconv.ParseInt(found[3], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		moved[found[1]+found[2]] += n
	}
	return moved
}
