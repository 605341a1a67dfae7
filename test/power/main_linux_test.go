// Package power cuts the power of a server at work: a real ext4 and a real xfs, the built program on it, clients that send,
// delete and ask, other programs that sync their own files beside it. An instant of the disk is kept by cloning the image
// that it lies on; the clone is mounted, which has its journal replayed, and another server started on it as after a new
// boot. What that one answers, and every byte that it counts, is held against what clients had been told before the instant.
//
// What it cannot show: a drive that loses what it said it had flushed, or that writes out of order between two flushes. The
// clone has everything that the file system had handed to its device.
//
// It needs root. SOAK=1 takes 300 instants in the place of 20, CUTS=n so many; SEED=n repeats the clients' choices, though
// not the instants. Nothing is left behind, also when it is killed: its mounts are in a namespace of their own.
package power

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// binary is the program under test. TestMain sets it before any test runs.
var binary string

func TestMain(m *testing.M) {
	if os.Geteuid() == 0 {
		enterNamespace()
	}
	os.Exit(build(m))
}

// enterNamespace has the test run again with mounts that nobody else sees and that end with it. Where that is not allowed,
// mounting will not be either, which the test tells.
func enterNamespace() {
	const inside = "SLUICE_POWER_INSIDE=1"
	if slices.Contains(os.Environ(), inside) || exec.Command("unshare", "--mount", "true").Run() != nil {
		return
	}
	unshare, err := exec.LookPath("unshare")
	if err == nil {
		err = syscall.Exec(unshare, append([]string{"unshare", "--mount"}, os.Args...), append(os.Environ(), inside))
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sluice-power-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)

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
	if ci := os.Getenv("CI"); ci == "1" || ci == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// cutsIn is how often to cut the power in all.
func cutsIn(t *testing.T) int {
	if os.Getenv("SOAK") == "1" {
		return int(number(t, "CUTS", 300))
	}
	return int(number(t, "CUTS", 20))
}

// seedOf is what the clients' choices follow from.
func seedOf(t *testing.T) uint64 { return number(t, "SEED", uint64(time.Now().UnixNano())) }

func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(errors.Join(fmt.Errorf("%s is no number", name), err))
	}
	return n
}
