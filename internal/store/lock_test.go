package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/upload"
)

// holding takes the lock of id in a goroutine and tells in order when it has it.
type queue struct {
	*testing.T
	l     *Locks
	order chan int
	let   chan struct{} // lets the next holder go
}

func (q *queue) join(ctx context.Context, number int, interrupt func()) {
	go func() {
		unlock, err := q.l.Lock(ctx, "x", interrupt)
		if err != nil {
			q.order <- -number
			return
		}
		q.order <- number
		<-q.let
		unlock()
	}()
	synctest.Wait()
}

func newQueue(t *testing.T) *queue {
	return &queue{t, NewLocks(nil), make(chan int, 100), make(chan struct{})}
}

// next lets the holder go and says who comes next.
func (q *queue) next() int {
	q.let <- struct{}{}
	return <-q.order
}

func (q *queue) empty() {
	q.Helper()
	synctest.Wait()
	if n := len(q.l.held); n != 0 {
		q.Errorf("%d locks are kept, want 0", n)
	}
}

func TestANewcomerInterruptsTheHolderAndGetsTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLocks(nil)
		stop := make(chan struct{})
		unlock, err := l.Lock(t.Context(), "x", func() { close(stop) })
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			<-stop
			unlock()
		}()
		began := time.Now()
		unlock, err = l.Lock(t.Context(), "x", func() {})
		if err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(began); waited != 0 { // on the bubble's clock: nothing polls
			t.Errorf("waited %s", waited)
		}
		unlock()
		if len(l.held) != 0 {
			t.Errorf("%d locks are kept, want 0", len(l.held))
		}
	})
}

func TestEveryNewcomerInterruptsTheHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t)
		interrupts := 0
		q.join(t.Context(), 1, func() { interrupts++ })
		for i := range 3 {
			if interrupts != i {
				t.Errorf("%d interrupts, want %d", interrupts, i)
			}
			q.join(t.Context(), 2+i, func() {})
		}
		for want := range 4 {
			if got := <-q.order; got != want+1 {
				t.Errorf("got %d, want %d", got, want+1)
			}
			q.let <- struct{}{}
		}
		q.empty()
	})
}

func TestAnInterruptReachesAHolderWhoseLockHasNotReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t)
		q.join(t.Context(), 1, func() {})
		var interrupted atomic.Bool
		told := make(chan bool, 1)
		go func() { // becomes the holder while another waits already
			unlock, err := q.l.Lock(t.Context(), "x", func() { interrupted.Store(true) })
			if err != nil {
				t.Error(err)
			}
			told <- interrupted.Load()
			unlock()
		}()
		synctest.Wait()
		q.join(t.Context(), 3, func() {})
		<-q.order
		q.let <- struct{}{}
		if !<-told {
			t.Error("the holder was not interrupted though another waits")
		}
		if got := <-q.order; got != 3 {
			t.Errorf("then %d holds, want 3", got)
		}
		q.let <- struct{}{}
		q.empty()
	})
}

func TestAHolderIsNotInterruptedWhenNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t)
		q.join(t.Context(), 1, func() {})
		q.join(t.Context(), 2, func() { t.Error("interrupted") })
		<-q.order
		if got := q.next(); got != 2 {
			t.Errorf("got %d, want 2", got)
		}
		q.let <- struct{}{}
		q.empty()
	})
}

func TestWaitersAreServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t)
		const waiters = 20
		for i := range waiters {
			q.join(t.Context(), i+1, func() {})
		}
		if got := <-q.order; got != 1 {
			t.Errorf("got %d, want 1", got)
		}
		for want := 2; want <= waiters; want++ {
			if got := q.next(); got != want {
				t.Errorf("got %d, want %d", got, want)
			}
		}
		q.let <- struct{}{}
		q.empty()
	})
}

