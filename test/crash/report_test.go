package crash

import (
	"fmt"
	"sync"
)

// report collects what went wrong. All methods may be called concurrently.
type report struct {
	mu    sync.Mutex
	where string // the round
	lines []string
	more  int // that were left out
}

// shown is how many lines a report keeps: one fault is often found in many places.
const shown = 20

// enter says in which round what follows was found.
func (r *report) enter(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.where = fmt.Sprintf(format, args...)
}

func (r *report) add(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lines) == shown {
		r.more++
		return
	}
	r.lines = append(r.lines, r.where+": "+fmt.Sprintf(format, args...))
}

func (r *report) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.lines) > 0
}
