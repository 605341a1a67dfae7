package examples

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for a condition. It is never waited out when all is well, and long enough for a busy machine.
const patience = 30 * time.Second

// server is a running Sluice. After kill, run starts it again on the same address and data.
type server struct {
	data   string
	public string // host:port, known after the first run
	log    output
	cmd    *exec.Cmd
	ended  chan struct{} // closed when the process is gone
}

// start runs a server on data of its own until the test ends.
func start(t *testing.T) *server {
	t.Helper()
	s := &server{data: t.TempDir(), public: "127.0.0.1:0"}
	t.Cleanup(func() {
		s.kill()
		for _, fault := range []string{"panic", "internal error", "level=ERROR"} {
			if strings.Contains(s.log.String(), fault) {
				t.Errorf("the server's log holds %q", fault)
			}
		}
		if t.Failed() {
			t.Logf("the server's log:\n%s", &s.log)
		}
	})
	s.run(t)
	return s
}

var address = regexp.MustCompile(`http://(127\.0\.0\.1:\d+)/`)

// run starts the program and waits until it is ready.
func (s *server) run(t *testing.T) {
	t.Helper()
	s.cmd = exec.Command(binary, "--listen", s.public, "--private-listen", "127.0.0.1:0", "--data", s.data, "--reserve", "0")
	for _, v := range os.Environ() { // settings of the machine are none of the test
		if !strings.HasPrefix(v, "SLUICE_") && !strings.HasPrefix(v, "GOMEMLIMIT=") && !strings.HasPrefix(v, "GOGC=") {
			s.cmd.Env = append(s.cmd.Env, v)
		}
	}
	s.cmd.Stderr = &s.log
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.ended = make(chan struct{})
	found := make(chan string, 1)
	go s.follow(s.cmd, stdout, found, s.ended)
	select {
	case s.public = <-found:
	case <-s.ended:
		t.Fatal("the server ended before it was ready")
	case <-time.After(patience):
		t.Fatal("the server named no address")
	}
}

// follow reads what the program prints until it ends. The first address is the public one.
func (s *server) follow(cmd *exec.Cmd, stdout io.Reader, found chan<- string, ended chan<- struct{}) {
	defer close(ended)
	lines := bufio.NewScanner(stdout)
	for told := false; lines.Scan(); {
		if match := address.FindStringSubmatch(lines.Text()); match != nil && !told {
			told = true
			found <- match[1]
		}
	}
	_ = cmd.Wait() // killed, mostly
}

// kill ends the process as a crash would.
func (s *server) kill() {
	if s.ended == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGKILL) // gone already: what was wanted
	<-s.ended
}

// peak is the largest resident memory that the process ever had, in bytes.
func (s *server) peak(t *testing.T) int64 {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		without(t, "no peak of the resident memory to read: %v", err)
	}
	match := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(raw)
	if match == nil {
		t.Fatalf("no VmHWM in:\n%s", raw)
	}
	return kibibytes(t, string(match[1]))
}

func kibibytes(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}

// get reads the answer to GET and expects a status.
func get(t *testing.T, url string, status int) io.ReadCloser {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != status {
		t.Fatalf("GET %s: got %d, want %d", url, res.StatusCode, status)
	}
	return res.Body
}
