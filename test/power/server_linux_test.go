package power

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for a condition. It is never waited out when all is well, and long enough for a busy machine.
const patience = 60 * time.Second

// server is a running Sluice.
type server struct {
	client
	log   output
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process is gone and all that it said is in log
}

// start runs a server until the test ends.
func start(t *testing.T, data, durability string) *server {
	t.Helper()
	s := &server{client: newClient(t), ended: make(chan struct{})}
	s.cmd = exec.Command(binary, "--listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0", "--data", data,
		"--durability", durability, "--reserve", "0", "--log-level", "warn")
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SLUICE_") {
			s.cmd.Env = append(s.cmd.Env, v)
		}
	}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // it would keep the mounts
	s.cmd.Stderr = &s.log
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := make(chan string, 1)
	go s.follow(stdout, address)
	t.Cleanup(func() { s.end(t) })
	select {
	case s.base = <-address:
	case <-s.ended:
		t.Fatalf("the server does not start:\n%s", s.log.String())
	case <-time.After(patience):
		t.Fatal("the server named no address")
	}
	return s
}

var ready = regexp.MustCompile(`open (http://127\.0\.0\.1:\d+)/`)

// follow reads what the program prints until it ends.
func (s *server) follow(stdout io.Reader, address chan<- string) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if found := ready.FindStringSubmatch(lines.Text()); found != nil {
			address <- found[1]
		}
	}
	_ = s.cmd.Wait() // the exit code says it
	close(s.ended)
}

// stop asks the process to end, which must succeed.
func (s *server) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.ended:
	case <-time.After(patience):
		t.Fatal("the server does not stop")
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the server stopped with exit code %d", code)
	}
}

// end kills the process and shows its log if the test failed.
func (s *server) end(t *testing.T) {
	_ = s.cmd.Process.Kill() // gone already: what was wanted
	<-s.ended
	text := s.log.String()
	for _, fault := range []string{"panic", "fatal error"} {
		if strings.Contains(text, fault) {
			t.Errorf("the server's log holds %q", fault)
		}
	}
	if t.Failed() && text != "" {
		t.Logf("the end of the server's log:\n%s", text[max(0, len(text)-4<<10):])
	}
}

// output is what a process said so far.
type output struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	return len(p), nil
}

// String returns all of it.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}
