package store

import (
	"testing"
	"testing/synctest"
	"time"
)

// A walk rests for as long as it works, in short turns; one that is alone does not.
func TestAWalkRestsAsLongAsItWorks(t *testing.T) {
	for _, alone := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			const records, each = 10 * breathAfter, time.Millisecond
			b, began, longest := breath{alone: alone}, time.Now(), time.Duration(0)
			for range records {
				turn := time.Now()
				b.step()
				longest = max(longest, time.Since(turn))
				time.Sleep(each) // it works
			}
			rested := time.Since(began) - records*each
			if want := (records - breathAfter) * each; !alone && (rested < want || longest > breathAfter*each) {
				t.Errorf("it rested for %v, %v at a time, want %v, %v at a time", rested, longest, want, breathAfter*each)
			}
			if alone && rested > 0 {
				t.Errorf("alone it rested for %v", rested)
			}
		})
	}
}
