package events

import (
	"container/heap"
	"container/list"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Backoff says how deliveries that fail are tried again. The zero value is the default.
type Backoff struct {
	First time.Duration // before the second attempt, twice as long before each further one; 1 s
	Most  time.Duration // 1 h; also of what Retry-After is believed
	Give  time.Duration // an attempt that fails so long after the first one was the last; 72 h
}

func (b Backoff) orDefault() Backoff {
	if b.First <= 0 {
		b.First = time.Second
	}
	if b.Most <= 0 {
		b.Most = time.Hour
	}
	if b.Give <= 0 {
		b.Give = 72 * time.Hour
	}
	return b
}

// after is how long to wait after so many attempts: half of it by chance, so that what failed together does not come
// together.
func (b Backoff) after(tries int, asked time.Duration) time.Duration {
	wait := min(b.First, b.Most)
	for i := 1; i < tries && wait < b.Most; i++ { // doubled, not shifted: it must not run over
		wait = min(2*wait, b.Most)
	}
	wait = wait/2 + rand.N(wait/2+1)
	return max(wait, min(asked, b.Most))
}

const (
	// maxOpen is how many events of an endpoint are looked after at once: delivered now, or waiting. At about 300 bytes each.
	// The others stay in the log unread.
	maxOpen = 4096
	// recovered is how long an endpoint must have taken nothing for its next success to be news: then what waits is tried
	// within such a time again, and not only when its own time has come.
	recovered = time.Minute
	// grace is how long deliveries that run may go on when the outbox is closed.
	grace = 2 * time.Second
	// patience is how often an event is tried, 17 minutes at least by default, that others have no room for.
	patience = 10
	// readAgain is the pause after the log, or the file of dead letters, did not do what it should.
	readAgain = 5 * time.Second
)

// delivery is an event that one endpoint has not settled.
type delivery struct {
	try
	upload string
	event  time.Time // when it happened
	place  *list.Element
	index  int       // in the heap; -1 while it is not there
	broken bool      // the last attempt failed by the endpoint's own fault
	last   time.Time // when that was
	held   time.Time // until when the endpoint does not want to be asked again
}

// dispatcher delivers to one endpoint, each upload's events in order. What follows "of run" belongs to that goroutine.
type dispatcher struct {
	to       *sender
	log      *eventLog
	progress progress
	dead     deadLetters
	backoff  Backoff
	most     int // events that are open at once
	metrics  *Metrics
	logger   *slog.Logger

	wake chan struct{} // there may be more in the log
	trim func()        // removes from the log what every endpoint has settled

	// Seen from outside.
	floor  atomic.Int64  // every event before is settled
	number atomic.Uint64 // of the last event that was read
	count  atomic.Int64  // events that are open
	oldest atomic.Int64  // when the first of them happened, Unix milliseconds; 0: none is open

	// of run
	next    int64
	open    *list.List             // of *delivery, by position
	queues  map[string][]*delivery // by upload, the first of which may be delivered
	due     dueHeap                // the first of each queue, but for those in flight
	flying  int
	results chan result
	done    map[int64]struct{} // what the log still holds and was settled before the start
	tries   map[int64]try      // what was tried before the start, and is read again
	success time.Time          // the last one
	readAt  time.Time          // not before
	silent  bool               // a failure has been told, and no success since
}

type result struct {
	*delivery
	envelope envelope
	lost     bool // the event cannot be read any more
	answer   answer
}

// start brings the dispatcher to where the last process left it.
func (d *dispatcher) start() error {
	if err := d.dead.open(); err != nil {
		return err
	}
	snap, found, err := d.progress.load()
	if err != nil {
		return err
	}
	number, _ := d.log.head()
	if !found {
		snap = snapshot{Next: d.log.end(), Number: number} // a new endpoint is told what happens from now on
	}
	d.next, d.success = max(snap.Next, firstPosition), time.Now()
	d.open, d.queues, d.results = list.New(), make(map[string][]*delivery), make(chan result, d.to.Concurrency)
	d.done, d.tries = make(map[int64]struct{}), make(map[int64]try)
	d.number.Store(snap.Number)
	for _, at := range snap.Done {
		d.done[at] = struct{}{}
	}
	slices.SortFunc(snap.Open, func(a, b try) int { return int(min(1, max(-1, a.At-b.At))) })
	for _, t := range snap.Open {
		if err := d.resume(t); err != nil {
			return err
		}
	}
	d.publish()
	if err := d.progress.begin(d.snapshot()); !found || err == nil {
		return err
	}
	d.logger.Warn("after a crash deliveries may be made twice", "endpoint", d.to, "err", err)
	return nil // what the last process left stands
}

// resume takes up what was open when the last process ended.
func (d *dispatcher) resume(t try) error {
	if t.At >= d.next {
		d.tries[t.At] = t
		return nil
	}
	events, _, err := d.log.read(t.At, 1)
	if err != nil {
		return err
	}
	if len(events) == 1 && events[0].pos == t.At { // else it was settled and removed, or is damaged
		d.add(events[0], t) // also if it is no longer wanted: it was, when it was recorded
	}
	return nil
}

func (d *dispatcher) add(e event, t try) {
	t.At = e.pos
	next := &delivery{try: t, upload: e.Message.upload(), event: e.Message.Timestamp, index: -1}
	next.broken, next.last = t.Tries > 0, d.success // of what an earlier process tried nothing more is known
	next.place = d.open.PushBack(next)
	queue := append(d.queues[next.upload], next)
	d.queues[next.upload] = queue
	if len(queue) == 1 {
		heap.Push(&d.due, next)
	}
}

// run delivers until ctx ends, and then for a while longer what is on its way.
func (d *dispatcher) run(ctx context.Context) {
	sending, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var flights sync.WaitGroup
	defer flights.Wait()
	defer d.progress.close()
	defer d.to.client.CloseIdleConnections()
	for ctx.Err() == nil {
		d.fill()
		d.launch(sending, &flights)
		d.publish()
		d.trim()
		d.await(ctx)
	}
	last := time.AfterFunc(grace, cut)
	defer last.Stop()
	for d.flying > 0 {
		if r := <-d.results; r.answer.err == nil { // what was cut is not counted as tried
			d.settle(r)
		} else {
			d.flying--
		}
	}
}

// await waits for whatever there is to do next.
func (d *dispatcher) await(ctx context.Context) {
	timer := time.NewTimer(d.pause())
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-d.wake:
	case r := <-d.results:
		d.settle(r)
	}
}

