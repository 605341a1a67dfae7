package store

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"sluice/internal/upload"
)

// Sweeper sweeps some stores, now and then or when asked. All methods may be called concurrently.
type Sweeper struct {
	stores []*File
	log    *slog.Logger

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	work sync.WaitGroup
	mu   sync.Mutex // held by the sweep that runs: two would only get in each other's way
}

// NewSweeper returns a sweeper that does nothing by itself. Close it before its stores.
func NewSweeper(stores []*File, log *slog.Logger) *Sweeper {
	s := &Sweeper{stores: stores, log: log}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Start sweeps once when ready is closed, and then so often.
func (s *Sweeper) Start(ready <-chan struct{}, every time.Duration) {
	s.work.Go(func() {
		select {
		case <-ready:
		case <-s.ctx.Done():
		}
		for s.ctx.Err() == nil {
			if err := s.Sweep(s.ctx, false, s.tell); err != nil && s.ctx.Err() == nil {
				s.log.Error("sweeping", "err", err)
			}
			select {
			case <-time.After(every):
			case <-s.ctx.Done():
			}
		}
	})
}

func (s *Sweeper) tell(one upload.Swept) {
	s.log.Info("swept", "profile", one.Profile, "id", one.ID, "cause", string(one.Cause), "bytes", one.Bytes)
}

// Sweep is [File.Sweep] on every store, one after the other.
func (s *Sweeper) Sweep(ctx context.Context, dry bool, tell func(upload.Swept)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, f := range s.stores {
		errs = append(errs, f.Sweep(ctx, dry, tell))
	}
	return errors.Join(errs...)
}

// Close ends what runs.
func (s *Sweeper) Close() {
	s.stop()
	s.work.Wait()
}
