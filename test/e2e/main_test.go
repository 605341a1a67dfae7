// Package e2e tests the program from outside: the binary as it is shipped, started, stopped, killed and started again, with
// the clients that people use. `go test ./test/e2e` is all it takes; SOAK=1 sends more bytes.
//
// What a machine may lack (root, a program, control groups) is a reason to skip a test, but with CI=1 to fail it: see
// [without]. Nothing here reaches beyond the loopback interface, and every wait has an end.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binary is the program under test. TestMain sets it before any test runs.
var binary string

func TestMain(m *testing.M) { os.Exit(build(m)) }

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sluice-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)

	binary = filepath.Join(dir, "sluice")
	cmd := exec.Command("go", "build", "-ldflags", "-X main.version=e2e", "-o", binary, "./cmd/server")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "the server does not build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// without ends the test for want of something that this machine does not have.
func without(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// program returns where a program is.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		without(t, "%s is not installed", name)
	}
	return path
}
