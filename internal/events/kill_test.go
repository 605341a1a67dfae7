package events_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/internal/durable"
	"sluice/internal/events"
	"sluice/internal/upload"
)

// These make the test binary another process, which records events in a directory until it is killed.
const (
	killEnv      = "SLUICE_TEST_OUTBOX"
	killURLEnv   = "SLUICE_TEST_OUTBOX_URL"
	killRoundEnv = "SLUICE_TEST_OUTBOX_ROUND"
)

var life = []upload.EventType{upload.EventCreated, upload.EventReceived, upload.EventReady}

// recordUntilKilled says each event's id once it is recorded.
func recordUntilKilled(dir, url, round string) {
	root, err := durable.OpenRoot(dir)
	if err != nil {
		panic(err)
	}
	o := options(root, upload.Endpoint{Name: "back-end", URL: url, AllowPrivate: true})
	o.SegmentBytes = 20_000 // so that many end, and are removed
	o.Window = time.Millisecond
	b, err := events.Open(o)
	if err != nil {
		panic(err)
	}
	var workers sync.WaitGroup
	for worker := range 4 {
		workers.Go(func() {
			for n := 0; ; n++ {
				rec := record(upload.ID(fmt.Sprintf("%s-%d-%d", round, worker, n)), upload.Receiving)
				for _, typ := range life {
					e := upload.NewEvent(typ, rec)
					if err := b.Record(context.Background(), e); err != nil {
						panic(err)
					}
					os.Stdout.WriteString(e.ID() + "\n") // one write, and so whole
				}
			}
		})
	}
	workers.Wait()
}

func TestAKilledProcessLosesNoEvent(t *testing.T) {
	dice := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	e := newEndpoint(t, func(int, events.Message) int { return []int{204, 503}[dice.IntN(2)] }) // one request after the other
	dir, said := t.TempDir(), make(map[string]bool)
	rounds := 12
	if testing.Short() {
		rounds = 4
	}
	for round := range rounds {
		for _, id := range runAndKill(t, dir, e.URL, round, time.Duration(rand.IntN(150))*time.Millisecond) {
			said[id] = true
		}
	}

	root, err := durable.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	b := open(t, options(root, e.configured()))
	if _, behind := b.Behind(); !behind {
		t.Error("nobody noticed that the process was killed")
	}
	e.await(t, "end of all deliveries", func() bool {
		return e.counted() >= len(said) && missing(e, said) == 0
	})
	checkOrder(t, e.taken())
	t.Logf("%d events recorded, %d requests, %d of them taken", len(said), len(e.requests()), len(e.taken()))
	if len(said) < 100 {
		t.Errorf("only %d events: too few to prove anything", len(said))
	}
}

func missing(e *endpoint, said map[string]bool) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id := range said {
		if e.times[id] == 0 {
			n++
		}
	}
	return n
}

// checkOrder fails the test if an upload's events were taken in the wrong order, but for duplicates, or if duplicates
// differ.
func checkOrder(t *testing.T, taken []got) {
	t.Helper()
	next, bodies := make(map[upload.ID]int), make(map[string]string)
	for _, g := range taken {
		if g.header.Get("webhook-id") != g.ID || upload.NewEvent(g.Type, record(g.Data.ID, "")).ID() != g.ID {
			t.Fatalf("%s of %s has the ids %q and %q", g.Type, g.Data.ID, g.ID, g.header.Get("webhook-id"))
		}
		if bodies[g.ID] != "" {
			if bodies[g.ID] != string(g.body) {
				t.Fatalf("duplicates differ: %s and %s", bodies[g.ID], g.body)
			}
			continue
		}
		bodies[g.ID] = string(g.body)
		if want := life[next[g.Data.ID]]; g.Type != want {
			t.Fatalf("%s: got %s, want %s", g.Data.ID, g.Type, want)
		}
		next[g.Data.ID]++
	}
}

// runAndKill returns what the process has said before it died.
func runAndKill(t *testing.T, dir, url string, round int, after time.Duration) (said []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), killEnv+"="+dir, killURLEnv+"="+url, fmt.Sprintf("%s=%d", killRoundEnv, round))
	var trouble strings.Builder
	cmd.Stderr = &trouble
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	kill := time.AfterFunc(time.Minute, func() {})
	for lines.Scan() {
		if len(said) == 0 {
			kill.Stop()
			kill = time.AfterFunc(after, func() { cmd.Process.Kill() })
		}
		said = append(said, lines.Text())
	}
	kill.Stop()
	cmd.Wait() // killed
	if trouble.Len() > 0 {
		t.Fatalf("the process failed by itself: %s", trouble.String())
	}
	return said
}
