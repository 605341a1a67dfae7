package crash

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience bounds every wait for a condition. It is never waited out when all is well, and long enough for a busy machine.
const patience = 30 * time.Second

// server is one process of Sluice.
type server struct {
	cmd   *exec.Cmd
	log   output
	base  chan string   // given http://host:port when the server is ready
	ended chan struct{} // closed when the process is gone and all that it said is in log
}

// launch starts the program on data, on any free port. It is not ready yet.
func launch(data, durability string) (*server, error) {
	s := &server{base: make(chan string, 1), ended: make(chan struct{})}
	s.cmd = exec.Command(program, "--listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0", "--data", data,
		"--durability", durability, "--reserve", "0")
	s.cmd.Env = cleanEnv()
	s.cmd.Stderr = &s.log
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go s.follow(stdout) // kill and stop wait for it
	return s, nil
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

var address = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// follow reads what the program prints until it ends. The first address is the public one.
func (s *server) follow(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if found := address.FindString(lines.Text()); found != "" && len(s.base) == 0 {
			s.base <- found
		}
	}
	_ = s.cmd.Wait() // the exit code says it
	close(s.ended)
}

// ready waits until the server takes requests and returns where.
func (s *server) ready() (base string, err error) {
	select {
	case base = <-s.base:
		return base, nil
	case <-s.ended:
		return "", fmt.Errorf("the server ended by itself before it was ready: %v", s.cmd.ProcessState)
	case <-time.After(patience):
		return "", errors.Join(errors.New("the server does not become ready"), s.kill())
	}
}

// kill ends the process at once. It is an error if that was gone already.
func (s *server) kill() error {
	select {
	case <-s.ended:
		return fmt.Errorf("the server ended by itself: %v", s.cmd.ProcessState)
	default:
	}
	_ = s.cmd.Process.Kill() // fails for a process that is gone
	<-s.ended
	if status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && !status.Signaled() {
		return fmt.Errorf("the server ended by itself: %v", s.cmd.ProcessState)
	}
	return nil
}

// stop asks the process to end and waits until it has, which must succeed.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	select {
	case <-s.ended:
	case <-time.After(patience):
		return errors.Join(errors.New("the server does not stop"), s.kill())
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("the server stopped with exit code %d, want 0", code)
	}
	return nil
}

// faults are the lines of the log that hold what none may: the server's own mistakes.
func (s *server) faults() (found []string) {
	for line := range strings.Lines(s.log.String()) {
		for _, fault := range []string{"panic", "internal error", "level=ERROR", "DATA RACE", "fatal error"} {
			if strings.Contains(line, fault) {
				found = append(found, strings.TrimSpace(line))
				break
			}
		}
	}
	return found
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
