package events

import (
	"context"
	"errors"
	"fmt"

	"sluice/internal/upload"
)

// matches tells whether m is among those to replay.
func matches(f upload.Replay) func(Message) bool {
	return func(m Message) bool {
		return (f.Profile == "" || f.Profile == m.Data.Profile) && (f.ID == "" || f.ID == m.Data.ID) && (f.Type == "" || f.Type == m.Type)
	}
}

// Replay queues the dead letters that match for their endpoints again, as new as if they had just been recorded, with the
// ids that they had. It returns how many; also with an error, after which some may be sent twice. They come after events of
// the same upload that were delivered meanwhile.
func (b *Outbox) Replay(ctx context.Context, f upload.Replay) (n int, err error) {
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
		return 0, fmt.Errorf("events: replay to %s: %w", f.Endpoint, upload.ErrNoEndpoint)
	}
	return n, nil
}

func (b *Outbox) replayTo(ctx context.Context, d *dispatcher, f upload.Replay) (int, error) {
	var logged []event
	if f.Delivered {
		var err error
		if logged, err = d.settledOf(f); err != nil {
			return 0, err
		}
	}
	putBack := func(letters []envelope) error { return b.readdress(ctx, d, letters) }
	n, err := d.dead.replay(matches(f), putBack)
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
func (d *dispatcher) settledOf(f upload.Replay) (found []event, err error) {
	seen, wanted := make(map[string]bool), matches(f)
	for pos, end := int64(firstPosition), d.log.end(); pos < end; {
		events, next, err := d.log.read(pos, replayBatch)
		if err != nil {
			return nil, err
		}
		for _, e := range events {
			if d.to.wants(e.envelope) && wanted(e.Message) && !seen[e.Message.ID] {
				seen[e.Message.ID] = true
				found = append(found, e)
			}
		}
		pos = next
	}
	return found, nil
}
