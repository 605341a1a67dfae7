package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"sluice/internal/config"
	"sluice/internal/durable"
	"sluice/internal/events"
)

// replay has events delivered again that an endpoint did not take: by the server that holds the data directory, or, where none
// does, by the next one.
func replay(ctx context.Context, cfg config.Config, stdout, stderr io.Writer) error {
	n, err := replayAlone(ctx, cfg, stderr)
	if errors.Is(err, durable.ErrHeld) {
		n, err = askToReplay(ctx, cfg)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%d to be delivered again\n", n)
	return err
}

func replayAlone(ctx context.Context, cfg config.Config, stderr io.Writer) (int, error) {
	if len(cfg.Endpoints) == 0 {
		return 0, errors.New("no endpoint is configured: there is nobody to deliver to")
	}
	box, err := openOutbox(cfg, nil, events.NewMetrics(), newLogger(cfg, stderr))
	if err != nil {
		return 0, err
	}
	n, err := box.Replay(ctx, cfg.Replay)
	return n, errors.Join(err, box.Close())
}

// askToReplay has the server at the private listener do it.
func askToReplay(ctx context.Context, cfg config.Config) (int, error) {
	which := cfg.Replay
	query := url.Values{"endpoint": {which.Endpoint}, "profile": {which.Profile}, "id": {string(which.ID)}, "type": {string(which.Type)}}
	if which.Delivered {
		query.Set("delivered", "")
	}
	resp, err := askServer(ctx, cfg, "/replay", query)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var answer struct {
		Replayed int `json:"replayed"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return 0, fmt.Errorf("the server did not come to the end: %w", err)
	}
	return answer.Replayed, nil
}

// askServer sends a command to the server at the private listener, which must hold the data directory that is meant. Every answer
// but 200 is an error.
func askServer(ctx context.Context, cfg config.Config, path string, query url.Values) (*http.Response, error) {
	data, err := realPath(cfg.Data)
	if err != nil {
		return nil, err
	}
	query.Set("data", data)
	address := "http://" + reachable(cfg.PrivateListen) + path + "?" + query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{ResponseHeaderTimeout: answerWithin}} // no proxy: it is our own server
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the data directory is in use, and its server does not answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return nil, fmt.Errorf("the data directory is in use, and who answers at %s says %s: %q", cfg.PrivateListen, resp.Status, text)
	}
	return resp, nil
}
