// Package finish takes uploads from received to ready or rejected. [Pipeline.Whole] and [Pipeline.Stream] are the two lanes;
// [Pipeline.Recover] goes on with what a crash cut short.
//
// Work runs under the pipeline's own life, never a request's, and always from stored state, so it can be repeated: a step
// that is done twice leaves what one would. The verdict is stored before anybody hears of it. What this package does not do:
// receive bytes, or talk to clients.
package finish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"sluice/internal/media"
	"sluice/internal/upload"
)

// Store is what the pipeline needs of a profile's store; see store.Store for the contract.
type Store interface {
	Lookup(id upload.ID) (upload.Record, error)
	Open(id upload.ID) (io.ReadSeekCloser, upload.Record, error)
	Publish(id upload.ID, outcome upload.Outcome) (upload.Record, error)
	Reject(id upload.ID, why *upload.Rejection) (upload.Record, error)
	Assemble(ctx context.Context, id upload.ID) (upload.Record, error)
	Due(ctx context.Context, do func(upload.Record) bool) error
	Tried(id upload.ID, tries int) (upload.Record, error)
}

// Lane joins a profile with where its uploads are.
type Lane struct {
	Profile upload.Profile
	Store   Store
}

// Options say what a pipeline works on.
type Options struct {
	Lanes       []Lane
	ImageMemory int64             // bytes that all pictures being processed may need together
	Converter   *media.Converter  // reads HEIC and AVIF; nil: they are refused
	Lend        func(bytes int64) // told what a child takes of it, and with a minus what it gives back; nil: nobody wants to know
	Metrics     *Metrics
	Logger      *slog.Logger
}

// Pipeline processes complete uploads. All methods may be called concurrently.
type Pipeline struct {
	lanes   map[string]Lane // by profile name
	gate    *semaphore.Weighted
	memory  int64            // the gate's capacity
	foreign *media.Converter // nil: pictures that need one are refused
	lend    func(int64)
	inUse   atomic.Int64 // bytes behind the gate now
	joined  atomic.Uint64
	metrics *Metrics
	log     *slog.Logger

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	work sync.WaitGroup // every goroutine of the pipeline

	digesting chan struct{} // a token for each upload that is read for its digest

	mu    sync.Mutex // guards what follows
	jobs  map[jobKey]*job
	later map[jobKey]postponed
}

type jobKey struct {
	profile string
	id      upload.ID
}

// job is the processing of one upload. done is closed after rec and err are set; failed, if ever, when the first try has
// failed and a pause before the next begins.
type job struct {
	done   chan struct{}
	failed chan struct{}
	asked  bool // for again, since the work began; guarded by Pipeline.mu
	rec    upload.Record
	err    error
}

// New makes a pipeline; Close ends it.
func New(o Options) *Pipeline {
	p := &Pipeline{
		lanes: make(map[string]Lane), gate: semaphore.NewWeighted(o.ImageMemory), memory: o.ImageMemory,
		foreign: o.Converter, lend: o.Lend, metrics: o.Metrics, log: o.Logger, jobs: make(map[jobKey]*job), later: make(map[jobKey]postponed),
		digesting: make(chan struct{}, maxDigesting),
	}
	if p.lend == nil {
		p.lend = func(int64) {}
	}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.metrics.capacity.Set(float64(o.ImageMemory))
	for _, lane := range o.Lanes {
		p.lanes[lane.Profile.Name] = lane
	}
	return p
}

// Close stops the work and waits for it. What was cut short is received still, and found by the next Recover.
func (p *Pipeline) Close() {
	p.mu.Lock()
	p.stop()
	for _, l := range p.later {
		l.timer.Stop()
	}
	p.mu.Unlock()
	p.work.Wait()
}

// Recover begins, in the background, to process every upload that was left received, and to assemble every final whose parts
// are complete, one after the other. The channel that it returns is closed when it has come to the end.
func (p *Pipeline) Recover() <-chan struct{} {
	var all sync.WaitGroup
	for _, lane := range p.lanes {
		all.Add(1)
		p.work.Go(func() {
			defer all.Done()
			err := lane.Store.Due(p.ctx, func(rec upload.Record) bool {
				p.goOn(lane, rec)
				return p.ctx.Err() == nil
			})
			if err != nil {
				p.log.Error("looking for unfinished uploads", "profile", lane.Profile.Name, "err", err)
			}
		})
	}
	done := make(chan struct{})
	p.work.Go(func() {
		all.Wait()
		close(done)
	})
	return done
}

// Resume has rec processed in the background, unless that is under way already, or has to wait for its time.
func (p *Pipeline) Resume(rec upload.Record) {
	if lane, ok := p.lanes[rec.Profile]; ok && p.ctx.Err() == nil && p.asked(rec) {
		p.start(lane, rec)
	}
}