// pause is how long there is nothing to do unless something happens.
func (d *dispatcher) pause() time.Duration {
	pause := time.Hour
	if d.due.Len() > 0 && d.flying < d.to.Concurrency {
		pause = min(pause, time.Until(d.due[0].Due))
	}
	if d.open.Len() < d.most && d.next < d.log.end() {
		pause = min(pause, time.Until(d.readAt))
	}
	return max(pause, 0)
}

// fill reads on in the log while there is room.
func (d *dispatcher) fill() {
	if time.Now().Before(d.readAt) {
		return
	}
	for d.next < d.log.end() && (d.open.Len() < d.most || d.makeRoom()) {
		events, next, err := d.log.read(d.next, d.most-d.open.Len())
		if err != nil {
			d.logger.Error("the log of events cannot be read now", "endpoint", d.to, "err", err)
			d.readAt = time.Now().Add(readAgain)
			return
		}
		for _, e := range events {
			d.take(e)
		}
		d.next = next
	}
}

// makeRoom gives up, before its time, the first of the events that the endpoint refuses though it is well. Else so many of
// these as there is room for would stop everything behind them for three days.
func (d *dispatcher) makeRoom() bool {
	for e := d.open.Front(); e != nil; e = e.Next() {
		w := e.Value.(*delivery)
		if w.broken || w.Tries < patience || w.index < 0 {
			continue
		}
		events, _, err := d.log.read(w.At, 1)
		if err != nil || len(events) == 0 {
			return false // which its next attempt finds out too
		}
		heap.Remove(&d.due, w.index)
		r := result{delivery: w, envelope: events[0].envelope, answer: answer{err: errRefused}}
		if d.bury(r, time.Now()) {
			return true
		}
		heap.Push(&d.due, w)
		return false
	}
	return false
}

// errRefused is why an event died early.
var errRefused = errors.New("it was refused again and again, and others had no room to wait")

func (d *dispatcher) take(e event) {
	d.number.Store(e.number)
	t := d.tries[e.pos]
	_, done := d.done[e.pos]
	delete(d.tries, e.pos)
	delete(d.done, e.pos)
	if !done && d.to.wants(e.envelope) {
		d.add(e, t)
	}
}

// launch begins the deliveries whose time has come.
func (d *dispatcher) launch(ctx context.Context, flights *sync.WaitGroup) {
	for d.flying < d.to.Concurrency && d.due.Len() > 0 && !d.due[0].Due.After(time.Now()) {
		next := heap.Pop(&d.due).(*delivery)
		d.flying++
		flights.Go(func() { d.results <- d.deliver(ctx, next) })
	}
}

func (d *dispatcher) deliver(ctx context.Context, next *delivery) result {
	events, _, err := d.log.read(next.At, 1)
	if err != nil {
		return result{delivery: next, answer: answer{err: err}}
	}
	if len(events) == 0 || events[0].pos != next.At {
		return result{delivery: next, lost: true}
	}
	return result{delivery: next, envelope: events[0].envelope, answer: d.to.send(ctx, events[0].envelope)}
}

func (d *dispatcher) settle(r result) {
	d.flying--
	switch now := time.Now(); {
	case r.lost:
		d.metrics.delivered(d.to.Name, outcomeLost)
		d.finish(r.delivery)
	case r.answer.err == nil:
		d.metrics.delivered(d.to.Name, outcomeDelivered)
		d.finish(r.delivery)
		d.cameBack(now)
	case r.envelope.Body == nil: // the log could not be read, so nothing was tried
		d.logger.Error("the log of events cannot be read now", "endpoint", d.to, "err", r.answer.err)
		r.Due = now.Add(readAgain)
		heap.Push(&d.due, r.delivery)
	default:
		d.failed(r, now)
	}
}

