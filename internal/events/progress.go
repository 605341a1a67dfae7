package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"sluice/internal/durable"
)

// progress is how far an endpoint has come, in a file: a snapshot first, then what happened since. That is synced only when
// it is written anew: what a power cut takes of it is delivered twice.
type progress struct {
	fs      durable.FS
	name    string
	durable bool
	log     *slog.Logger

	file durable.File // nil after a failure: the next note begins with a snapshot
	size int64
}

// compactAfter is how long the file grows before it is written anew: at about 30 bytes a delivery some 30,000 of them.
const compactAfter = 1 << 20

type snapshot struct {
	Next   int64   `json:"next"`   // everything before is delivered, dead, or open
	Number uint64  `json:"number"` // of the last event before Next
	Open   []try   `json:"open,omitempty"`
	Done   []int64 `json:"done,omitempty"` // from Next on
}

// try is where an event stands that is not settled.
type try struct {
	At    int64     `json:"at"`
	Tries int       `json:"tries,omitempty"`
	First time.Time `json:"first,omitzero"` // the first attempt
	Due   time.Time `json:"due,omitzero"`   // the next one
}

// note is a line of the file.
type note struct {
	Snapshot *snapshot `json:"snapshot,omitempty"`
	Done     int64     `json:"done,omitempty"` // a position: delivered or dead
	Try      *try      `json:"try,omitempty"`  // failed, to be tried again
}

// load returns what the file says, or false if there is none. Where its beginning is lost, so is everything: then the whole
// log is delivered again.
func (p *progress) load() (snap snapshot, found bool, err error) {
	raw, err := p.fs.ReadFile(p.name)
	if errors.Is(err, fs.ErrNotExist) {
		return snap, false, nil
	}
	if err != nil {
		return snap, false, fmt.Errorf("events: %w", err)
	}
	tries, done, damaged := make(map[int64]try), make(map[int64]struct{}), 0
	eachLine(bytes.NewReader(raw), func(ln line) bool {
		var n note
		if !ln.ok || json.Unmarshal(ln.text, &n) != nil {
			damaged++
			return true
		}
		n.apply(&snap, tries, done)
		return true
	})
	if damaged > 0 {
		p.log.Warn("some deliveries may be made twice: lines are damaged", "file", p.name, "lines", damaged)
	}
	snap.Open, snap.Done = nil, nil
	for at := range done {
		delete(tries, at)
		if at >= snap.Next {
			snap.Done = append(snap.Done, at)
		}
	}
	for _, t := range tries {
		snap.Open = append(snap.Open, t)
	}
	return snap, true, nil
}

func (n note) apply(snap *snapshot, tries map[int64]try, done map[int64]struct{}) {
	if n.Snapshot != nil {
		*snap = *n.Snapshot
		clear(tries)
		clear(done)
		for _, t := range snap.Open {
			tries[t.At] = t
		}
		for _, at := range snap.Done {
			done[at] = struct{}{}
		}
	}
	if n.Done > 0 {
		done[n.Done] = struct{}{}
	}
	if n.Try != nil {
		tries[n.Try.At] = *n.Try
	}
}

// begin replaces the file by a snapshot.
func (p *progress) begin(snap snapshot) error {
	p.close()
	text, err := json.Marshal(note{Snapshot: &snap})
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	raw := appendLine(nil, text)
	if err := durable.WriteFile(p.fs, p.name, raw, p.durable); err != nil {
		return fmt.Errorf("events: write %s: %w", p.name, err)
	}
	p.file, err = p.fs.OpenFile(p.name, os.O_RDWR)
	p.size = int64(len(raw))
	if err != nil {
		p.file = nil
		return fmt.Errorf("events: open %s: %w", p.name, err)
	}
	return nil
}

// add notes n; state is asked for when the file has to begin anew. That it fails costs a second delivery after a crash, so
// it is told and nothing more.
func (p *progress) add(n note, state func() snapshot) {
	if p.file == nil || p.size >= compactAfter {
		if err := p.begin(state()); err != nil {
			p.log.Warn("after a crash deliveries may be made twice", "err", err)
		}
		return // the state has n in it
	}
	text, err := json.Marshal(n)
	if err == nil {
		raw := appendLine(nil, text)
		_, err = p.file.WriteAt(raw, p.size)
		p.size += int64(len(raw))
	}
	if err != nil {
		p.log.Warn("after a crash deliveries may be made twice", "file", p.name, "err", err)
		p.close()
	}
}

func (p *progress) close() {
	if p.file == nil {
		return
	}
	if err := p.file.Close(); err != nil {
		p.log.Warn("closing the progress of an endpoint", "file", p.name, "err", err)
	}
	p.file = nil
}
