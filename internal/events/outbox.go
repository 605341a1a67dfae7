// Package events tells people what happens to uploads. [Outbox.Record] writes an event down before anybody hears of it; from
// there it goes to the [Hub], for whoever listens now, and to the configured HTTP endpoints, signed as Standard Webhooks, until
// each has taken it.
//
// # What is promised
//
//   - An event for which Record has returned is delivered at least once to every endpoint that wants it, or ends with the
//     endpoint's dead letters, from where [Outbox.Replay] sends it again. Neither a killed process loses it nor, where the
//     outbox is durable, a power cut.
//   - Each endpoint is told of one upload in the order of recording. An event that has to wait holds back the later ones of
//     its upload and no others. A dead letter that is replayed comes late.
//   - What is sent twice has the same webhook-id both times. Only what was on its way is sent again after a crash.
//   - However much is not delivered, it costs disk and no memory.
//
// What this package does not do: find out which events a crash kept from being recorded. [Outbox.Reconcile] does with the
// caller's help, who knows the uploads. An endpoint that is taken out of the configuration keeps its progress but holds back
// nothing: what it had not taken goes when the others have.
//
// # On disk
//
// events-*.log is what was recorded, endpoint-*.state how far each endpoint is, endpoint-*.dead its dead letters, mark.json
// whether the last stop was a clean one. All but the last are lines with a checksum each: one that is damaged is told and
// skipped.
package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"syscall"
	"time"

	"sluice/internal/durable"
	"sluice/internal/upload"
)

// Options say what to open.
type Options struct {
	FS        durable.FS // a directory for the outbox alone, held by this process
	Durable   bool       // recorded events survive a power cut; else the death of the process
	Endpoints []upload.Endpoint
	Hub       *Hub // told of each event once it is recorded; nil: nobody is
	// URL and Path give the address of an upload's content, and its place under the data directory; nil: it is not told.
	URL, Path func(upload.Record) string
	Backoff   Backoff
	// SegmentBytes is how long a file of the log grows, 4 MiB if 0.
	SegmentBytes int64
	// Window is how long after a change of state its event must be recorded, 10 minutes if 0: see [Outbox.Reconcile]. Events
	// are kept so long at least.
	Window  time.Duration
	Metrics *Metrics
	Logger  *slog.Logger

	transport http.RoundTripper // of tests, where time is not the real one
	open      int               // maxOpen, but for tests
}

func (o Options) orDefault() Options {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = 4 << 20
	}
	if o.Window <= 0 {
		o.Window = 10 * time.Minute
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.open == 0 {
		o.open = maxOpen
	}
	o.Backoff = o.Backoff.orDefault()
	return o
}

// Outbox keeps events until every endpoint has them. All methods may be called concurrently.
type Outbox struct {
	o           Options
	log         *eventLog
	dispatchers []*dispatcher
	wake        chan struct{} // the queue has something
	stop        context.CancelFunc
	stopped     <-chan struct{}
	writing     sync.WaitGroup
	delivering  sync.WaitGroup

	marking sync.Mutex // one writes the mark

	mu      sync.Mutex // guards what follows
	queue   []*commit
	closed  bool
	trouble error               // why the last write failed; nil: it did not
	behind  time.Time           // changes since then may lack their events; zero: none does
	known   map[string]struct{} // events that do not lack since then, as far as is known

	since time.Time // no event lacks that is older; set before use, and by Reconcile

	// of the writing goroutine
	owed      []*commit // failed, and are tried again before everything else
	owedBytes int
	unmarked  bool // behind is not on the disk
}

// commit is what one caller wants to have recorded.
type commit struct {
	events    []upload.Event // for the hub; none if they were told before
	envelopes []envelope
	done      chan error // takes one
}

const (
	owedAgain = time.Second
	// maxOwed bounds the memory for events that a full disk does not take. What is beyond is found by Reconcile.
	maxOwed = 8 << 20
)

