package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"sluice/internal/config"
)

// answerWithin is how long a server may take to begin with its answer.
const answerWithin = 10 * time.Second

// askServer sends a command to the server at the private listener, which must hold the data directory that is meant. Every answer
// but 200 is an error.
func askServer(ctx context.Context, cfg config.Config, method, path string, query url.Values) (*http.Response, error) {
	data, err := realPath(cfg.Data)
	if err != nil {
		return nil, err
	}
	query.Set("data", data)
	address := "http://" + reachable(cfg.PrivateListen) + path + "?" + query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
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

// askForLines sends a command whose answer has a line of JSON for each thing, and calls do with each until it says that this was the
// last, or fails.
func askForLines[Line any](ctx context.Context, cfg config.Config, method, path string, query url.Values, do func(Line) (last bool, err error)) error {
	resp, err := askServer(ctx, cfg, method, path, query)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.Header.Get("Content-Type") != "application/jsonl" {
		return fmt.Errorf("the data directory is in use, and who answers at %s is no server that can do this", cfg.PrivateListen)
	}
	for lines := json.NewDecoder(resp.Body); ; {
		var line Line
		if err := lines.Decode(&line); err != nil {
			return notToTheEnd(err)
		}
		if last, err := do(line); last || err != nil {
			return err
		}
	}
}

func notToTheEnd(err error) error { return fmt.Errorf("the server did not come to the end: %w", err) }
