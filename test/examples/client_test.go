package examples

import (
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// client is an example that runs.
type client struct {
	cmd    *exec.Cmd
	stdout output
	stderr output
	ended  chan struct{}
}

// launch starts an example in a directory, with its children in a group of its own.
func launch(t *testing.T, dir, program string, args ...string) *client {
	t.Helper()
	c := &client{cmd: exec.Command(program, args...), ended: make(chan struct{})}
	c.cmd.Dir = dir
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.ended)
		_ = c.cmd.Wait() // the exit code says it
	}()
	t.Cleanup(c.kill)
	return c
}

// kill ends the example and all that it started.
func (c *client) kill() {
	select {
	case <-c.ended:
		return // and its number may be another's by now
	default:
	}
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) // gone already: what was wanted
	<-c.ended
}

// awaitHalf waits until half of the file is on its way.
func (c *client) awaitHalf(t *testing.T, gate *gate) {
	t.Helper()
	select {
	case <-gate.reached:
	case <-c.ended:
		t.Fatalf("the client ended before half was sent:\n%s%s", &c.stdout, &c.stderr)
	case <-time.After(patience):
		t.Fatalf("half was never sent:\n%s%s", &c.stdout, &c.stderr)
	}
}

// exit waits for the end and expects an exit code.
func (c *client) exit(t *testing.T, code int) {
	t.Helper()
	const rounds = 3 // of patience: a client that was cut off may wait between tries
	select {
	case <-c.ended:
	case <-time.After(rounds * patience):
		t.Fatalf("the client does not end:\n%s%s", &c.stdout, &c.stderr)
	}
	if got := c.cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("the client ended with %d, want %d:\n%s%s", got, code, &c.stdout, &c.stderr)
	}
}

// lastLine is the last that the client printed as its result.
func (c *client) lastLine() string {
	lines := strings.Split(strings.TrimSpace(c.stdout.String()), "\n")
	return lines[len(lines)-1]
}

// checkSaid expects a phrase in what the client told a person.
func (c *client) checkSaid(t *testing.T, phrase string) {
	t.Helper()
	if got := c.stderr.String(); !strings.Contains(got, phrase) {
		t.Errorf("the client told this, without %q:\n%s", phrase, got)
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
