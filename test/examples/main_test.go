// Package examples runs what lies in examples/ as a person would: the shipped scripts and programs, unchanged, against the
// real server, cut off in the middle. The pages are tested beside it, by node (*.test.mjs).
//
// What a machine may lack is a reason to skip a test, but with CI=1 to fail it: see [without].
package examples

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binary is the server under test, and root the examples. TestMain sets them before any test runs.
var binary, root string

func TestMain(m *testing.M) { os.Exit(build(m)) }

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sluice-examples-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if root, err = filepath.Abs(filepath.Join("..", "..", "examples")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}

	binary = filepath.Join(dir, "sluice")
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/server")
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

// needs ends the test unless the program is installed and ends well with these arguments.
func needs(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		without(t, "run scripts/setup first: %s %v: %v\n%s", program, args, err, out)
	}
}
