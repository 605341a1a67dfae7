package main

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// baseMemory is what the server needs beside the pictures in the making: buffers for fast connections (64 MiB), slow ones
	// and records, and itself.
	baseMemory = 256 << 20
	// uncounted is what the runtime's limit leaves out: the program's own pages (20 MiB), and that it is a soft limit.
	uncounted = 48 << 20

	// growPercent and spare say how much garbage may pile up before it is collected: a tenth of what lives, and a tenth of spare. By
	// itself it is all that lives: next to nothing for many small requests, too much beside a thousand slow connections.
	growPercent = 10
	spare       = 32 << 20
	// busyPercent is growPercent while much is made: 70 MB a second, with which small uploads by the thousand come. A collection costs as
	// much as lives, so a few MiB more spare a twentieth of the processor time.
	busyPercent = 30
	// crowd is how many goroutines are those of so many connections that memory counts more: each has three.
	crowd = 1000
	// busyWithin and calmAfter are how long some collections in a row take when the one begins, and when it ends.
	busyWithin = 400 * time.Millisecond
	calmAfter  = 2 * time.Second
	// ownHeap is how far the heap may grow without pictures.
	ownHeap = baseMemory + spare - uncounted
)

// paceCollector sets how often garbage is collected, unless GOGC in the environment does. It is called before there is any garbage, and
// done at the end.
func paceCollector() (done func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	debug.SetGCPercent(growPercent)
	stop := afterEach(new(pacer).ended)
	unused := make([]byte, spare) // counts as alive, and takes no memory: it is fresh from the system, and nobody touches it
	return func() {
		stop()
		runtime.KeepAlive(unused)
	}
}

// pacer changes between growPercent and busyPercent. One collection calls it after the other, so it needs no lock.
type pacer struct {
	times [8]time.Time // of the last collections
	next  int          // in times
	busy  bool
}

// collected is an object that a collection takes.
type collected struct{ _ *pacer }

// afterEach has do done after each collection, one after the other, until stop is called.
func afterEach(do func()) (stop func()) {
	var stopped atomic.Bool
	var watch func()
	watch = func() {
		runtime.AddCleanup(new(collected), func(watch func()) {
			if !stopped.Load() {
				do()
				watch()
			}
		}, watch)
	}
	watch()
	return func() { stopped.Store(true) }
}

// ended is told of each collection.
func (p *pacer) ended() {
	if busy := p.busy; p.count(time.Now(), runtime.NumGoroutine()) != busy {
		debug.SetGCPercent(p.percent())
	}
}

// count notes a collection at now, beside so many goroutines, and tells whether more may pile up.
func (p *pacer) count(now time.Time, goroutines int) (busy bool) {
	took := now.Sub(p.times[p.next])
	p.times[p.next] = now
	p.next = (p.next + 1) % len(p.times)
	within := busyWithin
	if p.busy {
		within = calmAfter
	}
	p.busy = took < within && goroutines < crowd
	return p.busy
}

func (p *pacer) percent() int {
	if p.busy {
		return busyPercent
	}
	return growPercent
}

// limitMemory tells the runtime how far the heap may grow before it collects harder: freed pictures must not pile up beside
// those that the gate counts. GOMEMLIMIT in the environment has been taken by the runtime already, and stays.
func limitMemory(images int64) {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(images + ownHeap)
	}
}

// newLender returns what lowers the limit by what children have of the pictures' memory, and raises it when they give it back:
// else the heap could keep freed pictures up to the limit, and the children would come on top.
func newLender() func(bytes int64) {
	var mu sync.Mutex
	var all, lent int64 // guarded by mu
	return func(bytes int64) {
		mu.Lock()
		defer mu.Unlock()
		if lent == 0 {
			all = debug.SetMemoryLimit(-1)
		}
		lent += bytes
		if lent == 0 || all == math.MaxInt64 {
			debug.SetMemoryLimit(all)
			return
		}
		debug.SetMemoryLimit(max(all-lent, min(all, ownHeap)))
	}
}
