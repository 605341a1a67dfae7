package store_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"testing"

	"sluice/internal/durable/faultfs"
	"sluice/internal/upload"
)

var errChecksum = upload.ErrChecksumMismatch

func passed(io.Reader) error    { return nil }
func notPassed(io.Reader) error { return errChecksum }

// scripts are what is disturbed.
var scripts = []struct {
	name  string
	steps []step
}{
	{"create", []step{create(one), create(two)}},
	{"chunks", []step{create(one), send(one, chunk{to: 5000}), send(one, chunk{to: 5100}), send(one, chunk{to: 13000, by: 1500})}},
	{"nothing", []step{create(empty), complete(empty), publish(empty), terminate(empty)}},
	{"checksum", []step{create(one), send(one, chunk{to: 3000}),
		send(one, chunk{to: 9000, by: 2000, check: upload.Check{Announced: true, Verify: passed}}), send(one, chunk{to: 13000})}},
	{"checksums one after another", []step{create(one),
		send(one, chunk{to: 5000, check: upload.Check{Announced: true, Verify: passed}}),
		send(one, chunk{to: 13000, check: upload.Check{Announced: true, Verify: passed}})}},
	{"wrong checksum", []step{create(one), send(one, chunk{to: 3000}),
		send(one, chunk{to: 9000, by: 3000, wrong: true, check: upload.Check{Announced: true, Verify: notPassed}, answer: errChecksum, back: true}),
		send(one, chunk{to: 9000})}},
	{"checksum that never came", []step{create(one), send(one, chunk{to: 3000}),
		send(one, chunk{to: 9000, by: 3000, wrong: true, end: errBroken, check: upload.Check{Announced: true, Verify: notPassed}, answer: errBroken, back: true}),
		send(one, chunk{to: 9000})}},
	{"checksum at the end", []step{create(one), send(one, chunk{to: 3000}),
		send(one, chunk{to: 9000, check: upload.Check{Quiet: true, Verify: notPassed}, answer: errChecksum, back: true}),
		send(one, chunk{to: 13000, check: upload.Check{Quiet: true, Verify: passed}})}},
	{"connection lost", []step{create(one), send(one, chunk{to: 7000, by: 3000, end: errBroken, answer: errBroken}), send(one, chunk{to: 13000})}},
	{"too long", []step{create(one), send(one, chunk{to: 8000}),
		send(one, chunk{to: 13000, long: true, check: upload.Check{Quiet: true}, answer: upload.ErrTooLarge, back: true}), send(one, chunk{to: 13000})}},
	{"too large by its own word", []step{create(one), send(one, chunk{to: 5000}),
		send(one, chunk{to: 9000, end: upload.ErrTooLarge, check: upload.Check{Quiet: true}, answer: upload.ErrTooLarge, back: true}), send(one, chunk{to: 13000})}},
	{"judged", []step{create(unworthy), send(unworthy, chunk{to: 9000, by: 1500, answer: unwanted})}},
	{"deferred length", []step{create(openEnded), send(openEnded, chunk{to: 5000}), declare(openEnded), send(openEnded, chunk{to: 6000}), complete(openEnded), publish(openEnded)}},
	{"published", []step{create(one), send(one, chunk{to: 13000}), complete(one), publish(one)}},
	{"at once", []step{create(one), create(two), send(one, chunk{to: 13000, check: upload.Check{Whole: true}}), publish(one),
		send(two, chunk{to: 5000, by: 2000, check: upload.Check{Whole: true}}), terminate(one)}},
	{"at once, with a checksum", []step{create(one), send(one, chunk{to: 13000, check: upload.Check{Whole: true, Quiet: true, Verify: passed}}), publish(one)}},
	{"rejected", []step{create(one), send(one, chunk{to: 13000}), complete(one), reject(one), terminate(one)}},
	{"terminated", []step{create(one), send(one, chunk{to: 5000}), terminate(one)}},
	{"terminated when ready", []step{create(one), send(one, chunk{to: 13000}), complete(one), publish(one), terminate(one)}},
	{"stopped", []step{create(one), send(one, chunk{to: 5000}), stop, send(one, chunk{to: 13000}), stop, complete(one), publish(one), stop}},
	{"killed", []step{create(one), send(one, chunk{to: 5000}), kill, look, send(one, chunk{to: 13000}), kill, look, publish(one)}},
	{"two uploads", []step{create(one), create(two), send(one, chunk{to: 5000}), send(two, chunk{to: 5000}), send(one, chunk{to: 13000}),
		complete(two), terminate(two), complete(one), publish(one)}},
}

