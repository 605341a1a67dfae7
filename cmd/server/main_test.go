package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runOnce runs the program to its end.
func runOnce(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, func(string) string { return "" }, &out, &err)
	return code, out.String(), err.String()
}

func TestWrongSettingsAreAllNamedAtOnce(t *testing.T) {
	code, _, stderr := runOnce(t, "--listen", "nowhere", "--durability", "sometimes", "--max-uploads", "0")
	if code != exitMisuse {
		t.Errorf("exit code is %d, want %d", code, exitMisuse)
	}
	for _, want := range []string{"--listen", "--durability", "--max-uploads"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("%s is not named: %s", want, stderr)
		}
	}
}

func TestHelpAndVersionNeedNothing(t *testing.T) {
	if code, out, _ := runOnce(t, "--help"); code != exitOK || !strings.Contains(out, "--durability") {
		t.Errorf("help: %d %s", code, out)
	}
	if code, out, _ := runOnce(t, "version"); code != exitOK || !strings.Contains(out, version) {
		t.Errorf("version: %d %s", code, out)
	}
}

func TestDataIsHeldByOneServer(t *testing.T) {
	data := t.TempDir()
	first := startServer(t, "--data", data)
	code, _, stderr := runOnce(t, "--data", data, "--listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0")
	if code != exitFailed || !strings.Contains(stderr, "held by another process") {
		t.Errorf("the second server: %d %s", code, stderr)
	}
	if code := first.stop(); code != exitOK {
		t.Errorf("the first stopped with %d", code)
	}
	startServer(t, "--data", data)
}

func TestPortThatIsTakenStopsTheStart(t *testing.T) {
	first := startServer(t, "--data", t.TempDir())
	data := filepath.Join(t.TempDir(), "data")
	if code, _, stderr := runOnce(t, "--data", data, "--listen", first.public); code != exitFailed || !strings.Contains(stderr, "in use") {
		t.Errorf("got %d %s", code, stderr)
	}
	if _, err := os.Stat(data); err == nil {
		t.Error("data was made before the port was known to be free")
	}
}

func TestHealthAsksTheRunningServer(t *testing.T) {
	s := startServer(t, "--data", t.TempDir())
	if code, out, stderr := runOnce(t, "health", "--private-listen", s.private); code != exitOK || out != "ok\n" {
		t.Errorf("while it runs: %d %s %s", code, out, stderr)
	}
	s.stop()
	if code, _, _ := runOnce(t, "health", "--private-listen", s.private); code != exitFailed {
		t.Errorf("after it stopped: %d", code)
	}
}

func TestReachableMeansThisMachine(t *testing.T) {
	for address, want := range map[string]string{
		"0.0.0.0:80": "127.0.0.1:80", "[::]:80": "127.0.0.1:80", ":80": "127.0.0.1:80", "10.0.0.1:80": "10.0.0.1:80", "[::1]:80": "[::1]:80",
	} {
		if got := reachable(address); got != want {
			t.Errorf("reachable(%s) = %s, want %s", address, got, want)
		}
	}
}

func TestPageIsServed(t *testing.T) {
	s := startServer(t, "--data", t.TempDir())
	resp, err := http.Get("http://" + s.public + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !bytes.Contains(body, []byte("Sluice")) {
		t.Errorf("got %s %v", resp.Status, err)
	}
}
