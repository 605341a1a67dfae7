package store

import (
	"sync"
	"testing"
)

// net/http gives up one connection where a handler panics. What runs on a stack of its own must not end the process instead.
func TestPanicAtTheEndOfAnUploadIsItsCallersAlone(t *testing.T) {
	f := &File{atDisk: make(chan struct{}, maxAtDisk), slowly: make(chan struct{}, maxSlowAtDisk)}
	for i := range 2 * (maxAtDisk + 1) { // more than may end at once
		func() {
			defer func() {
				if cause := recover(); cause != "broken" {
					t.Fatalf("got panic %v", cause)
				}
			}()
			f.ending(i%2 == 0, func() { panic("broken") })
		}()
	}
}

// Slow connections that end together neither keep the others from it nor end all at once.
func TestFewSlowUploadsEndAtOnceBesideTheOthers(t *testing.T) {
	f := &File{atDisk: make(chan struct{}, maxAtDisk), slowly: make(chan struct{}, maxSlowAtDisk)}
	begun, goOn := make(chan struct{}, 2*maxSlowAtDisk), make(chan struct{})
	var all sync.WaitGroup
	for range cap(begun) {
		all.Go(func() {
			f.ending(true, func() {
				begun <- struct{}{}
				<-goOn
			})
		})
	}
	for range maxSlowAtDisk {
		<-begun
	}
	f.ending(false, func() {
		if slow, others := len(f.slowly), len(f.atDisk); slow != maxSlowAtDisk || others != 1 {
			t.Errorf("%d slow ones end and %d others, want %d and 1", slow, others, maxSlowAtDisk)
		}
	})
	close(goOn)
	all.Wait()
	if n := len(begun); n != maxSlowAtDisk {
		t.Errorf("%d of the other %d have ended", n, maxSlowAtDisk)
	}
}
