package e2e

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for a condition. It is never waited out when all is well, and long enough for a busy machine.
const patience = 30 * time.Second

// server is a running Sluice. After kill or stop, run starts it again on the same addresses and data.
type server struct {
	scheme  string // of the public listener
	data    string
	flags   []string
	through []string // a command that is given the program and its arguments, and becomes it
	public  string   // host:port, known after the first run
	private string
	http    *http.Client

	log    output
	cmd    *exec.Cmd
	code   int           // exit code, once ended is closed
	ended  chan struct{} // closed when the process is gone and all that it said is in log
	expect []string      // what the log may say although it is on the list of faults
}

// start runs a server on data of its own until the test ends.
func start(t *testing.T, flags ...string) *server {
	t.Helper()
	s := newServer(t, t.TempDir(), flags...)
	s.run(t)
	return s
}

// newServer prepares a server that is not run yet.
func newServer(t *testing.T, data string, flags ...string) *server {
	transport := &http.Transport{DisableCompression: true}
	s := &server{scheme: "http", data: data, flags: flags, public: "127.0.0.1:0", private: "127.0.0.1:0"}
	s.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		s.kill()
		s.checkLog(t)
	})
	return s
}

// run starts the program and waits until it is ready.
func (s *server) run(t *testing.T) {
	t.Helper()
	args := append(s.through[:len(s.through):len(s.through)], binary, "--listen", s.public, "--private-listen", s.private,
		"--data", s.data, "--log-level", "debug")
	args = append(args, s.flags...)
	s.cmd = exec.Command(args[0], args[1:]...)
	s.cmd.Env = cleanEnv()
	s.cmd.Stderr = &s.log
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}

	s.ended = make(chan struct{})
	addresses := make(chan string, 2)
	go s.follow(s.cmd, stdout, addresses, s.ended)
	public, private := s.nextAddress(t, addresses), s.nextAddress(t, addresses)
	if s.public != public || s.private != private { // clients of an earlier run may be reading them
		s.public, s.private = public, private
	}
}

// cleanEnv is the environment without settings of Sluice or of Go's memory.
func cleanEnv() (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SLUICE_") && !strings.HasPrefix(v, "GOMEMLIMIT=") && !strings.HasPrefix(v, "GOGC=") {
			env = append(env, v)
		}
	}
	return env
}

var address = regexp.MustCompile(`https?://(127\.0\.0\.1:\d+)/`)

// follow reads what the program prints until it ends.
func (s *server) follow(cmd *exec.Cmd, stdout io.Reader, addresses chan<- string, ended chan<- struct{}) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if found := address.FindStringSubmatch(lines.Text()); found != nil && len(addresses) < cap(addresses) {
			addresses <- found[1]
		}
	}
	_ = cmd.Wait() // the exit code says it
	s.code = cmd.ProcessState.ExitCode()
	close(ended)
}

func (s *server) nextAddress(t *testing.T, addresses <-chan string) string {
	t.Helper()
	select {
	case found := <-addresses:
		return found
	case <-s.ended:
		t.Fatalf("the server ended with %d before it was ready", s.code)
	case <-time.After(patience):
		t.Fatal("the server named no address")
	}
	return ""
}

// signal sends sig to the process, if there is one.
func (s *server) signal(sig os.Signal) {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(sig) // gone already: what was wanted
	}
}

// kill ends the process as a crash would.
func (s *server) kill() {
	if s.ended == nil {
		return
	}
	s.signal(syscall.SIGKILL)
	<-s.ended
}

// stop asks the process to end and waits until it has, which must succeed.
func (s *server) stop(t *testing.T) {
	t.Helper()
	s.signal(syscall.SIGTERM)
	s.wait(t)
}

// wait waits for a process that was asked to end.
func (s *server) wait(t *testing.T) {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		t.Fatal("the server does not stop")
	}
	if s.code != 0 {
		t.Errorf("the server stopped with exit code %d", s.code)
	}
}

// faults are what no log may hold: the server's own mistakes.
var faults = []string{"panic", "internal error", "level=ERROR", "DATA RACE", "fatal error"}

// checkLog looks for faults that the test did not ask for, and shows the log of a failed test.
func (s *server) checkLog(t *testing.T) {
	text := s.log.String()
	for line := range strings.Lines(text) {
		for _, fault := range faults {
			if strings.Contains(line, fault) && !s.expected(line) {
				t.Errorf("the server's log holds %q: %s", fault, line)
			}
		}
	}
	const shown = 32 << 10
	if t.Failed() {
		t.Logf("the end of the server's log:\n%s", text[max(0, len(text)-shown):])
	}
}

func (s *server) expected(line string) bool {
	for _, phrase := range s.expect {
		if strings.Contains(line, phrase) {
			return true
		}
	}
	return false
}

// metric is the sum of all series of that name at /metrics.
func (s *server) metric(t *testing.T, name string) float64 {
	t.Helper()
	reply := s.operator(t, "/metrics")
	series := regexp.MustCompile(`(?m)^` + name + `(?:\{[^}]*\})? (\S+)$`)
	found := series.FindAllStringSubmatch(string(reply.body), -1)
	if found == nil {
		t.Fatalf("no metric %s", name)
	}
	var sum float64
	for _, match := range found {
		value, err := strconv.ParseFloat(match[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += value
	}
	return sum
}

// operator asks the private listener, on a connection of its own.
func (s *server) operator(t *testing.T, path string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.private+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	return s.exchange(t, req)
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

// await waits until ok is true.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(2 * time.Millisecond) // between two looks
	}
}

// command runs the program to its end and returns what it says.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = cleanEnv()
	var out, errs output
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}
