package main

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"sluice/internal/config"
	"sluice/internal/media"
	"sluice/internal/upload"
)

// wantLimit compares what the heap may grow to.
func wantLimit(t *testing.T, want int64) {
	t.Helper()
	if got := debug.SetMemoryLimit(-1); got != want {
		t.Errorf("the heap is limited to %d bytes, want %d", got, want)
	}
}

func TestHeapLendsToChildren(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(1 << 30))
	lend := newLender()
	lend(300 << 20)
	wantLimit(t, 724<<20)
	lend(200 << 20)
	wantLimit(t, 524<<20)
	lend(-300 << 20)
	wantLimit(t, 824<<20)
	lend(-200 << 20)
	wantLimit(t, 1<<30)
	lend(2 << 30) // more than there is: the server itself goes on
	wantLimit(t, ownHeap)
	lend(-2 << 30)
	wantLimit(t, 1<<30)

	debug.SetMemoryLimit(math.MaxInt64)
	lend(1 << 20)
	wantLimit(t, math.MaxInt64)
	lend(-1 << 20)
}

func TestGarbageIsCollectedAsTheEnvironmentSays(t *testing.T) {
	for env, want := range map[string]int{"": growPercent, "100": 77} {
		t.Setenv("GOGC", env)
		before := debug.SetGCPercent(77) // as the runtime took it from the environment
		done := paceCollector()
		if got := debug.SetGCPercent(before); got != want {
			t.Errorf("GOGC=%q: got %d, want %d", env, got, want)
		}
		done()
	}
}

func TestMoreGarbageMayPileUpWhileMuchIsMade(t *testing.T) {
	now := time.Unix(1e9, 0)
	var p pacer
	run := func(n int, every time.Duration, goroutines int) (percent int) {
		for range n {
			now = now.Add(every)
			p.count(now, goroutines)
		}
		return p.percent()
	}
	const few, soon = len(p.times) / 2, busyWithin / time.Duration(len(p.times)+1)
	for i, step := range []struct {
		n          int
		every      time.Duration
		goroutines int
		want       int
	}{
		{1, time.Millisecond, 10, growPercent},             // the first of all
		{few, time.Millisecond, 10, growPercent},           // a burst
		{20, busyWithin, 10, growPercent},                  // now and then
		{20, soon, 10, busyPercent},                        // all the time
		{20, 2 * soon, 10, busyPercent},                    // of larger heaps
		{few, time.Millisecond, 10, busyPercent},           //
		{1, calmAfter, 10, growPercent},                    // the last one was long ago
		{20, soon, 10, busyPercent},                        //
		{len(p.times) + 1, calmAfter / 4, 10, growPercent}, // it becomes quiet
		{20, soon, 10, busyPercent},                        //
		{1, soon, crowd, growPercent},                      // many come
		{20, soon, crowd, growPercent},                     //
		{1, soon, 10, busyPercent},                         // and go
	} {
		if got := run(step.n, step.every, step.goroutines); got != step.want {
			t.Errorf("step %d: got %d, want %d", i, got, step.want)
		}
	}
}

func TestEveryCollectionIsTold(t *testing.T) {
	told := make(chan struct{}, 100)
	stop := afterEach(func() { told <- struct{}{} })
	defer stop()
	for range 3 {
		for len(told) == 0 {
			runtime.GC()
		}
		<-told
	}
}

// The start fails if the gate is below what one picture may need. config reckons that without knowing the decoders, so what they
// are charged must not be more: for the worst picture that the header of a HEIC can announce.
func TestConfiguredBoundCoversForeignPictures(t *testing.T) {
	data, err := os.ReadFile("../../internal/media/testdata/alpha10.heic")
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; ; at += 4 { // sizes of all items: as many pixels as a profile may take
		next := bytes.Index(data[at:], []byte("ispe"))
		if next < 0 {
			break
		}
		at += next
		binary.BigEndian.PutUint64(data[at+8:], 7000<<32|7000)
	}
	info, err := media.Inspect(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, edges := range [][]int{{64}, {512, 256, 64}, {4096, 512}} {
		row := upload.Profile{MaxBytes: int64(len(data)), MaxPixels: info.Pixels(), Variants: edges, Accept: []string{"image/heic"}}
		charged, bound := int64(len(data))+info.DecodeBytes(edges), config.WholeJobBytes(row, true)
		if charged > bound {
			t.Errorf("%v: %d bytes are charged, more than the bound of %d", edges, charged, bound)
		}
	}
}