func TestAWaiterWhoGivesUpIsLockedOutAndLeavesNoTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t)
		q.join(t.Context(), 1, func() {})
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("enough"))
		defer cancel()
		for i := range 5 {
			waiter := t.Context()
			if i%2 == 0 {
				waiter = ctx
			}
			q.join(waiter, 2+i, func() {})
		}
		<-q.order
		<-ctx.Done()
		synctest.Wait()
		gone := map[int]bool{<-q.order: true, <-q.order: true, <-q.order: true}
		if !gone[-2] || !gone[-4] || !gone[-6] {
			t.Errorf("given up: %v, want 2, 4 and 6", gone)
		}
		for _, want := range []int{3, 5} {
			if got := q.next(); got != want {
				t.Errorf("got %d, want %d", got, want)
			}
		}
		q.let <- struct{}{}
		q.empty()
	})
}

func TestGivingUpIsErrLocked(t *testing.T) {
	l := NewLocks(nil)
	unlock, err := l.Lock(t.Context(), "x", func() {})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Lock(ctx, "x", func() {}); !errors.Is(err, upload.ErrLocked) {
		t.Errorf("got %v, want %v", err, upload.ErrLocked)
	}
	unlock()
	if len(l.held) != 0 {
		t.Errorf("%d locks are kept, want 0", len(l.held))
	}
}

// The waiter has turned to leave when the lock becomes its own: cancel decides for it, and then it finds the locks busy.
func TestALockGrantedToOneWhoGivesUpIsHandedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t)
		if _, err := q.l.Lock(t.Context(), "x", func() {}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		q.join(ctx, 2, func() {})
		q.join(t.Context(), 3, func() {})
		q.l.mu.Lock()
		cancel()
		q.l.handOn("x") // by the first holder
		q.l.mu.Unlock()
		if got := <-q.order; got != -2 {
			t.Errorf("got %d, want 2 to have given up", got)
		}
		if got := <-q.order; got != 3 {
			t.Errorf("got %d, want 3", got)
		}
		q.let <- struct{}{}
		q.empty()
	})
}

func TestWaitsAreMeasuredForThoseWhoGetTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var waits []time.Duration
		l := NewLocks(func(d time.Duration) { waits = append(waits, d) })
		first, _ := l.Lock(t.Context(), "x", func() {})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		l.Lock(ctx, "x", func() {})
		time.AfterFunc(time.Minute, first)
		second, _ := l.Lock(t.Context(), "x", func() {})
		second()
		if len(waits) != 2 || waits[0] != 0 || waits[1] != time.Minute {
			t.Errorf("got %v, want 0 and a minute", waits)
		}
	})
}

func TestManyNeverHoldOneLockTogether(t *testing.T) {
	l := NewLocks(nil)
	ids := []upload.ID{"a", "b", "c"}
	holders := make([]int, len(ids)) // guarded by the lock: the race detector watches
	var inside [3]atomic.Int32
	var all sync.WaitGroup
	for seed := range uint64(32) {
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, 1))
			for range 300 {
				at := random.IntN(len(ids))
				ctx, cancel := context.WithCancel(t.Context())
				if random.IntN(3) == 0 {
					go cancel()
				}
				unlock, err := l.Lock(ctx, ids[at], func() {})
				cancel()
				if err != nil {
					continue
				}
				if inside[at].Add(1) != 1 {
					t.Error("two hold the lock")
				}
				holders[at]++
				inside[at].Add(-1)
				unlock()
			}
		})
	}
	all.Wait()
	if len(l.held) != 0 {
		t.Errorf("%d locks are kept, want 0", len(l.held))
	}
}

func TestAPatientWaiterInterruptsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLocks(nil)
		interrupted := 0
		unlock, err := l.Lock(t.Context(), "x", func() { interrupted++ })
		if err != nil {
			t.Fatal(err)
		}
		order := make(chan string, 2)
		go func() {
			unlock, _ := l.LockPatiently(t.Context(), "x", func() { interrupted += 10 })
			order <- "patient"
			unlock()
		}()
		synctest.Wait()
		if interrupted != 0 {
			t.Error("the holder was interrupted")
		}
		go func() {
			unlock, _ := l.Lock(t.Context(), "x", func() {})
			order <- "other"
			unlock()
		}()
		synctest.Wait()
		if interrupted != 1 {
			t.Errorf("got %d interrupts, want that of the other", interrupted)
		}
		unlock()
		synctest.Wait()
		if first, second := <-order, <-order; first != "patient" || second != "other" || interrupted != 11 {
			t.Errorf("got %s, %s, %d", first, second, interrupted)
		}
	})
}
