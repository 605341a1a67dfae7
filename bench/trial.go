package main

import (
	"context"
	"os"
	"sync"
	"syscall"
	"time"
)

// trial is one run of one scenario against one fresh server.
type trial struct {
	*client
	ctx     context.Context
	process *process
	work    string   // a directory on the disk to measure
	stored  []upload // what lay in the server's directory when it started
	traced  bool     // count system calls instead of time
	result  result
}

// The metrics of every scenario, in the order of the tables. What is "each" is for a request, or an upload where the
// scenario counts those.
const (
	mibPerSecond = "MiB/s"
	perSecond    = "each/s"
	cpuPerGiB    = "CPU s/GiB"
	cpuEach      = "CPU us each"
	clientEach   = "client us each"
	p50          = "p50 ms"
	p99          = "p99 ms"
	readyAfter   = "ready ms"
	postP50      = "POST p50 ms"
	sweepTook    = "sweep ms"
	listTook     = "ls ms"
	quietP99     = "quiet p99 ms"
	sweepP99     = "sweep p99 ms"
	listP99      = "ls p99 ms"
	growth       = "growth MiB"
	kibEach      = "KiB each"
	peak         = "peak MiB"
	anon         = "anon MiB"
	systemCalls  = "calls each"
)

// Not shown for a scenario, but summed up: processors at work, on average.
const (
	machineBusy = "machine busy"
	serverBusy  = "server busy"
)

func metrics() []string {
	return []string{
		mibPerSecond, perSecond, cpuPerGiB, cpuEach, clientEach, p50, p99, readyAfter, postP50, sweepTook, listTook, quietP99, sweepP99, listP99,
		growth, kibEach, peak, anon, systemCalls,
	}
}

// work is what a load does in its timed part: bytes where throughput is the point, else a count.
type work struct {
	bytes int64
	count int
}

// timed runs load and notes what it cost the server.
func (t *trial) timed(w work, load func() error) error {
	if t.traced {
		return t.countCalls(w, load)
	}
	// Dirty pages of what came before are none of this load's business.
	syscall.Sync()
	if err := warm(t.work, max(w.bytes, leastWarm)); err != nil {
		return err
	}
	if err := t.process.resetPeak(); err != nil {
		return err
	}
	before, err := t.process.memory()
	if err != nil {
		return err
	}
	cpu, err := t.process.cpuSeconds()
	if err != nil {
		return err
	}
	t.took.take()
	machine, own := busySeconds(), ownSeconds()
	stopWatch := t.process.watchAnon()

	start := time.Now()
	err = load()
	seconds := time.Since(start).Seconds()
	own = ownSeconds() - own

	t.result[anon] = stopWatch()
	if err != nil {
		return err
	}
	t.noteLatencies()
	after, err := t.process.memory()
	if err != nil {
		return err
	}
	t.result[peak], t.result[growth] = after.peak, after.peak-before.now
	spent, err := t.process.cpuSeconds()
	t.noteCost(w, seconds, spent-cpu, own)
	t.result[machineBusy] = (busySeconds() - machine) / seconds
	t.result[serverBusy] = (spent - cpu) / seconds
	return err
}

// leastWarm is for loads that count requests.
const leastWarm = 256 << 20

// warm has the kernel use so much memory for a file and take it back, so that the load is given memory that is really there. A virtual
// machine's may have gone back to its host, which takes longer to bring it again than any server takes to write to it.
func warm(dir string, bytes int64) error {
	f, err := os.CreateTemp(dir, "warm-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close() // it is never synced: nothing of it comes to the disk
	buf := make([]byte, 1<<20)
	for off := int64(0); off < bytes; off += int64(len(buf)) {
		if _, err := f.WriteAt(buf, off); err != nil {
			return err
		}
	}
	return nil
}

func (t *trial) noteCost(w work, seconds, cpu, own float64) {
	if w.bytes > 0 {
		t.result[mibPerSecond] = float64(w.bytes) / (1 << 20) / seconds
		t.result[cpuPerGiB] = cpu / (float64(w.bytes) / (1 << 30))
		return
	}
	t.result[perSecond] = float64(w.count) / seconds
	t.result[cpuEach] = cpu / float64(w.count) * 1e6
	t.result[clientEach] = own / float64(w.count) * 1e6
}

// noteLatencies leaves those out of which there are too few to speak of a 99th percentile.
func (t *trial) noteLatencies() {
	if all := t.took.take(); len(all) >= 16 {
		t.result[p50], t.result[p99] = milliseconds(percentile(all, 0.5)), milliseconds(percentile(all, 0.99))
	}
}

// drop leaves metrics out that mean nothing in this scenario.
func (t *trial) drop(names ...string) {
	for _, name := range names {
		delete(t.result, name)
	}
}

// share does n tasks over so many connections. Connection w has the tasks w, w+connections, ...: no upload is asked for
// by two at once, which a locking server would have to queue. It returns the first error.
func (t *trial) share(connections, n int, task func(k *conn, i int) error) error {
	errs := make(chan error, connections)
	var wg sync.WaitGroup
	for w := range connections {
		wg.Go(func() {
			k, err := t.dial()
			if err != nil {
				errs <- err
				return
			}
			defer k.Close()
			for i := w; i < n; i += connections {
				if err := task(k, i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

// verify reads all back.
func (t *trial) verify(all []upload) error {
	return t.share(4, len(all), func(k *conn, i int) error { return k.verify(all[i]) })
}