// Open opens the outbox in o.FS, and begins to deliver what is there. Without endpoints nothing is read or written, now or
// later. Close ends it.
func Open(o Options) (*Outbox, error) {
	b := &Outbox{o: o.orDefault(), wake: make(chan struct{}, 1)}
	b.log = &eventLog{fs: o.FS, durable: o.Durable, limit: b.o.SegmentBytes, keep: b.o.Window, log: b.o.Logger}
	ctx, stop := context.WithCancel(context.Background())
	b.stop, b.stopped = stop, ctx.Done()
	if len(o.Endpoints) == 0 {
		return b, nil
	}
	if err := b.load(); err != nil {
		stop()
		for _, d := range b.dispatchers {
			d.progress.close()
		}
		return nil, err
	}
	b.writing.Go(b.write)
	for _, d := range b.dispatchers {
		b.delivering.Go(func() { d.run(ctx) })
	}
	return b, nil
}

// load reads what the last process left, and makes a dispatcher for each endpoint.
func (b *Outbox) load() error {
	if err := openLog(b.log); err != nil {
		return err
	}
	names := make(map[string]bool)
	for _, e := range b.o.Endpoints {
		faults := e.Check()
		if names[e.Name] {
			faults = append(faults, fmt.Errorf("endpoint %q: there are two of that name", e.Name))
		}
		if len(faults) > 0 {
			return fmt.Errorf("events: %w", errors.Join(faults...))
		}
		names[e.Name] = true
		d, err := b.dispatcher(e)
		if err != nil {
			return err
		}
		b.dispatchers = append(b.dispatchers, d)
		b.log.next = max(b.log.next, d.furthest()+1)
	}
	return b.loadMark()
}

func (b *Outbox) dispatcher(e upload.Endpoint) (*dispatcher, error) {
	if e.Timeout == 0 {
		e.Timeout = 15 * time.Second
	}
	if e.Concurrency == 0 {
		e.Concurrency = 8
	}
	to, err := newSender(e)
	if err != nil {
		return nil, err
	}
	name := "endpoint-" + e.Name
	d := &dispatcher{
		to: to, log: b.log, backoff: b.o.Backoff, most: b.o.open, metrics: b.o.Metrics, logger: b.o.Logger,
		wake: make(chan struct{}, 1), trim: b.trim,
		progress: progress{fs: b.o.FS, name: name + ".state", durable: b.o.Durable, log: b.o.Logger},
		dead:     deadLetters{fs: b.o.FS, name: name + ".dead", durable: b.o.Durable, log: b.o.Logger},
	}
	if b.o.transport != nil {
		to.client.Transport = b.o.transport
	}
	b.o.Metrics.begin(e.Name)
	return d, d.start()
}

// trim removes from the log what no endpoint needs.
func (b *Outbox) trim() {
	floor := b.dispatchers[0].floor.Load()
	for _, d := range b.dispatchers[1:] {
		floor = min(floor, d.floor.Load())
	}
	b.log.trim(floor)
}

// Record returns when events, all of one upload, are recorded for every endpoint, as durably as the outbox is; they are
// delivered from then on, and the hub is told. Events of one upload are delivered in the order of their calls, which must not
// overlap. Many calls share one write.
//
// After an error the events are not lost as long as the process lives: they are tried again every second, before all later
// ones. No room is [upload.ErrInsufficientStorage]. When ctx ends first, its error is returned, and they are recorded all the
// same. After Close it is [upload.ErrShutdown].
func (b *Outbox) Record(ctx context.Context, events ...upload.Event) error {
	if len(events) == 0 {
		return nil
	}
	if len(b.o.Endpoints) == 0 {
		b.tell(events...)
		return nil
	}
	envelopes, err := b.seal(events)
	if err == nil {
		err = b.commit(ctx, envelopes, events...)
	}
	if err != nil {
		return fmt.Errorf("events: record %s of %s: %w", events[0].Type, events[0].Record.ID, err)
	}
	return nil
}

