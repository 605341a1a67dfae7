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
		return t.walks(k)
	}
}

// walks has the server sweep, and list, all that is stored, and notes how long that takes and what uploads beside it feel; a server that
// has no such thing keeps what is over for ever.
func (t *trial) walks(k *conn) (err error) {
	if t.process.private == "" {
		return nil
	}
	if t.result[sweepTook], t.result[sweepP99], err = t.beside(k, func() error { return t.ask(http.MethodPost, "/gc") }); err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	if t.result[listTook], t.result[listP99], err = t.beside(k, func() error { return t.ask(http.MethodGet, "/uploads") }); err != nil {
		return fmt.Errorf("list: %w", err)
	}
	_, t.result[quietP99], err = t.beside(k, func() error { time.Sleep(quietFor); return nil })
	return err
}

const (
	// besideEach is the pause between uploads beside a walk. They stay in the directory, so there must be few beside what is stored.
	besideEach = 10 * time.Millisecond
	// quietFor is how long uploads are made while nothing else goes on.
	quietFor = 4 * time.Second
)

// beside makes a small upload, whole, now and then while do runs. It returns what do took, and the 99th percentile of what the uploads
// took, in milliseconds.
func (t *trial) beside(k *conn, do func() error) (took, p99 float64, err error) {
	t.took.take()
	done := make(chan error, 1)
	began := time.Now()
	go func() { done <- do() }()
	for tick := time.Tick(besideEach); ; {
		select {
		case err := <-done:
			return milliseconds(time.Since(began)), milliseconds(percentile(t.took.take(), 0.99)), err
		case <-tick:
		}
		if _, err := k.create(0, storedBytes, storedBytes); err != nil {
			return 0, 0, errors.Join(err, <-done)
		}
	}
}

// ask reads the answer of the private listener, which must come to its end.
func (t *trial) ask(method, path string) error {
	req, err := http.NewRequestWithContext(t.ctx, method, "http://"+t.process.private+path, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	done := false
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		done = bytes.HasSuffix(lines.Bytes(), []byte(`{"done":true}`))
	}
	if !done {
		return fmt.Errorf("it did not end, status %d", answer.StatusCode)
	}
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

// warm has the kernel know all that is stored, as it does where it is in use: what is looked at is the server, not how long the kernel
// has kept what it knew.
func (s seed) warm() error {
	return filepath.WalkDir(s.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		_, err = os.ReadFile(name)
		return err
	})
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
