package finish

import (
	"errors"
	"log/slog"
	"time"

	"sluice/internal/upload"
)

// A step that fails is tried again: a few times at once, while a client may be waiting, then at growing pauses for most of a
// day. How often is in the record, so that neither a restart begins anew nor a file that ends the process does so for ever.

// retryAfter are the pauses before a step that failed is tried again at once.
var retryAfter = []time.Duration{time.Second, 5 * time.Second, 30 * time.Second}

// lateAfter are the pauses after that; then it is given up.
var lateAfter = []time.Duration{2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour}

// troubleAfter is the pause where the trouble is the disk's and not the file's: that is no reason to give up.
const troubleAfter = time.Minute

// postponed is an upload that waits to be tried again.
type postponed struct {
	timer *time.Timer
	eager bool // also as soon as somebody asks for it
}

// postpone leaves an upload for later after the last try at once, or gives it up after the last of all.
func (p *Pipeline) postpone(lane Lane, rec upload.Record, cause error) (upload.Record, error) {
	if errors.Is(cause, upload.ErrInsufficientStorage) || rec.State != upload.Received { // a final goes when its parts do
		p.runLater(lane, rec, postponed{eager: true}, troubleAfter)
		return rec, cause
	}
	tried, err := lane.Store.Tried(rec.ID, rec.Tries+1)
	switch {
	case nothingToDo(err):
		return rec, err
	case err != nil:
		p.log.Warn("that processing failed is not recorded", "profile", rec.Profile, "id", rec.ID, "err", err)
		p.runLater(lane, rec, postponed{eager: true}, troubleAfter)
		return rec, cause
	case tried.Tries > len(lateAfter):
		return p.giveUp(lane, tried)
	}
	p.runLater(lane, tried, postponed{}, lateAfter[tried.Tries-1])
	return tried, cause
}

// giveUp rejects an upload that could not be processed. Its bytes are kept, so that it can be revived.
func (p *Pipeline) giveUp(lane Lane, rec upload.Record) (upload.Record, error) {
	p.log.Error("processing is given up; `sluice replay` tries again", "profile", rec.Profile, "id", rec.ID, "tries", rec.Tries)
	return lane.Store.Reject(rec.ID, upload.Reject(upload.CodeNotProcessed, "This file has arrived, but it could not be processed. Please try again later."))
}

// runLater has rec processed after a pause, unless the pipeline is closed before.
func (p *Pipeline) runLater(lane Lane, rec upload.Record, l postponed, pause time.Duration) {
	p.log.Log(p.ctx, slog.LevelWarn, "processing is tried again later", "profile", rec.Profile, "id", rec.ID, "pause", pause)
	key := jobKey{rec.Profile, rec.ID}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return
	}
	l.timer = time.AfterFunc(pause, func() {
		p.mu.Lock()
		_, waits := p.later[key]
		delete(p.later, key)
		p.metrics.later.Set(float64(len(p.later)))
		p.mu.Unlock()
		if waits && p.ctx.Err() == nil {
			p.start(lane, rec)
		}
	})
	p.later[key] = l
	p.metrics.later.Set(float64(len(p.later)))
}

// mayStart tells whether an upload may be processed now because somebody asks. p.mu is held.
func (p *Pipeline) mayStart(key jobKey) bool {
	l, waits := p.later[key]
	if waits && l.eager {
		l.timer.Stop()
		delete(p.later, key)
	}
	return !waits || l.eager
}

// goOn processes an upload that another process left received, and waits for the first try. That it is tried is recorded before:
// it may be what has ended that process.
func (p *Pipeline) goOn(lane Lane, rec upload.Record) {
	was := rec
	if rec.State == upload.Received {
		p.log.Info("going on with an upload", "profile", rec.Profile, "id", rec.ID)
		tried, err := lane.Store.Tried(rec.ID, rec.Tries+1)
		switch {
		case nothingToDo(err):
			return
		case err != nil: // a full disk, say: the work may need no room
			p.log.Warn("a try is not recorded", "profile", rec.Profile, "id", rec.ID, "err", err)
		case tried.Tries > len(lateAfter):
			if _, err := p.giveUp(lane, tried); err != nil {
				p.log.Error("processing is not given up", "profile", rec.Profile, "id", rec.ID, "err", err)
			}
			return
		default:
			rec = tried
		}
	}
	j := p.start(lane, rec)
	select {
	case <-j.failed: // and is tried again while this walks on
	case <-j.done:
		if j.err != nil && p.ctx.Err() != nil {
			_, _ = lane.Store.Tried(was.ID, was.Tries) // it was not the file that ended this; refused if it is settled
		}
	}
}
