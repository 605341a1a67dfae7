package power

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"
)

// TestPowerCut holds the durability contract of the store against real file systems.
func TestPowerCut(t *testing.T) {
	seed, host := seedOf(t), newHost(t)
	t.Logf("SEED=%d", seed)
	rounds := []struct{ kind, durability string }{{"ext4", "always"}, {"ext4", "none"}, {"xfs", "always"}, {"xfs", "none"}}
	for i, r := range rounds {
		share := (cutsIn(t) + i) / len(rounds)
		t.Run(r.kind+"/"+r.durability, func(t *testing.T) { cutOften(t, host, r.kind, r.durability, seed+uint64(i), share) })
	}
}

// round is a server that works on a disk until the last of the cuts.
type round struct {
	disk
	*load
	server     *server
	durability string
	random     *rand.Rand
}

func cutOften(t *testing.T, host, kind, durability string, seed uint64, cuts int) {
	d := newDisk(t, kind, host)
	start(t, d.data(), durability).stop(t)
	s := start(t, d.data(), durability)
	t.Run("cut after a start", func(t *testing.T) { cutStarted(t, d) })
	r := &round{d, startLoad(t, s, seed), s, durability, rand.New(rand.NewPCG(seed, 300))}
	press(t, d, r.load, seed)
	for i := range cuts - 1 {
		t.Run(fmt.Sprintf("cut %d", i+1), r.cutInstant)
		if t.Failed() {
			return
		}
	}
	t.Run("cut after a clean stop", r.cutStopped)
}

// cutStarted cuts the power right after a start on what a clean stop had left: the mark of that must not come back, or the
// length of a file would be taken for its offset.
func cutStarted(t *testing.T, d disk) {
	kept := d.cut(t)
	kept.wake(t)
	marks, err := filepath.Glob(filepath.Join(kept.data(), "*", ".sluice", "clean"))
	if err != nil || len(marks) > 0 {
		t.Errorf("marked as cleanly left: %q, %v", marks, err)
	}
}

// cutInstant cuts the power while all are at work: at any instant, or as soon as something has just happened.
func (r *round) cutInstant(t *testing.T) {
	r.pause(time.Duration(100+r.random.IntN(500)) * time.Millisecond)
	what := anything
	var must map[string]promise
	if r.durability == "none" {
		must = r.mark()
		r.flush(t)
		r.pause(time.Duration(r.random.IntN(600)) * time.Millisecond)
	}
	if r.random.IntN(4) > 0 {
		what = r.await(events[r.random.IntN(len(events))])
	}
	if r.durability == "always" {
		must = r.mark()
	}
	began := time.Now()
	kept := r.disk.cut(t)
	took := time.Since(began)
	may := r.mark()
	w := wakeUp(t, kept, r.durability, must, may)
	w.proven = r.durability == "none"
	w.checkAll()
	t.Logf("cut in %s (%q): %s", took.Round(time.Millisecond), what, w.seen)
	r.forget(w.buried())
}

// await waits for such an event, or a while.
func (r *round) await(what event) event {
	select {
	case <-r.next(what):
		return what
	case <-time.After(time.Second):
		return anything
	}
}

// cutStopped cuts the power right after the server has ended in order, under load: then nothing at all may be lost.
func (r *round) cutStopped(t *testing.T) {
	r.ending.Store(true)
	r.server.stop(t)
	r.load.stop()
	known := r.mark()
	w := wakeUp(t, r.disk.cut(t), r.durability, known, known)
	w.checkAll()
	t.Logf("cut after a clean stop: %s", w.seen)
}

// wakeUp starts another server on what was kept.
func wakeUp(t *testing.T, kept disk, durability string, must, may map[string]promise) *witness {
	t.Helper()
	kept.wake(t)
	s := start(t, kept.data(), durability)
	return &witness{t: t, disk: kept, server: s, must: must, may: may, always: durability == "always", there: make(map[string]bool)}
}
