package power

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// maxResting is how many bytes of uploads that nobody works on are left to lie about.
const maxResting = 96 << 20

// load is many clients of one server at once. They know nothing of power cuts.
type load struct {
	client
	*ledger
	ctx    context.Context
	end    context.CancelFunc
	work   sync.WaitGroup
	ending atomic.Bool // the server may go: what fails from now on is no fault
	t      *testing.T
	made   atomic.Int64 // uploads
	faces  []plan       // pictures, with what the server makes of them

	mu      sync.Mutex
	resting []plan // uploads that nobody works on
}

// worker is one client.
type worker struct {
	*load
	random *rand.Rand
	plan   func(*worker) plan
}

// startLoad has clients work with s until the test ends, or stop is called.
func startLoad(t *testing.T, s *server, seed uint64) *load {
	l := &load{client: s.client, ledger: newLedger(), t: t}
	l.ctx, l.end = context.WithCancel(context.WithoutCancel(t.Context())) // stop comes before it ends
	t.Cleanup(l.stop)
	random := rand.New(rand.NewPCG(seed, 0))
	l.introduce(random)
	for i, plan := range []func(*worker) plan{stream, stream, stream, chunks, chunks, chunks, small, small, face} {
		w := &worker{l, rand.New(rand.NewPCG(seed, uint64(i)+1)), plan}
		l.work.Go(func() { l.judge(w.run()) })
	}
	l.work.Go(func() { l.judge(l.watch(rand.New(rand.NewPCG(seed, 100)))) })
	return l
}

// stop ends all clients. What they have under way is cut off.
func (l *load) stop() {
	l.ending.Store(true)
	l.end()
	l.work.Wait()
}

// judge fails the test for a client that met with something it should not have.
func (l *load) judge(err error) {
	if err != nil && !l.ending.Load() {
		l.t.Errorf("before any power cut: %v", err)
	}
}

// introduce uploads the pictures, and learns what the server makes of them.
func (l *load) introduce(random *rand.Rand) {
	l.t.Helper()
	w := &worker{load: l, random: random}
	for _, edge := range []int{70, 160, 300} {
		p := l.plan(avatars, picture(edge, random))
		p.first, p.smooth = p.file.size, true
		if err := w.send(p); err != nil {
			l.t.Fatal(err)
		}
		found, err := l.standing(l.ctx, l.get(p.name).url())
		if err != nil || len(found.Variants) != 3 {
			l.t.Fatalf("a picture of %d pixels has become %+v, %v", edge, found, err)
		}
		squares := make(map[string][]byte)
		for _, v := range found.Variants {
			a, err := l.ask(l.ctx, "GET", v.URL)
			if err != nil || a.status != 200 {
				l.t.Fatalf("variant %s: %d, %v", v.Name, a.status, err)
			}
			squares[v.Name] = a.body
		}
		l.change(p.name, anything, func(p *promise) { p.squares = squares })
		p.squares = squares
		l.faces = append(l.faces, p)
	}
}

// run sends one upload after the other, new ones and such as were left by somebody.
func (w *worker) run() error {
	for w.ctx.Err() == nil {
		p, left := plan{}, false
		if w.one(4) {
			p, left = w.adopt()
		}
		if !left {
			p = w.plan(w)
		}
		if err := w.send(p); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if err := w.clear(); err != nil {
			return err
		}
	}
	return nil
}

// one is true once in so many times.
func (w *worker) one(in int) bool { return w.random.IntN(in) == 0 }

// between is a number of bytes.
func (w *worker) between(low, high int64) int64 { return low + w.random.Int64N(high-low) }

// rest leaves an upload for others to go on with, or to delete.
func (l *load) rest(p plan) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resting = append(l.resting, p)
}

// adopt takes an upload that somebody has left unfinished.
func (w *worker) adopt() (plan, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, p := range w.resting {
		if now := w.get(p.name); now.state == "" && now.id != "" && w.one(2) {
			w.resting = slices.Delete(w.resting, i, i+1)
			return p, true
		}
	}
	return plan{}, false
}

// clear deletes uploads that rest, until what is left is little enough.
func (w *worker) clear() error {
	for {
		p, much := w.surplus()
		if !much {
			return nil
		}
		if err := w.remove(p.name); err != nil {
			return err
		}
	}
}

func (w *worker) surplus() (plan, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var bytes int64
	for _, p := range w.resting {
		bytes += p.file.size
	}
	if bytes <= maxResting {
		return plan{}, false
	}
	i := w.random.IntN(len(w.resting))
	p := w.resting[i]
	w.resting = slices.Delete(w.resting, i, i+1)
	return p, true
}

// watch asks for the status of uploads that grow, which tells how far they are: also an acknowledgement. Now and then it
// deletes one.
func (l *load) watch(random *rand.Rand) error {
	for l.ctx.Err() == nil {
		for _, p := range l.growing() {
			found, err := l.standing(l.ctx, p.url())
			now := l.get(p.name)
			switch {
			case now.deleting:
				continue
			case err != nil:
				return err
			case random.IntN(400) == 0:
				if err := l.remove(p.name); err != nil {
					return err
				}
			case found.Offset > now.offset:
				l.change(p.name, flowing, func(p *promise) { p.offset = max(p.offset, found.Offset) })
			}
		}
		l.pause(2 * time.Millisecond)
	}
	return nil
}

// pause keeps a client from asking for more for a while.
func (l *load) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-l.ctx.Done():
	}
}

// plan is a new upload of file.
func (l *load) plan(where profile, file content) plan {
	n := l.made.Add(1)
	if file.head == nil || where == videos {
		file.seed = n
	}
	return plan{promise: promise{name: fmt.Sprintf("%s-%d-%d", path.Base(where.path), n, file.size), profile: where, file: file}}
}
