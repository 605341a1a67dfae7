package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"sluice/internal/durable"
)

// deadLetters are the events that an endpoint did not take in all its time, in a file. Replaying takes them out. All
// methods may be called concurrently.
type deadLetters struct {
	fs      durable.FS
	name    string
	durable bool
	log     *slog.Logger

	mu    sync.Mutex // guards the file and what follows
	size  int64
	count int
}

// deadLetter is one of them.
type deadLetter struct {
	At    time.Time       `json:"at"`
	Tries int             `json:"tries"`
	Why   string          `json:"why"` // of the last attempt
	Event json.RawMessage `json:"event"`
}

// open counts what is there, and cuts a torn end.
func (d *deadLetters) open() error {
	size := int64(0)
	err := d.each(func(ln line) error {
		if ln.ok {
			d.size = ln.end
			d.count++
		}
		size = ln.end
		return nil
	})
	if err != nil || size == d.size {
		return err
	}
	d.log.Warn("the end of a file of dead letters is torn", "file", d.name, "bytes", size-d.size)
	f, err := d.fs.OpenFile(d.name, os.O_RDWR)
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	return errors.Join(f.Truncate(d.size), f.Close())
}

// each visits every line of the file, which need not be there.
func (d *deadLetters) each(visit func(line) error) (err error) {
	r, openErr := d.fs.Open(d.name)
	if errors.Is(openErr, fs.ErrNotExist) {
		return nil
	}
	if openErr != nil {
		return fmt.Errorf("events: %w", openErr)
	}
	defer r.Close()
	readErr := eachLine(r, func(ln line) bool {
		err = visit(ln)
		return err == nil
	})
	return errors.Join(err, readErr)
}

// len is how many there are.
func (d *deadLetters) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// add keeps a letter, as durably as events are.
func (d *deadLetters) add(letter deadLetter) error {
	text, err := json.Marshal(letter)
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	f, err := d.fs.OpenFile(d.name, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	raw := appendLine(nil, text)
	_, err = f.WriteAt(raw, d.size)
	if err == nil && d.durable {
		err = f.Datasync()
	}
	if err = errors.Join(err, f.Close()); err == nil && d.durable && d.size == 0 {
		err = d.fs.SyncDir(".")
	}
	if err != nil {
		return fmt.Errorf("events: write %s: %w", d.name, err) // the next one is written over it
	}
	d.size += int64(len(raw))
	d.count++
	return nil
}

// replayBatch is how many letters are put back with one write.
const replayBatch = 256

// replay puts the letters that match back, and takes them out of the file. If it fails in between they are in both places,
// so they are sent twice at worst.
func (d *deadLetters) replay(match func(Message) bool, putBack func([]envelope) error) (n int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.count == 0 {
		return 0, nil
	}
	var batch []envelope
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := putBack(batch)
		if err == nil {
			n += len(batch)
		}
		batch = batch[:0]
		return err
	}
	taken := make(map[int64]bool)
	err = d.each(func(ln line) error {
		e, ok := eventOf(ln)
		if !ok || !match(e.Message) {
			return nil
		}
		taken[ln.off] = true
		if batch = append(batch, e); len(batch) == replayBatch {
			return flush()
		}
		return nil
	})
	if err = errors.Join(err, flush()); err != nil || n == 0 {
		return n, err
	}
	return n, d.rewrite(taken)
}

// eventOf returns the event of a letter.
func eventOf(ln line) (envelope, bool) {
	var letter deadLetter
	if !ln.ok || json.Unmarshal(ln.text, &letter) != nil {
		return envelope{}, false
	}
	e, err := unseal(letter.Event)
	return e, err == nil
}

// rewrite leaves out the lines at the given offsets, and those that are damaged.
func (d *deadLetters) rewrite(without map[int64]bool) error {
	temp := d.name + durable.TempSuffix
	f, err := d.fs.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	out, count := &offsetWriter{to: f}, 0
	err = d.each(func(ln line) error {
		if !ln.ok || without[ln.off] {
			return nil
		}
		count++
		_, err := out.Write(appendLine(nil, ln.text))
		return err
	})
	if err == nil && d.durable {
		err = f.Datasync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = d.fs.Rename(temp, d.name)
	}
	if err == nil {
		d.size, d.count = out.off, count
		if d.durable {
			err = d.fs.SyncDir(".")
		}
	}
	if err != nil {
		return fmt.Errorf("events: rewrite %s: %w", d.name, err)
	}
	return nil
}

// offsetWriter writes on from where it was.
type offsetWriter struct {
	to  io.WriterAt
	off int64
}

func (w *offsetWriter) Write(p []byte) (int, error) {
	n, err := w.to.WriteAt(p, w.off)
	w.off += int64(n)
	return n, err
}
