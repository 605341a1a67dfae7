package store

import (
	"sync"
	"time"
)

// waiting is bytes of a chunk that are not written yet, since more may come to make whole blocks of them. They do not wait for long.
type waiting struct {
	timer *time.Timer

	mu      sync.Mutex // makes the goroutine of the chunk and the timer's take turns
	c       *chunk     // nil when it is over
	rest    []byte
	flushed bool
	err     error
}

// idle are those whose timer is not set.
var idle = sync.Pool{New: func() any {
	w := new(waiting)
	w.timer = time.AfterFunc(time.Hour, w.flush)
	w.timer.Stop()
	return w
}}

// flushSoon has rest written if that is not ended for a while. What rest is in must not be touched meanwhile. It is nil if there is
// nothing to write.
func (c *chunk) flushSoon(rest []byte) *waiting {
	if len(rest) == 0 {
		return nil
	}
	w := idle.Get().(*waiting)
	w.c, w.rest = c, rest
	w.timer.Reset(fillWithin)
	return w
}

func (w *waiting) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.c != nil {
		w.flushed, w.err = true, w.c.write(w.rest)
	}
}

// end tells whether it came to the writing.
func (w *waiting) end() (flushed bool, err error) {
	if w == nil {
		return false, nil
	}
	if w.timer.Stop() {
		w.c, w.rest = nil, nil
		idle.Put(w)
		return false, nil
	}
	w.mu.Lock() // the timer's goroutine may be on its way, so nobody else gets this one
	defer w.mu.Unlock()
	w.c = nil
	return w.flushed, w.err
}
