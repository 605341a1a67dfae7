// Package crash kills the server, at random instants and many times over on one data directory, and holds it to what it had
// promised: `go test ./test/crash` kills it 50 times, with SOAK=1 a thousand times.
//
// Clients of many kinds load the real binary over real HTTP. Each remembers of each upload what it sent and what it was
// answered, see [upload]. After every restart each upload is held against that: over HTTP, and in the data directory. Most
// uploads are carried on over several kills; those that are left are finished at the end, and compared whole.
//
// In the environment:
//
//	SLUICE_CRASH_SEED   what is drawn by chance is drawn from this; instants remain the machine's own
//	SLUICE_CRASH_KILLS  how many, instead of 50
//	SLUICE_CRASH_RACE   not empty: build the server with the race detector
//	SLUICE_CRASH_KEEP   not empty: leave the data directory of a failed test where it is
package crash

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// program is the program under test. TestMain sets it before any test runs.
var program string

func TestMain(m *testing.M) { os.Exit(build(m)) }

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sluice-crash-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)

	program = filepath.Join(dir, "sluice")
	args := []string{"build", "-ldflags", "-X main.version=crash", "-o", program}
	env := append(os.Environ(), "CGO_ENABLED=0")
	if os.Getenv("SLUICE_CRASH_RACE") != "" {
		args, env = append(args, "-race"), append(os.Environ(), "CGO_ENABLED=1")
	}
	cmd := exec.Command("go", append(args, "./cmd/server")...)
	cmd.Dir, cmd.Env = filepath.Join("..", ".."), env
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "the server does not build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
