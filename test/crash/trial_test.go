package crash

import (
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// trial is a run of the test.
type trial struct {
	report
	seed   uint64
	rand   *rand.Rand
	world  *world
	kills  int // to come to
	killed int
	round  int
	began  time.Time
	starts time.Duration // what the last start took
	log    string        // of the last server
}

func newTrial(t *testing.T) *trial {
	kills := 50
	if os.Getenv("SOAK") == "1" {
		kills = 1000
	}
	tr := &trial{seed: number(t, "SLUICE_CRASH_SEED", rand.Uint64()), began: time.Now()}
	tr.kills = int(number(t, "SLUICE_CRASH_KILLS", uint64(kills)))
	t.Logf("SLUICE_CRASH_SEED=%d SLUICE_CRASH_KILLS=%d", tr.seed, tr.kills)
	tr.rand = rand.New(rand.NewPCG(tr.seed, 0))
	data := dataDir(t)
	tr.world = newWorld(tr.seed, data, tr.serverJoins(t, data), tr.rand)
	return tr
}

// number reads a setting of the test.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

func dataDir(t *testing.T) string {
	t.Helper()
	if os.Getenv("SLUICE_CRASH_KEEP") == "" {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("", "sluice-crash-data-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the data directory is kept: %s", dir)
			return
		}
		os.RemoveAll(dir)
	})
	return dir
}

// serverJoins asks whether the server can join uploads that are not complete yet.
func (tr *trial) serverJoins(t *testing.T, data string) bool {
	t.Helper()
	l, err := tr.start(data, "always")
	if err != nil {
		t.Fatal(err)
	}
	c := &client{life: l}
	a, err := c.ask(t.Context(), request{method: "OPTIONS", path: files.path})
	l.http.CloseIdleConnections()
	if stopped := l.server.stop(); err != nil || stopped != nil {
		t.Fatal(err, stopped)
	}
	return strings.Contains(a.header.Get("Tus-Extension"), "concatenation-unfinished")
}

// conclude tells what happened.
func (tr *trial) conclude(t *testing.T) {
	for _, line := range tr.lines {
		t.Error(line)
	}
	if tr.more > 0 {
		t.Errorf("and %d more", tr.more)
	}
	took := time.Since(tr.began).Round(time.Millisecond)
	t.Logf("%d kills in %d rounds and %v; %d uploads made", tr.killed, tr.round-1, took, tr.world.next)
	for _, name := range slices.Sorted(maps.Keys(tr.world.tallies)) {
		t.Logf("%-12s %+v", name, *tr.world.tallies[name])
	}
	for _, what := range slices.Sorted(maps.Keys(tr.world.chances)) {
		t.Logf("%4d times %s", tr.world.chances[what], what)
	}
	if t.Failed() {
		const shown = 16 << 10
		t.Logf("the end of the last server's log:\n%s", tr.log[max(0, len(tr.log)-shown):])
	}
}