// asked tells whether rec, which somebody asks for, may be processed now.
func (p *Pipeline) asked(rec upload.Record) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mayStart(jobKey{rec.Profile, rec.ID})
}

// settle has rec processed and waits for the verdict. It returns rec as it was, and the work goes on, when ctx is done before,
// or when the first try has failed and the caller does not want to wait for another.
func (p *Pipeline) settle(ctx context.Context, rec upload.Record, oneTry bool) (upload.Record, error) {
	lane, ok := p.lanes[rec.Profile]
	if !ok {
		return rec, fmt.Errorf("finish: no profile %q", rec.Profile)
	}
	if !p.asked(rec) {
		return rec, nil
	}
	j := p.start(lane, rec)
	var failed <-chan struct{} // nil: never
	if oneTry {
		failed = j.failed
	}
	select {
	case <-j.done:
		return j.rec, j.err
	case <-failed:
	case <-ctx.Done():
	case <-p.ctx.Done():
	}
	return rec, nil
}

// start returns the job for rec, begun now unless it runs already.
func (p *Pipeline) start(lane Lane, rec upload.Record) *job {
	key := jobKey{rec.Profile, rec.ID}
	p.mu.Lock()
	defer p.mu.Unlock()
	if j := p.jobs[key]; j != nil {
		j.asked = true
		return j
	}
	j := &job{done: make(chan struct{}), failed: make(chan struct{}), rec: rec}
	p.jobs[key] = j
	p.work.Go(func() {
		paused := sync.OnceFunc(func() { close(j.failed) })
		for again := true; again; again = p.again(key, j) {
			j.rec, j.err = p.run(lane, rec, paused)
		}
		close(j.done)
	})
	return j
}

// again ends the job j, unless it found that a final has to wait for a part while somebody, who knew that the part was
// complete, asked.
func (p *Pipeline) again(key jobKey, j *job) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if j.asked && errors.Is(j.err, upload.ErrNotReady) {
		j.asked = false
		return true
	}
	delete(p.jobs, key)
	return false
}

// run processes rec until it is settled, or gone, or the last try for now has failed. It calls paused before it waits for the next.
func (p *Pipeline) run(lane Lane, rec upload.Record, paused func()) (upload.Record, error) {
	jobs := p.metrics.jobs.WithLabelValues(string(lane.Profile.Lane))
	jobs.Inc()
	defer jobs.Dec()
	for try := 0; ; try++ {
		began := time.Now()
		settled, err := p.step(lane, rec)
		if nothingToDo(err) || err != nil && p.ctx.Err() != nil {
			return rec, err // or the server stops
		}
		p.metrics.observe(lane.Profile.Lane, settled.State, err, time.Since(began))
		if err == nil {
			return settled, nil
		}
		level := slog.LevelError
		if errors.Is(err, upload.ErrInsufficientStorage) {
			level = slog.LevelWarn // the disk's trouble, not ours
		}
		p.log.Log(p.ctx, level, "processing failed", "profile", rec.Profile, "id", rec.ID, "try", try+1, "err", err)
		if try == len(retryAfter) {
			return p.postpone(lane, rec, err)
		}
		paused()
		select {
		case <-time.After(retryAfter[try]):
		case <-p.ctx.Done():
			return rec, p.ctx.Err()
		}
	}
}

// nothingToDo tells that the upload was terminated, or is about to be, that somebody else has its verdict, or that a final
// has to wait for its parts.
func nothingToDo(err error) bool {
	return errors.Is(err, upload.ErrNotFound) || errors.Is(err, upload.ErrGone) || errors.Is(err, upload.ErrNotReady) ||
		errors.Is(err, upload.ErrInterrupted)
}

// step is one try: the upload's lane decides, and the verdict is stored.
func (p *Pipeline) step(lane Lane, rec upload.Record) (upload.Record, error) {
	var result upload.Outcome
	var err error
	if rec.Final {
		rec, err = lane.Store.Assemble(p.ctx, rec.ID)
	}
	switch {
	case err != nil:
	case lane.Profile.Lane == upload.Whole:
		result, err = p.whole(p.ctx, lane, rec)
	default:
		result, err = p.stream(lane, rec)
	}
	var rejection *upload.Rejection
	switch {
	case errors.As(err, &rejection):
		return lane.Store.Reject(rec.ID, rejection)
	case err != nil:
		return rec, err
	}
	settled, err := lane.Store.Publish(rec.ID, result)
	if err == nil && rec.Final {
		p.joined.Add(1)
	}
	if errors.As(err, &rejection) {
		return settled, nil // judged at the last moment, and stored
	}
	return settled, err
}
