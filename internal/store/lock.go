package store

import (
	"context"
	"slices"
	"sync"
	"time"

	"sluice/internal/upload"
)

// Locks gives each upload at most one holder. A newcomer has the holder interrupted, and gets the lock as soon as that one
// lets go. They live in memory: one process holds the data directory, and a lock must die with it.
//
// The zero value is not usable; see [NewLocks]. All methods may be called concurrently.
type Locks struct {
	mu     sync.Mutex
	held   map[upload.ID]hold  // an entry exactly while somebody holds the lock
	waited func(time.Duration) // told of every wait that ended in holding
}

// hold is a lock that somebody has.
type hold struct {
	interrupt func()    // the holder's; called for every newcomer, with Locks.mu held
	waiters   []*waiter // in order of arrival
}

type waiter struct {
	interrupt func()
	patient   bool          // it lets the holder come to its end
	granted   chan struct{} // closed, with Locks.mu held, when the waiter has become the holder
}

// NewLocks returns an empty set of locks. waited is told how long each holder had to wait, and may be nil.
func NewLocks(waited func(time.Duration)) *Locks {
	if waited == nil {
		waited = func(time.Duration) {}
	}
	return &Locks{held: make(map[upload.ID]hold), waited: waited}
}

// Lock waits until the caller holds id, or until ctx is done: then [upload.ErrLocked]. Waiters are served in order.
//
// interrupt is called when somebody else wants the lock, from then on at any moment until unlock returns, also before Lock
// itself has returned, possibly more than once. It must make the holder stop soon, must not block, and must not call Locks.
// There is no window in which it is lost: it is registered in the same step that makes the caller the holder, and called at
// once when others are waiting already.
//
// unlock must be called exactly once.
func (l *Locks) Lock(ctx context.Context, id upload.ID, interrupt func()) (unlock func(), err error) {
	return l.lock(ctx, id, interrupt, false)
}

// LockPatiently is Lock for somebody who has nobody interrupted.
func (l *Locks) LockPatiently(ctx context.Context, id upload.ID, interrupt func()) (unlock func(), err error) {
	return l.lock(ctx, id, interrupt, true)
}

func (l *Locks) lock(ctx context.Context, id upload.ID, interrupt func(), patient bool) (unlock func(), err error) {
	began := time.Now()
	if w := l.enter(id, interrupt, patient); w != nil {
		select {
		case <-w.granted:
		case <-ctx.Done():
			if !l.abandon(id, w) {
				l.unlock(id) // granted in the same moment: hand it on
			}
			return nil, upload.ErrLocked
		}
	}
	l.waited(time.Since(began))
	return func() { l.unlock(id) }, nil
}

// TryLock takes the lock of id if nobody holds it. It never interrupts anybody, and who comes while it is held waits: hold it
// briefly. unlock must be called exactly once.
func (l *Locks) TryLock(id upload.ID) (unlock func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, held := l.held[id]; held {
		return nil, false
	}
	l.held[id] = hold{interrupt: func() {}}
	return func() { l.unlock(id) }, true
}

// enter makes the caller the holder, or returns the waiter that it has put into the queue.
func (l *Locks) enter(id upload.ID, interrupt func(), patient bool) *waiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, held := l.held[id]
	if !held {
		l.held[id] = hold{interrupt: interrupt}
		return nil
	}
	w := &waiter{interrupt, patient, make(chan struct{})}
	h.waiters = append(h.waiters, w)
	l.held[id] = h
	if !patient {
		h.interrupt()
	}
	return w
}

// abandon takes w out of the queue and tells whether it was still in it.
func (l *Locks) abandon(id upload.ID, w *waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.held[id]
	i := slices.Index(h.waiters, w)
	if i < 0 {
		return false
	}
	h.waiters = slices.Delete(h.waiters, i, i+1)
	l.held[id] = h
	return true
}

func (l *Locks) unlock(id upload.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handOn(id)
}

// handOn makes the first who waits for id the holder. l.mu is held.
func (l *Locks) handOn(id upload.ID) {
	h := l.held[id]
	if len(h.waiters) == 0 {
		delete(l.held, id)
		return
	}
	next := h.waiters[0]
	h.waiters = h.waiters[1:]
	h.interrupt = next.interrupt
	l.held[id] = h
	close(next.granted)
	if slices.ContainsFunc(h.waiters, func(w *waiter) bool { return !w.patient }) {
		next.interrupt()
	}
}
