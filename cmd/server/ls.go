package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"sluice/internal/config"
	"sluice/internal/durable"
	"sluice/internal/store"
	"sluice/internal/upload"
)

// ls lists uploads: those in a data directory that no server holds, as they lie there, or by way of the server that does.
func ls(ctx context.Context, cfg config.Config, stdout, stderr io.Writer) error {
	out := bufio.NewWriter(stdout)
	report := &lsReport{to: out}
	tell := report.add
	if cfg.JSON {
		lines := json.NewEncoder(out)
		tell = func(one upload.Listed) error { return lines.Encode(one) }
	}
	err := listAlone(ctx, cfg, newLogger(cfg, stderr), tell)
	if errors.Is(err, durable.ErrHeld) {
		err = askToList(ctx, cfg, tell)
	}
	if err == nil && !cfg.JSON {
		report.end() // a sum would be that of a part otherwise
	}
	return errors.Join(err, out.Flush())
}

// lsReport writes a line for each upload, and a sum. Its writer keeps the first error.
type lsReport struct {
	to    *bufio.Writer
	count int
	bytes int64
}

func (r *lsReport) add(one upload.Listed) error {
	if r.count == 0 {
		fmt.Fprintf(r.to, "%-10s %-10s %14s %14s  %-20s  %s\n", "profile", "state", "offset", "length", "changed", "id")
	}
	r.count, r.bytes = r.count+1, r.bytes+one.Offset
	length, changed := "-", "-"
	if one.Length != upload.Deferred && one.State != upload.Unreadable {
		length = strconv.FormatInt(one.Length, 10)
	}
	if !one.Changed.IsZero() {
		changed = one.Changed.UTC().Format(time.RFC3339)
	}
	_, err := fmt.Fprintf(r.to, "%-10s %-10s %14d %14s  %-20s  %s\n", one.Profile, one.State, one.Offset, length, changed, one.ID)
	return err
}

func (r *lsReport) end() {
	noun := "uploads"
	if r.count == 1 {
		noun = "upload"
	}
	fmt.Fprintf(r.to, "%d %s, %d bytes\n", r.count, noun, r.bytes)
}

// listAlone lists what is in stores that no server holds, without repair.
func listAlone(ctx context.Context, cfg config.Config, log *slog.Logger, tell func(upload.Listed) error) (err error) {
	a := &app{}
	defer func() { err = errors.Join(err, a.close()) }()
	if err := a.openStores(cfg, log, store.Inspect); err != nil {
		return err
	}
	return a.list(ctx, cfg.Listing, tell)
}

// list does what a server does for the command.
func (a *app) list(ctx context.Context, which upload.Listing, tell func(upload.Listed) error) error {
	for _, files := range a.stores {
		if which.Profile != "" && which.Profile != files.Profile() {
			continue
		}
		err := files.List(ctx, func(rec upload.Record) error {
			if which.State != "" && which.State != rec.State {
				return nil
			}
			return tell(rec.Listed())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// askToList has the server at the private listener list.
func askToList(ctx context.Context, cfg config.Config, tell func(upload.Listed) error) error {
	query := url.Values{"profile": {cfg.Listing.Profile}, "state": {string(cfg.Listing.State)}}
	type line struct {
		upload.Listed
		Done bool `json:"done"`
	}
	return askForLines(ctx, cfg, http.MethodGet, "/uploads", query, func(l line) (last bool, err error) {
		if l.Done {
			return true, nil
		}
		return false, tell(l.Listed)
	})
}
