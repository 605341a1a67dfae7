package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"sluice/internal/config"
	"sluice/internal/durable"
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
	open := store.Open
	if cfg.DryRun {
		open = store.Inspect
	}
	metrics, promises := store.NewMetrics(), new(store.Promises)
	var stores []*store.File
	defer func() {
		for _, files := range stores {
			err = errors.Join(err, files.Close())
		}
	}()
	for _, profile := range cfg.Profiles {
		if _, err := os.Stat(profile.Dir); errors.Is(err, fs.ErrNotExist) {
			continue // nothing was ever uploaded
		}
		options := storeOptions(cfg, profile, metrics, promises, log)
		if !cfg.DryRun {
			if err := tellLeftovers(ctx, options, tell); err != nil {
				return fmt.Errorf("profile %s: %w", profile.Name, err)
			}
		}
		files, err := open(options)
		if err != nil {
			return fmt.Errorf("profile %s: %w", profile.Name, err)
		}
		stores = append(stores, files)
	}
	return store.NewSweeper(stores, log).Sweep(ctx, cfg.DryRun, tell)
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

// answerWithin is how long a server may take to begin with its answer.
const answerWithin = 10 * time.Second

// askToSweep has the server at the private listener sweep.
func askToSweep(ctx context.Context, cfg config.Config, tell func(upload.Swept)) error {
	data, err := realPath(cfg.Data)
	if err != nil {
		return err
	}
	query := url.Values{"data": {data}}
	if cfg.DryRun {
		query.Set("dry-run", "")
	}
	address := "http://" + reachable(cfg.PrivateListen) + "/gc?" + query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{ResponseHeaderTimeout: answerWithin}} // no proxy: it is our own server
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("the data directory is in use, and its server does not answer: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/jsonl" {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("the data directory is in use, and who answers at %s says %s: %q", cfg.PrivateListen, resp.Status, text)
	}
	for lines := json.NewDecoder(resp.Body); ; {
		var line struct {
			upload.Swept
			Done    bool   `json:"done"`
			Problem string `json:"problem"`
		}
		if err := lines.Decode(&line); err != nil {
			return fmt.Errorf("the server did not come to the end: %w", err)
		}
		if line.Done && line.Problem != "" {
			return upload.ErrNotSwept
		}
		if line.Done {
			return nil
		}
		tell(line.Swept)
	}
}
