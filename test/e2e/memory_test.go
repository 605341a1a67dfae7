package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	// memoryLimit is what the kernel lets the server have, the page cache for its files included.
	memoryLimit = 64 << 20
	// growth is by how much the peak may differ between megabytes and gigabytes: Go's heap and its collector have their own
	// rhythm.
	growth = 8 << 20
	// atOnce is how many films are sent at the same time.
	atOnce = 4
)

// TestMemoryStaysLevel sends gigabytes to a server that is killed by the kernel if it holds more than a little of them, and
// compares the peaks of its resident memory.
func TestMemoryStaysLevel(t *testing.T) {
	data := t.TempDir()
	limit := limitMemory(t, memoryLimit) // before the server: a group can only go when nobody is in it
	s := newServer(t, data, "--reserve", "0")
	s.through = limit
	s.run(t)
	s.checkLimited(t)

	total := s.films(t, 64<<20)
	level := s.peak(t)
	t.Logf("peak of the resident memory after %4d MiB: %.1f MiB", total>>20, mib(level))
	steps := []int64{1 << 30, 1280 << 20}
	if os.Getenv("SOAK") == "1" {
		steps = append(steps, 8<<30)
	}
	for _, bytes := range steps {
		total += s.films(t, bytes)
		peak := s.peak(t)
		t.Logf("peak of the resident memory after %4d MiB: %.1f MiB", total>>20, mib(peak))
		if peak > level+growth {
			t.Errorf("the peak grew from %.1f to %.1f MiB with the size of what was sent", mib(level), mib(peak))
		}
	}
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// films sends that many bytes in several films at once, looks at one, deletes them, and returns how many it sent.
func (s *server) films(t *testing.T, bytes int64) int64 {
	t.Helper()
	var work sync.WaitGroup
	for i := range atOnce {
		work.Go(func() { s.film(t, content{size: bytes / atOnce, seed: int64(i), head: movie}, i == 0) })
	}
	work.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return bytes
}

// film sends one film; t is only marked as failed, since this is no test's own goroutine.
func (s *server) film(t *testing.T, film content, look bool) {
	defer func() {
		select {
		case <-s.ended:
			t.Errorf("the server ended with %d: no room in %d MiB", s.code, memoryLimit>>20)
		default:
		}
	}()
	location := s.upload(t, "/videos/", film)
	if found := s.standing(t, location); found.State != "ready" || found.Offset != film.size {
		t.Errorf("the film is %s with %d bytes, want ready with %d", found.State, found.Offset, film.size)
	}
	if look {
		s.checkContent(t, location, film)
	}
	s.do(t, "DELETE", location, protocol)
}

// peak is the largest resident memory that the process ever had.
func (s *server) peak(t *testing.T) int64 {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		without(t, "no peak of the resident memory to read: %v", err)
	}
	for line := range strings.Lines(string(raw)) {
		if text, found := strings.CutPrefix(line, "VmHWM:"); found {
			kib, err := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

// checkLimited sees that the kernel counts the server's memory in the group that was made for it.
func (s *server) checkLimited(t *testing.T) {
	t.Helper()
	if s.through == nil {
		return
	}
	group := s.through[len(s.through)-1]
	raw, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
	if err != nil || strings.TrimSpace(string(raw)) != strconv.Itoa(s.cmd.Process.Pid) {
		t.Fatalf("the group holds the processes %q, want %d; %v", raw, s.cmd.Process.Pid, err)
	}
}

// controlGroups are the places where a limit on memory is written, in the two versions of control groups.
var controlGroups = []struct{ root, limit, swap string }{
	{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", ""},
	{"/sys/fs/cgroup", "memory.max", "memory.swap.max"},
}

// limitMemory makes a control group with that much memory and returns the command that enters it.
func limitMemory(t *testing.T, bytes int64) []string {
	t.Helper()
	for _, version := range controlGroups {
		if through := limitBy(t, version.root, version.limit, version.swap, bytes); through != nil {
			return through
		}
	}
	if os.Getuid() != 0 {
		without(t, "a control group needs root")
	}
	t.Logf("no control groups for memory here: the peaks are measured without a limit")
	return nil
}

func limitBy(t *testing.T, root, limit, swap string, bytes int64) []string {
	t.Helper()
	group := filepath.Join(root, fmt.Sprintf("sluice-e2e-%d", os.Getpid()))
	if os.Mkdir(group, 0o755) != nil {
		return nil
	}
	t.Cleanup(func() {
		if err := os.Remove(group); err != nil {
			t.Errorf("the control group stays behind: %v", err)
		}
	})
	if os.WriteFile(filepath.Join(group, limit), fmt.Append(nil, bytes), 0) != nil {
		return nil // of the other version, or none for memory
	}
	if swap != "" {
		_ = os.WriteFile(filepath.Join(group, swap), []byte("0"), 0) // not there where nothing can be swapped
	}
	return []string{"sh", "-c", `echo $$ > "$0/cgroup.procs" && exec "$@"`, group}
}
