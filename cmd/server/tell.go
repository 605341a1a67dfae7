package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"sluice/internal/config"
	"sluice/internal/durable"
	"sluice/internal/events"
	"sluice/internal/handlers"
	"sluice/internal/store"
	"sluice/internal/upload"
)

// outboxDir is where events wait, below the data directory. No profile can have a name with a dot.
const outboxDir = ".events"

// outbox is the outbox of a data directory, which it holds.
type outbox struct {
	*events.Outbox
	release func() error
}

// Close ends deliveries, and lets go of the directory.
func (o *outbox) Close() error { return errors.Join(o.Outbox.Close(), o.release()) }

// openOutbox opens the outbox of the data directory. Without endpoints there is nothing to keep in it.
func openOutbox(cfg config.Config, hub *events.Hub, metrics *events.Metrics, log *slog.Logger) (*outbox, error) {
	o := events.Options{
		Durable: cfg.Durability == "always", Endpoints: cfg.Endpoints, Hub: hub, URL: address(cfg), Path: place(cfg), Metrics: metrics, Logger: log,
	}
	release := func() error { return nil }
	if len(cfg.Endpoints) > 0 {
		dir := filepath.Join(cfg.Data, outboxDir)
		held, err := durable.Hold(dir, "lock")
		if err != nil {
			return nil, fmt.Errorf("events: %w", err)
		}
		root, err := durable.OpenRoot(dir)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("events: %w", err), held.Close())
		}
		o.FS, release = root, func() error { return errors.Join(root.Close(), held.Close()) }
	}
	box, err := events.Open(o)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	return &outbox{box, release}, nil
}

// record is what the stores have events recorded by.
func (a *app) record(happened ...upload.Event) error {
	return a.outbox.Record(context.Background(), happened...)
}

// reconcile has the events recorded that a crash kept from it, before anything else happens to an upload.
func (a *app) reconcile() error {
	return a.outbox.Reconcile(context.Background(), func(ctx context.Context, since time.Time, do events.Visit) error {
		for _, files := range a.stores {
			if err := files.Changed(ctx, since, do); err != nil {
				return err
			}
		}
		return nil
	})
}

// listen is how the edge hears what happens.
func (a *app) listen(lastID string) (missed []upload.Notice, news <-chan upload.Notice, end func()) {
	s := a.hub.Subscribe(lastID)
	return s.Missed, s.C, s.Close
}

// address tells under which URL the content of an upload is: a path, where nobody has said how the server is reached.
func address(cfg config.Config) func(upload.Record) string {
	base := ""
	if cfg.PublicURL != nil {
		base = strings.TrimSuffix(cfg.PublicURL.String(), "/")
	}
	paths := make(map[string]string)
	for _, p := range cfg.Profiles {
		paths[p.Name] = base + p.Path
	}
	return func(rec upload.Record) string { return paths[rec.Profile] + string(rec.ID) }
}

// place tells where the content of an upload is on the disk: below the data directory, or absolute where its profile lies elsewhere.
func place(cfg config.Config) func(upload.Record) string {
	profiles := make(map[string]upload.Profile)
	data, err := filepath.Abs(cfg.Data)
	for _, p := range cfg.Profiles {
		if rel, relErr := filepath.Rel(data, p.Dir); err == nil && relErr == nil && filepath.IsLocal(rel) {
			p.Dir = rel
		}
		profiles[p.Name] = p
	}
	return func(rec upload.Record) string {
		p := profiles[rec.Profile]
		return filepath.Join(p.Dir, store.ContentName(p.Flat, rec.ID))
	}
}

// showEvents tells who may know all without naming an upload.
func showEvents(cfg config.Config) handlers.Audience {
	switch {
	case cfg.PublicEvents == "all":
		return handlers.Everybody
	case cfg.PublicEvents == "local" && cfg.PublicURL == nil:
		return handlers.ThisMachine
	}
	return handlers.Nobody
}