// finish takes a delivery off the lists, and lets the next of its upload go.
func (d *dispatcher) finish(f *delivery) {
	d.open.Remove(f.place)
	queue := d.queues[f.upload][1:]
	if len(queue) > 0 {
		d.queues[f.upload] = queue
		heap.Push(&d.due, queue[0])
	} else {
		delete(d.queues, f.upload)
	}
	d.progress.add(note{Done: f.At}, d.snapshot)
}

func (d *dispatcher) failed(r result, now time.Time) {
	d.metrics.delivered(d.to.Name, outcomeFailed)
	if r.Tries++; r.First.IsZero() {
		r.First = now
	}
	r.Due, r.held = now.Add(d.backoff.after(r.Tries, r.answer.after)), now.Add(min(r.answer.after, d.backoff.Most))
	r.last, r.broken = now, r.answer.broken()
	if now.Sub(r.First) >= d.backoff.Give && d.bury(r, now) {
		return
	}
	level := slog.LevelDebug
	if !d.silent {
		level, d.silent = slog.LevelWarn, true
	}
	d.logger.Log(context.Background(), level, "a delivery failed; it is tried again", "endpoint", d.to,
		"event", r.envelope.Message.ID, "type", r.envelope.Message.Type, "attempt", r.Tries, "next", r.Due, "err", r.answer.err)
	heap.Push(&d.due, r.delivery)
	d.progress.add(note{Try: &r.try}, d.snapshot)
}

// bury puts an event that was tried for long enough with the dead letters.
func (d *dispatcher) bury(r result, now time.Time) bool {
	err := d.dead.add(deadLetter{At: now, Tries: r.Tries, Why: r.answer.err.Error(), Event: r.envelope.text})
	if err != nil {
		d.logger.Error("a dead letter cannot be kept now; its event is tried again", "endpoint", d.to, "err", err)
		return false
	}
	d.logger.Error("an event was given up: it is kept, to be replayed", "endpoint", d.to, "event", r.envelope.Message.ID,
		"type", r.envelope.Message.Type, "attempts", r.Tries, "err", r.answer.err)
	d.metrics.delivered(d.to.Name, outcomeDead)
	d.finish(r.delivery)
	return true
}

// cameBack notes a success. If it ends an outage, what failed in that is tried soon: not all at once, and not where the
// endpoint asked for a longer time.
func (d *dispatcher) cameBack(now time.Time) {
	before := d.success
	d.success, d.silent = now, false
	if now.Sub(before) < recovered {
		return
	}
	for _, w := range slices.Clone(d.due) {
		soon := later(now.Add(rand.N(recovered)), w.held)
		if w.broken && !w.last.Before(before) && w.Due.After(soon) {
			w.Due = soon
			heap.Fix(&d.due, w.index)
		}
	}
}

func (d *dispatcher) snapshot() snapshot {
	snap := snapshot{Next: d.next, Number: d.number.Load(), Open: make([]try, 0, d.open.Len())}
	for e := d.open.Front(); e != nil; e = e.Next() {
		snap.Open = append(snap.Open, e.Value.(*delivery).try)
	}
	for at := range d.done {
		snap.Done = append(snap.Done, at)
	}
	for _, t := range d.tries {
		snap.Open = append(snap.Open, t)
	}
	return snap
}

// publish lets others see how far it is.
func (d *dispatcher) publish() {
	floor, oldest := d.next, int64(0)
	if first := d.open.Front(); first != nil {
		floor, oldest = first.Value.(*delivery).At, first.Value.(*delivery).event.UnixMilli()
	}
	d.floor.Store(floor)
	d.oldest.Store(oldest)
	d.count.Store(int64(d.open.Len()))
}

// pending is how many events are not settled, those included that the endpoint turns out not to want.
func (d *dispatcher) pending() int64 {
	head, _ := d.log.head()
	return d.count.Load() + int64(head-min(head, d.number.Load()))
}

// dueHeap has the delivery on top that is due first.
type dueHeap []*delivery

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	if c := h[i].Due.Compare(h[j].Due); c != 0 {
		return c < 0
	}
	return h[i].At < h[j].At
}
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *dueHeap) Push(x any) {
	x.(*delivery).index = len(*h)
	*h = append(*h, x.(*delivery))
}
func (h *dueHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h, last.index = (*h)[:len(*h)-1], -1
	return last
}

// furthest is the last position that is settled, or tried, as far as the progress says.
func (d *dispatcher) furthest() int64 {
	at := d.next
	for pos := range d.done {
		at = max(at, pos)
	}
	for pos := range d.tries {
		at = max(at, pos)
	}
	return at
}
