package e2e

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fiftyMB is what the client sends.
var fiftyMB = content{size: 50_000_000}

// TestTusJSSurvivesCrash kills the server when half of a file has gone up, and starts it again. tus-js-client goes on by
// itself.
func TestTusJSSurvivesCrash(t *testing.T) {
	for _, durability := range durabilities {
		t.Run(durability, func(t *testing.T) {
			s := start(t, "--durability", durability)
			gate := newGate(t, s, fiftyMB.size/2)
			client := startTusJS(t, gate, fiftyMB.file(t), filepath.Join(t.TempDir(), "urls.json"))

			client.awaitHalf(t, gate)
			s.kill()
			s.run(t)
			gate.open()
			client.succeed(t)

			if client.told("retry") == "" {
				t.Error("the client noticed nothing: the server was not killed in the middle")
			}
			client.checkResumed(t, s, gate)
		})
	}
}

// TestTusJSResumesFromStoredURL kills the client in the middle. Another one finds the address that the first had kept.
func TestTusJSResumesFromStoredURL(t *testing.T) {
	s := start(t)
	gate := newGate(t, s, fiftyMB.size/2)
	file, urls := fiftyMB.file(t), filepath.Join(t.TempDir(), "urls.json")
	first := startTusJS(t, gate, file, urls)
	first.awaitHalf(t, gate)
	first.kill()
	gate.open()

	second := startTusJS(t, gate, file, urls)
	second.succeed(t)
	if second.told("previous") != "1" {
		t.Errorf("the client found %s uploads to go on with, want 1", second.told("previous"))
	}
	second.checkResumed(t, s, gate)
}

// tusJS is a node process with the real client.
type tusJS struct {
	cmd   *exec.Cmd
	out   output
	ended chan struct{}
}

func startTusJS(t *testing.T, gate *gate, file, urls string) *tusJS {
	t.Helper()
	if _, err := os.Stat(filepath.Join("..", "node_modules", "tus-js-client")); errors.Is(err, fs.ErrNotExist) {
		t.Fatal("tus-js-client is missing: run npm ci in test/")
	}
	c := &tusJS{ended: make(chan struct{})}
	c.cmd = exec.Command(program(t, "node"), "tusjs.mjs", "http://"+gate.address+"/files/", file, urls)
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.out
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

func (c *tusJS) kill() {
	_ = c.cmd.Process.Kill() // gone already: what was wanted
	<-c.ended
}

func (c *tusJS) awaitHalf(t *testing.T, gate *gate) {
	t.Helper()
	select {
	case <-gate.reached:
	case <-c.ended:
		t.Fatalf("the client ended before half was sent:\n%s", &c.out)
	}
}

func (c *tusJS) succeed(t *testing.T) {
	t.Helper()
	<-c.ended
	if code := c.cmd.ProcessState.ExitCode(); code != 0 || c.told("url") == "" {
		t.Fatalf("the client ended with %d:\n%s", code, &c.out)
	}
}

// told is the last value that the client printed under that key, "" if there is none.
func (c *tusJS) told(key string) (value string) {
	for line := range strings.Lines(c.out.String()) {
		var said map[string]json.RawMessage
		if json.Unmarshal([]byte(line), &said) == nil && said[key] != nil {
			value = strings.Trim(string(said[key]), `"`)
		}
	}
	return value
}

// checkResumed compares what is stored, and sees that no client began anew: half passed twice would be one and a half.
func (c *tusJS) checkResumed(t *testing.T, s *server, gate *gate) {
	t.Helper()
	location, err := url.Parse(c.told("url"))
	if err != nil {
		t.Fatal(err)
	}
	s.checkContent(t, location.Path, fiftyMB)
	sent := gate.passed.Load()
	t.Logf("%d bytes sent for a file of %d", sent, fiftyMB.size)
	if sent >= fiftyMB.size*3/2 {
		t.Errorf("%d bytes sent for a file of %d: it began anew", sent, fiftyMB.size)
	}
}
