package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"sluice/internal/config"
	"sluice/internal/durable"
	"sluice/internal/store"
	"sluice/internal/upload"
)

// replay has events delivered again that an endpoint did not take, and uploads processed again that were given up: by the server
// that holds the data directory, or, where none does, by the next one.
func replay(ctx context.Context, cfg config.Config, stdout, stderr io.Writer) error {
	done, err := replayAlone(ctx, cfg, newLogger(cfg, stderr))
	if errors.Is(err, durable.ErrHeld) {
		done, err = askToReplay(ctx, cfg)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%d events to be delivered again, %d uploads to be processed again\n", done.Events, done.Uploads)
	return err
}

func replayAlone(ctx context.Context, cfg config.Config, log *slog.Logger) (done upload.Replayed, err error) {
	a := &app{}
	defer func() { err = errors.Join(err, a.close()) }()
	if err := a.openAlone(cfg, log, store.Open); err != nil {
		return done, err
	}
	return a.replay(ctx, cfg.Replay)
}

// replay does what a server does for the command. Without a pipeline the next start processes what is revived.
func (a *app) replay(ctx context.Context, which upload.Replay) (done upload.Replayed, err error) {
	if done.Events, err = a.outbox.Replay(ctx, which); err != nil || which.Endpoint != "" || which.Type != "" {
		return done, err
	}
	for _, files := range a.stores {
		err := files.Changed(ctx, time.Time{}, func(rec upload.Record) error {
			wanted := (which.Profile == "" || which.Profile == rec.Profile) && (which.ID == "" || which.ID == rec.ID)
			if !wanted || rec.State != upload.Rejected || rec.Reason.Code != upload.CodeNotProcessed {
				return nil
			}
			revived, err := files.Revive(rec.ID)
			if err != nil {
				return err
			}
			done.Uploads++
			if a.pipeline != nil {
				a.pipeline.Resume(revived)
			}
			return nil
		})
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// askToReplay has the server at the private listener do it.
func askToReplay(ctx context.Context, cfg config.Config) (done upload.Replayed, err error) {
	which := cfg.Replay
	query := url.Values{"endpoint": {which.Endpoint}, "profile": {which.Profile}, "id": {string(which.ID)}, "type": {string(which.Type)}}
	if which.Delivered {
		query.Set("delivered", "")
	}
	resp, err := askServer(ctx, cfg, http.MethodPost, "/replay", query)
	if err != nil {
		return done, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&done); err != nil {
		return done, notToTheEnd(err)
	}
	return done, nil
}
