package store

import "time"

// breath keeps a walk over every upload from standing in the way of those that flow: it rests for as long as it worked, and never works
// for long. It is for one goroutine.
type breath struct {
	alone bool // nothing flows: no rest
	steps int
	since time.Time // of the last rest
}

// breathAfter is how many records are looked at between two rests: for about a millisecond.
const breathAfter = 32

// step is called for each record.
func (b *breath) step() {
	if b.since.IsZero() {
		b.since = time.Now()
	}
	if b.steps++; b.alone || b.steps%breathAfter != 0 {
		return
	}
	time.Sleep(time.Since(b.since))
	b.since = time.Now()
}
