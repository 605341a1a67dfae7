package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"sluice/internal/config"
	"sluice/internal/durable"
	"sluice/internal/events"
	"sluice/internal/store"
	"sluice/internal/upload"
)

// gc removes what is over, or tells what that is: in the data directory, or by way of the server that holds it.
func gc(ctx context.Context, cfg config.Config, stdout, stderr io.Writer) error {
	report := &gcReport{to: stdout, dry: cfg.DryRun}
	err := sweepAlone(ctx, cfg, newLogger(cfg, stderr), report.add)
	if errors.Is(err, durable.ErrHeld) {
		err = askToSweep(ctx, cfg, report.add)
	}
	if err != nil && !errors.Is(err, upload.ErrNotSwept) {
		return err
	}
	return errors.Join(report.end(), err)
}

// gcReport writes a line for each thing, and a sum.
type gcReport struct {
	to    io.Writer
	dry   bool
	count int
	bytes int64
}

func (r *gcReport) add(one upload.Swept) {
	r.count, r.bytes = r.count+1, r.bytes+one.Bytes
	fmt.Fprintf(r.to, "%-10s %-10s %14d  %s\n", one.Profile, one.Cause, one.Bytes, one.ID)
}

func (r *gcReport) end() error {
	verb := "removed"
	if r.dry {
		verb = "would be removed"
	}
	_, err := fmt.Fprintf(r.to, "%d %s, %d bytes\n", r.count, verb, r.bytes)
	return err
}

// sweepAlone sweeps stores that no server holds. For a dry run they are looked at as they are, without repair.
func sweepAlone(ctx context.Context, cfg config.Config, log *slog.Logger, tell func(upload.Swept)) (err error) {
	a := &app{}
	defer func() { err = errors.Join(err, a.close()) }()
	if cfg.DryRun {
		err = a.openStores(cfg, log, store.Inspect)
	} else {
		err = a.openAlone(cfg, log, func(o store.Options) (*store.File, error) {
			if err := tellLeftovers(ctx, o, tell); err != nil {
				return nil, err
			}
			return store.Open(o)
		})
	}
	if err != nil {
		return err
	}
	return store.NewSweeper(a.stores, log).Sweep(ctx, cfg.DryRun, tell)
}

// openAlone opens the outbox and the stores of a data directory that no server holds, for a command.
func (a *app) openAlone(cfg config.Config, log *slog.Logger, open openStore) (err error) {
	if a.outbox, err = openOutbox(cfg, nil, events.NewMetrics(), log); err != nil {
		return err
	}
	if err := a.openStores(cfg, log, open); err != nil {
		return err
	}
	return a.reconcile()
}

type openStore = func(store.Options) (*store.File, error)

func (a *app) openStores(cfg config.Config, log *slog.Logger, open openStore) error {
	metrics, promises := store.NewMetrics(), new(store.Promises)
	for _, profile := range cfg.Profiles {
		if _, err := os.Stat(profile.Dir); errors.Is(err, fs.ErrNotExist) {
			continue // nothing was ever uploaded
		}
		options := storeOptions(cfg, profile, metrics, promises, log)
		options.Record = a.record
		files, err := open(options)
		if err != nil {
			return fmt.Errorf("profile %s: %w", profile.Name, err)
		}
		a.stores = append(a.stores, files)
	}
	return nil
}

// tellLeftovers tells what opening a store removes by itself.
func tellLeftovers(ctx context.Context, o store.Options, tell func(upload.Swept)) error {
	files, err := store.Inspect(o)
	if err != nil {
		return err
	}
	err = files.Sweep(ctx, true, func(one upload.Swept) {
		if one.Cause == upload.Leftover {
			tell(one)
		}
	})
	return errors.Join(err, files.Close())
}

// realPath is one name of a directory for whoever looks, wherever from.
func realPath(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real, nil
	}
	return abs, nil // it is not there: all profiles are elsewhere
}

// askToSweep has the server at the private listener sweep.
func askToSweep(ctx context.Context, cfg config.Config, tell func(upload.Swept)) error {
	query := url.Values{}
	if cfg.DryRun {
		query.Set("dry-run", "")
	}
	type line struct {
		upload.Swept
		Done    bool   `json:"done"`
		Problem string `json:"problem"`
	}
	return askForLines(ctx, cfg, http.MethodPost, "/gc", query, func(l line) (last bool, err error) {
		switch {
		case l.Done && l.Problem != "":
			return true, upload.ErrNotSwept
		case !l.Done:
			tell(l.Swept)
		}
		return l.Done, nil
	})
}
