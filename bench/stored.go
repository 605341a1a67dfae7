package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Of an upload that is stored beforehand: small, as 100,000 of them are made, and unfinished, as a sweep looks at those.
const (
	storedBytes = 1 << 10
	storedSent  = 512
)

// among starts beside many stored uploads: how soon the first of them can be asked for, then HEADs and POSTs one by one.
func among(asks, posts int) func(*trial) error {
	return func(t *trial) error {
		k, err := t.dial()
		if err != nil {
			return err
		}
		defer k.Close()
		if off, err := k.head(t.stored[0]); err != nil || off != storedSent {
			return fmt.Errorf("offset %d: %w", off, err)
		}
		t.result[readyAfter] = milliseconds(time.Since(t.process.began))
		err = t.timed(work{count: asks}, func() error {
			for range asks {
				if _, err := k.head(t.stored[rand.IntN(len(t.stored))]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for range posts {
			if _, err := k.create(0, storedBytes, 0); err != nil {
				return err
			}
		}
		t.result[postP50] = milliseconds(percentile(t.took.take(), 0.5))
		t.drop(growth)
		return t.sweep()
	}
}

// sweep notes how long looking at everything takes; a server that has no such thing keeps what is over for ever.
func (t *trial) sweep() error {
	if t.process.private == "" {
		return nil
	}
	began := time.Now()
	answer, err := http.Post("http://"+t.process.private+"/gc", "", nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	done := false
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		done = done || strings.Contains(lines.Text(), `"done":true`)
	}
	if !done {
		return fmt.Errorf("sweep did not end, status %d", answer.StatusCode)
	}
	t.result[sweepTook] = milliseconds(time.Since(began))
	return nil
}

// seed is a directory with stored uploads.
type seed struct {
	dir     string
	uploads []upload
}

// newSeed has the server make one upload, and copies what it has stored under n new names.
func newSeed(ctx context.Context, s server, c client, dir string, n int) (seed, error) {
	p, err := s.start(ctx, dir, nil)
	if err != nil {
		return seed{}, err
	}
	c.address = p.address
	model, err := makeModel(&c)
	if err := errors.Join(err, p.leave()); err != nil {
		return seed{}, err
	}
	id := filepath.Base(model.path)
	files, err := filesOf(dir, id)
	if err != nil {
		return seed{}, err
	}
	made := seed{dir: dir}
	for i := range n {
		twin := id[:len(id)-6] + fmt.Sprintf("%06d", i)
		made.uploads = append(made.uploads, upload{"/files/" + twin, 0, storedBytes})
		for name, content := range files {
			content = bytes.ReplaceAll(content, []byte(id), []byte(twin))
			if err := os.WriteFile(strings.Replace(name, id, twin, 1), content, 0o644); err != nil {
				return seed{}, err
			}
		}
	}
	return made, nil
}

func makeModel(c *client) (upload, error) {
	k, err := c.dial()
	if err != nil {
		return upload{}, err
	}
	defer k.Close()
	u, err := k.create(0, storedBytes, 0)
	if err != nil {
		return u, err
	}
	return u, k.patch(u, 0, storedSent)
}

// filesOf reads the files below dir whose name has id in it.
func filesOf(dir, id string) (map[string][]byte, error) {
	files := make(map[string][]byte)
	return files, filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !strings.Contains(d.Name(), id) {
			return err
		}
		files[name], err = os.ReadFile(name)
		return err
	})
}