var errBroken = errors.New("connection lost")

func TestWhateverGoesWrongWhereverTheStoreKeepsItsWord(t *testing.T) {
	t.Cleanup(func(was int) func() { return func() { debug.SetGCPercent(was) } }(debug.SetGCPercent(300))) // many small disks
	much := howMuch()
	for i, w := range much.worlds {
		for j, script := range scripts {
			t.Run(fmt.Sprintf("%v/%s", w, script.name), func(t *testing.T) {
				t.Parallel()
				p := newPlay(t, w)
				p.run(script.steps)
				p.letGo()
				runs := 0
				for k, op := range p.fs.Ops() {
					for _, f := range much.faults(k+1, i+j, op) {
						if t.Failed() {
							return
						}
						p := newPlay(t, w)
						p.fault = f
						p.run(script.steps)
						p.aftermath()
						p.letGo()
						runs++
					}
				}
				t.Logf("%d operations, %d runs", len(p.fs.Ops()), runs)
			})
		}
	}
}

// effort is how much is tried.
type effort struct {
	worlds []world
	faults func(k, salt int, op faultfs.Op) []fault
}

// howMuch is everything with SOAK=1. Else it is some of it, which is different for each operation; and less under the race
// detector, which is no faster for that.
func howMuch() effort {
	switch {
	case os.Getenv("SOAK") == "1":
		var all []world
		for i := range 12 {
			all = append(all, world{i&1 == 0 || i >= 8, i&2 == 0, i&4 == 0, i >= 8})
		}
		return effort{all, everyFault}
	case raced():
		return effort{mostWorlds[1:2], aFault}
	}
	return effort{mostWorlds, fewFaults}
}

// raced tells that the race detector looks on.
func raced() bool {
	build, _ := debug.ReadBuildInfo()
	return build != nil && slices.Contains(build.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// mostWorlds are those that differ in more than where files lie.
var mostWorlds = []world{
	{true, true, false, true}, {true, false, true, false}, {true, true, false, false}, {false, false, false, false}, {false, true, true, false},
}

// everyFault is all that can happen at an operation, and sixteen power cuts, among them every extreme. The others are different for
// each operation.
func everyFault(k, salt int, op faultfs.Op) (all []fault) {
	for n := range uint64(16) {
		seed := n
		if n >= faultfs.Corners {
			seed += 16 * uint64(k*31+salt*7)
		}
		all = append(all, fault{k, faultfs.Killed, true, seed})
		if op.Name == "File.WriteAt" {
			all = append(all, fault{k, faultfs.Fatal, true, seed})
		}
		if n < 4 {
			all = append(all, fault{k, faultfs.Refused, false, seed}, fault{k, faultfs.Unsaid, false, seed},
				fault{k, faultfs.Fatal, false, seed}, fault{k, faultfs.Killed, false, seed})
		}
	}
	return all
}

// someFaults are a failure, the death of the process, and three power cuts, one of which is an extreme.
func someFaults(k, salt int, op faultfs.Op) []fault {
	seed, dies := uint64(k*31+salt*7), faultfs.Killed
	if op.Name == "File.WriteAt" && k%3 > 0 {
		dies = faultfs.Fatal
	}
	return []fault{
		{k, []faultfs.How{faultfs.Refused, faultfs.Unsaid}[(k+salt)%2], false, seed},
		{k, dies, false, seed},
		{k, dies, true, seed % faultfs.Corners},
		{k, dies, true, faultfs.Corners + seed},
		{k, faultfs.Killed, true, faultfs.Corners + 1 + seed},
	}
}

// fewFaults are someFaults but for one of the first two, and one of the power cuts.
func fewFaults(k, salt int, op faultfs.Op) []fault {
	all := someFaults(k, salt, op)
	return []fault{all[(k+salt)/2%2], all[2], all[3+(k+salt)%2]}
}

// aFault is one of someFaults, and a power cut.
func aFault(k, salt int, op faultfs.Op) []fault {
	all := someFaults(k, salt, op)
	return []fault{all[(k+salt)/2%3], all[3]}
}
