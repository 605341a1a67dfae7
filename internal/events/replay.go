package events

import (
	"context"
	"errors"
	"fmt"

	"sluice/internal/upload"
)

// Filter says which events to replay. Empty fields match all.
type Filter struct {
	Endpoint string
	Profile  string
	ID       upload.ID
	Type     upload.EventType
	// Delivered also sends again what an endpoint has had, as long as it is in the log: ten minutes at least, see
	// Options.Window. ID must be set.
	Delivered bool
}

func (f Filter) matches(m Message) bool {
	return (f.Profile == "" || f.Profile == m.Data.Profile) && (f.ID == "" || f.ID == m.Data.ID) && (f.Type == "" || f.Type == m.Type)
}

// ErrNoEndpoint: no endpoint has that name.
var ErrNoEndpoint = errors.New("no such endpoint")

// Replay queues the dead letters that match for their endpoints again, as new as if they had just been recorded, with the
// ids that they had. It returns how many; also with an error, after which some may be sent twice. They come after events of
// the same upload that were delivered meanwhile.
func (b *Outbox) Replay(ctx context.Context, f Filter) (n int, err error) {
	if f.Delivered && f.ID == "" {
		return 0, errors.New("events: replay of what was delivered: which upload's?")
	}
	found := false
	for _, d := range b.dispatchers {
		if f.Endpoint != "" && f.Endpoint != d.to.Name {
			continue
		}
		found = true
		replayed, err := b.replayTo(ctx, d, f)
		n += replayed
		if err != nil {
			return n, fmt.Errorf("events: replay to %s: %w", d.to.Name, err)
		}
	}
	if !found && f.Endpoint != "" {
		return 0, fmt.Errorf("events: replay to %s: %w", f.Endpoint, ErrNoEndpoint)
	}
	return n, nil
}

func (b *Outbox) replayTo(ctx context.Context, d *dispatcher, f Filter) (int, error) {
	var logged []event
	if f.Delivered {
		var err error
		if logged, err = d.settledOf(f); err != nil {
			return 0, err
		}
	}
	putBack := func(letters []envelope) error { return b.readdress(ctx, d, letters) }
	n, err := d.dead.replay(f.matches, putBack)
	if err != nil || len(logged) == 0 {
		return n, err
	}
	letters := make([]envelope, len(logged))
	for i, e := range logged {
		letters[i] = e.envelope
	}
	return n + len(letters), putBack(letters)
}

// readdress records letters for one endpoint alone.
func (b *Outbox) readdress(ctx context.Context, d *dispatcher, letters []envelope) error {
	again := make([]envelope, len(letters))
	for i, letter := range letters {
		var err error
		if again[i], err = seal(d.to.Name, letter.Message); err != nil {
			return err
		}
	}
	return b.commit(ctx, again)
}

// settledOf returns what is in the log for an upload, each event once.
func (d *dispatcher) settledOf(f Filter) (found []event, err error) {
	seen := make(map[string]bool)
	for pos, end := int64(firstPosition), d.log.end(); pos < end; {
		events, next, err := d.log.read(pos, replayBatch)
		if err != nil {
			return nil, err
		}
		for _, e := range events {
			if d.to.wants(e.envelope) && f.matches(e.Message) && !seen[e.Message.ID] {
				seen[e.Message.ID] = true
				found = append(found, e)
			}
		}
		pos = next
	}
	return found, nil
}
