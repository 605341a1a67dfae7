package crash

import (
	"context"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

// clients is how many upload at once.
const clients = 8

// TestWhatWasAcknowledgedSurvivesKills is the package.
func TestWhatWasAcknowledgedSurvivesKills(t *testing.T) {
	tr := newTrial(t)
	for tr.round = 1; tr.killed < tr.kills && !tr.report.failed(); tr.round++ {
		tr.play(t.Context())
	}
	if !tr.report.failed() {
		tr.finish(t.Context())
	}
	tr.conclude(t)
}

// start starts the server and waits until it is ready.
func (tr *trial) start(data, durability string) (*life, error) {
	began := time.Now()
	s, err := launch(data, durability)
	if err != nil {
		return nil, err
	}
	base, err := s.ready()
	tr.log = s.log.String()
	tr.starts = time.Since(began)
	return newLife(s, base, &tr.report), err
}

// play is a round: start, verify, load, kill; then now and then kill again while the server starts.
func (tr *trial) play(ctx context.Context) {
	durability := []string{"always", "none"}[tr.round%2]
	tr.enter("seed %d, round %d, kill %d, durability %s", tr.seed, tr.round, tr.killed, durability)
	l, err := tr.start(tr.world.data, durability)
	if err != nil {
		tr.add("%v", err)
		return
	}
	tr.adopt()
	if tr.rand.IntN(4) > 0 { // else the clients are first to come, and the kill comes while they find out how things are
		tr.verify(ctx, l)
	}
	if tr.failed() {
		tr.kill(l.server)
		return
	}
	tr.load(ctx, l)
	for tr.rand.IntN(3) == 0 && tr.killed < tr.kills && !tr.failed() {
		tr.killAtStart(durability)
	}
}

func (tr *trial) client(l *life, n uint64) *client {
	return &client{life: l, world: tr.world, rand: rand.New(rand.NewPCG(tr.seed, uint64(tr.round)<<8+n))}
}

// adopt is world.adopt, when the server has just started.
func (tr *trial) adopt() {
	if err := tr.world.adopt(); err != nil {
		tr.add("%v", err)
	}
}

// verify holds everything against what is known.
func (tr *trial) verify(ctx context.Context, l *life) {
	if tr.failed() {
		return
	}
	c := tr.client(l, 0)
	c.each(tr.world.all(), func(u *upload) error { return c.verify(ctx, u) })
	if tr.failed() {
		return
	}
	if err := tr.world.awaitOrder(patience); err != nil {
		tr.add("data directory: %v", err)
	}
}

// load lets clients loose and kills the server at some instant.
func (tr *trial) load(ctx context.Context, l *life) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var work sync.WaitGroup
	for n := range uint64(clients) {
		c := tr.client(l, n+1)
		work.Go(func() { c.work(ctx) })
	}
	onlooker := tr.client(l, clients+1)
	work.Go(func() { onlooker.watch(ctx) })

	select {
	case <-l.flowing:
	case <-l.server.ended:
	case <-time.After(patience):
		tr.add("nothing is answered")
	}
	longest := []time.Duration{60 * time.Millisecond, 600 * time.Millisecond}[tr.rand.IntN(2)]
	time.Sleep(time.Duration(tr.rand.Int64N(int64(longest)))) // the instant is chosen by chance
	l.ending.Store(true)
	tr.kill(l.server)
	stop()
	work.Wait()
	l.http.CloseIdleConnections()
}

// killAtStart starts the server and kills it before, or soon after, it is ready.
func (tr *trial) killAtStart(durability string) {
	s, err := launch(tr.world.data, durability)
	if err != nil {
		tr.add("%v", err)
		return
	}
	time.Sleep(time.Duration(tr.rand.Int64N(2 * int64(tr.starts)))) // as above
	tr.kill(s)
}

func (tr *trial) kill(s *server) {
	if err := s.kill(); err != nil {
		tr.add("%v", err)
	}
	tr.killed++
	tr.read(s)
}

// read looks through the log of a server that is gone.
func (tr *trial) read(s *server) {
	tr.log = s.log.String()
	for _, line := range s.faults() {
		tr.add("the log says %s", line)
	}
}

// finish completes what is left, verifies all of it, and stops the server.
func (tr *trial) finish(ctx context.Context) {
	tr.enter("seed %d, the end after %d kills", tr.seed, tr.killed)
	l, err := tr.start(tr.world.data, "always")
	if err != nil {
		tr.add("%v", err)
		return
	}
	defer l.http.CloseIdleConnections()
	tr.adopt()
	tr.verify(ctx, l)
	c := tr.client(l, 0)
	c.each(tr.world.all(), func(u *upload) error {
		own := tr.client(l, uint64(u.index)+1)
		if u.parts != nil {
			return own.completeJoined(ctx, u)
		}
		if u.kind == part && u.whole != nil {
			return nil
		}
		return own.complete(ctx, u)
	})
	tr.verify(ctx, l)
	tr.visitGraves(ctx, c)
	if err := l.server.stop(); err != nil {
		tr.add("%v", err)
	}
	tr.read(l.server)
	if tr.failed() {
		return
	}
	if err := tr.world.awaitOrder(0); err != nil {
		tr.add("data directory after the stop: %v", err)
	}
}

// visitGraves sees that what was removed is still gone, and that what nobody was told of is not there.
func (tr *trial) visitGraves(ctx context.Context, c *client) {
	graves := maps.Clone(tr.world.graves)
	maps.Copy(graves, tr.world.strays)
	for grave := range graves {
		for _, p := range []profile{files, videos, avatars} {
			id, of := strings.CutPrefix(grave, p.dir+"/")
			if !of || tr.failed() {
				continue
			}
			a, err := c.ask(ctx, request{method: "HEAD", path: p.path + id})
			if err == nil && a.status != 404 && a.status != 410 {
				tr.add("%s is gone, or never was, and HEAD got %d", grave, a.status)
			}
		}
	}
}