func (b *Outbox) seal(events []upload.Event) ([]envelope, error) {
	envelopes := make([]envelope, len(events))
	for i, e := range events {
		var err error
		if envelopes[i], err = seal("", newMessage(e, b.o.URL, b.o.Path)); err != nil {
			return nil, err
		}
	}
	return envelopes, nil
}

// tell is the last step of recording events.
func (b *Outbox) tell(events ...upload.Event) {
	for _, e := range events {
		b.o.Metrics.of[e.Type].Inc()
		if b.o.Hub != nil {
			b.o.Hub.Publish(e)
		}
	}
}

// commit has the writer record envelopes, and waits for that.
func (b *Outbox) commit(ctx context.Context, envelopes []envelope, events ...upload.Event) error {
	c := &commit{events, envelopes, make(chan error, 1)}
	b.mu.Lock()
	closed := b.closed
	if !closed {
		b.queue = append(b.queue, c)
	}
	b.mu.Unlock()
	if closed {
		return upload.ErrShutdown
	}
	nudge(b.wake)
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func nudge(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// write records what is queued, until the outbox is closed and nothing is.
func (b *Outbox) write() {
	for {
		var again <-chan time.Time
		if len(b.owed) > 0 {
			again = time.After(owedAgain)
		}
		select {
		case <-b.wake:
		case <-again:
		case <-b.stopped:
			b.flush()
			return
		}
		b.flush()
	}
}

// flush records what is owed and what is queued with one write.
func (b *Outbox) flush() {
	b.mu.Lock()
	fresh := b.queue
	b.queue = nil
	b.mu.Unlock()
	all := append(b.owed[:len(b.owed):len(b.owed)], fresh...)
	if len(all) == 0 {
		return
	}
	err := b.append(all)
	b.mu.Lock()
	b.trouble = err
	b.mu.Unlock()
	if err != nil {
		b.owe(fresh)
	} else {
		b.recorded(all)
	}
	for _, c := range fresh {
		c.done <- err
	}
}

func (b *Outbox) append(all []*commit) error {
	if b.unmarked {
		if err := b.writeMark(false); err != nil {
			return noRoom(err)
		}
		b.unmarked = false
	}
	var envelopes []envelope
	for _, c := range all {
		envelopes = append(envelopes, c.envelopes...)
	}
	return noRoom(b.log.append(envelopes, time.Now()))
}

// noRoom translates what a full disk says.
func noRoom(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", upload.ErrInsufficientStorage, err)
	}
	return err
}

func (b *Outbox) recorded(all []*commit) {
	b.owed, b.owedBytes = nil, 0
	b.mu.Lock()
	for _, c := range all {
		b.know(c.envelopes)
	}
	b.mu.Unlock()
	for _, c := range all {
		b.tell(c.events...)
	}
	for _, d := range b.dispatchers {
		nudge(d.wake)
	}
}

// owe keeps what could not be written, as far as there is room for it. What is replayed is not owed: it is with the dead
// letters.
func (b *Outbox) owe(fresh []*commit) {
	for _, c := range fresh {
		if len(c.events) == 0 {
			continue
		}
		size := 0
		for _, e := range c.envelopes {
			size += len(e.text)
		}
		if b.owedBytes+size > maxOwed {
			b.fellBehind(c.events[0].Time)
			continue
		}
		b.owed, b.owedBytes = append(b.owed, c), b.owedBytes+size
	}
}

// Check tells whether events can be recorded now: nil, or why not.
func (b *Outbox) Check() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.trouble
}

// Close records what is queued, lets deliveries that run go on for 2 s, and stops. What is not delivered then is so after
// the next Open.
func (b *Outbox) Close() error {
	b.mu.Lock()
	again := b.closed
	b.closed = true
	b.mu.Unlock()
	if again {
		return nil
	}
	b.stop()
	b.writing.Wait()
	b.delivering.Wait()
	if len(b.o.Endpoints) == 0 {
		return nil
	}
	err := b.log.close()
	if _, behind := b.Behind(); !behind && len(b.owed) == 0 {
		err = errors.Join(err, b.writeMark(true))
	}
	return err
}
