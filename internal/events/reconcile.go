package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"sluice/internal/durable"
	"sluice/internal/upload"
)

// A crash between the change of a record and the recording of its event leaves an upload whose event nobody will ever hear.
// So the outbox keeps a mark of whether it was stopped cleanly. If it was not, every upload that changed shortly before the
// last event that was recorded, or later, has its events recorded again, unless they are found in the log.

const (
	markName   = "mark.json"
	markFormat = 1
	// maxKnown bounds the memory for finding out what is in the log. What is not known to be there is recorded twice.
	maxKnown = 1 << 16
)

type mark struct {
	Format int       `json:"format"`
	Since  time.Time `json:"since"`           // no event lacks that is older
	Behind time.Time `json:"behind,omitzero"` // some since then may: Reconcile did not come to its end
	Clean  bool      `json:"clean"`
}

// loadMark finds out whether events may lack, and notes that the outbox runs.
func (b *Outbox) loadMark() error {
	now := time.Now().UTC()
	raw, err := b.o.FS.ReadFile(markName)
	var m mark
	switch {
	case errors.Is(err, fs.ErrNotExist):
		m = mark{Since: now, Clean: true} // the first start: what was before is nobody's news
	case err != nil:
		return fmt.Errorf("events: %w", err)
	case json.Unmarshal(raw, &m) != nil:
		b.o.Logger.Error("the mark of the outbox is damaged: every upload is looked at", "file", markName)
		m = mark{Format: markFormat, Behind: time.Unix(0, 0)}
	}
	if m.Format > markFormat {
		return fmt.Errorf("events: the outbox is of format %d, made by a newer version: this one knows %d", m.Format, markFormat)
	}
	b.since = m.Since
	if !m.Clean {
		b.behind = m.Behind
		if _, newest := b.log.head(); b.behind.IsZero() {
			b.behind = later(m.Since, newest.Add(-b.o.Window))
		}
		if err := b.learn(); err != nil {
			return err
		}
	}
	if err := b.writeMark(false); err != nil {
		b.o.Logger.Error("no event can be recorded now", "err", err)
		b.unmarked = true // until that is mended
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// learn notes which events are in the log, from the newest file back.
func (b *Outbox) learn() error {
	b.known = make(map[string]struct{})
	for i := len(b.log.segments) - 1; i >= 0 && len(b.known) < maxKnown; i-- {
		s := b.log.segments[i]
		err := b.log.eachOf(s, s.base, func(ln line) bool {
			if _, _, e, ok := parseEvent(ln); ok {
				b.know([]envelope{e})
			}
			return true
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// know notes that events are recorded, while that matters. b.mu is held, or b not used yet.
func (b *Outbox) know(events []envelope) {
	for _, e := range events {
		if b.known != nil && len(b.known) < maxKnown && e.To == "" {
			b.known[e.Message.ID] = struct{}{}
		}
	}
}

// fellBehind notes that an event of the given time is not recorded and not kept either.
func (b *Outbox) fellBehind(at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.behind.IsZero() || at.Before(b.behind) {
		b.behind, b.unmarked = at, true
	}
	if b.known == nil {
		b.known = make(map[string]struct{})
	}
}

func (b *Outbox) writeMark(clean bool) error {
	b.marking.Lock()
	defer b.marking.Unlock()
	b.mu.Lock()
	b.since = later(b.since, time.Now().UTC().Add(-b.o.Window))
	m := mark{markFormat, b.since, b.behind, clean}
	b.mu.Unlock()
	raw, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	if err := durable.WriteFile(b.o.FS, markName, raw, b.o.Durable); err != nil {
		return fmt.Errorf("events: write %s: %w", markName, err)
	}
	return nil
}

// Behind tells since when changes of state may lack their events: after a crash, or when a full disk took no more for long.
// Then Reconcile is due.
func (b *Outbox) Behind() (since time.Time, behind bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.behind, !b.behind.IsZero()
}

// Missing returns the events of an upload in the state of rec that are due and may not be recorded, in order. It returns
// too many rather than too few: they carry the ids that they had the first time.
func (b *Outbox) Missing(rec upload.Record) []upload.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.behind.IsZero() {
		return nil
	}
	var missing []upload.Event
	for _, e := range upload.EventsOf(rec) {
		if _, known := b.known[e.ID()]; !known && !e.Time.Before(b.behind.Truncate(time.Millisecond)) {
			missing = append(missing, e)
		}
	}
	return missing
}

// Visit takes one upload after the other.
type Visit = func(upload.Record) error

// Reconcile records what a crash kept from being recorded; where nothing can lack it does nothing. each must call do with every
// upload, of all profiles, whose record may have changed since then, and return its error; an upload more does no harm. Until
// Reconcile has come to its end without an error it is due again at each start.
//
// It must have come to its end before anything else changes the state of an upload: else events of one upload are told in the
// wrong order.
func (b *Outbox) Reconcile(ctx context.Context, each func(ctx context.Context, since time.Time, do Visit) error) error {
	since, behind := b.Behind()
	if !behind {
		return nil
	}
	found := 0
	err := each(ctx, since, func(rec upload.Record) error {
		for _, e := range b.Missing(rec) {
			if err := b.Record(ctx, e); err != nil {
				return err
			}
			found++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("events: reconcile: %w", err)
	}
	b.o.Logger.Info("events that a crash may have kept from being recorded", "since", since, "recorded", found)
	b.mu.Lock()
	if b.behind.Equal(since) { // else it fell behind again
		b.behind, b.known = time.Time{}, nil
	}
	b.mu.Unlock()
	return b.writeMark(false)
}
