package store

import "testing"

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
