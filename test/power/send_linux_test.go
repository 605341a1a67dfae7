package power

import (
	"errors"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"time"
)

// send sends an upload, be it new or begun, to its end, or leaves it somewhere in between.
func (w *worker) send(p plan) error {
	err := w.begin(p)
	for err == nil && w.ctx.Err() == nil {
		now := w.get(p.name)
		switch {
		case now.deleting:
			return nil
		case now.id == "": // the answer never came
			return nil
		case now.state == "received":
			err = w.settle(now)
		case now.state != "" || w.one(20):
			w.rest(p)
			return nil
		case w.one(40):
			return w.remove(p.name)
		default:
			err = w.chunk(p, now)
		}
	}
	if w.get(p.name).deleting {
		return nil // by somebody else
	}
	return err
}

// begin creates an upload, or finds out how far it is.
func (w *worker) begin(p plan) error {
	if now := w.get(p.name); now.id != "" {
		return w.look(p.name)
	}
	p.turns = 1
	header := []string{protocol, "Upload-Metadata: " + p.metadata()}
	if p.later {
		header = append(header, "Upload-Defer-Length: 1")
	} else {
		header = append(header, "Upload-Length: "+strconv.FormatInt(p.file.size, 10))
	}
	if p.checked {
		p.edge(0)
	}
	if p.first > 0 {
		header = append(header, chunkType)
	}
	if p.first > 0 && p.checked {
		p.edge(p.first)
		header = append(header, digest(p.file, 0, p.first))
	}
	w.add(p.promise)
	cut := p.first > 0 && !p.smooth && w.one(10)
	if cut {
		header = append(header, lastOfIts)
	}
	a, err := w.post(p, cut, header)
	switch {
	case err != nil && cut:
		w.change(p.name, anything, func(p *promise) { p.turns++ })
		return nil
	case err != nil:
		return err
	case a.status == http.StatusCreated, p.refused && refusal(a):
		w.note(p.name, a, created)
		return nil
	}
	return fmt.Errorf("POST: got %s", a)
}

func (w *worker) post(p plan, cut bool, header []string) (answer, error) {
	if p.first == 0 {
		return w.ask(w.ctx, "POST", p.profile.path, header...)
	}
	return w.client.send(w.ctx, "POST", p.profile.path, w.body(p, p.file, 0, p.first, cut), p.first, header...)
}

// refusal tells whether a is a verdict on content.
func refusal(a answer) bool {
	return a.status == http.StatusUnsupportedMediaType || a.status == http.StatusUnprocessableEntity
}

// attempt is how a client tries to add bytes.
type attempt struct {
	from, to int64
	wrong    bool // the checksum is right, the bytes are not
	cut      bool // the connection breaks on the way
	declares bool // the length is told with it
}

// next chooses how to go on with an upload.
func (w *worker) next(p plan, now promise) attempt {
	at := attempt{from: now.offset, to: min(now.offset+w.between(p.least, p.most), p.file.size)}
	if at.to > at.from { // else only the length is missing
		at.wrong = p.checked && !p.later && w.one(6)
		at.cut = !at.wrong && w.one(5)
	}
	at.declares = p.later && !now.declared && (at.to == p.file.size || w.one(3))
	return at
}

func (at attempt) header(p plan) []string {
	header := []string{protocol, chunkType, "Upload-Offset: " + strconv.FormatInt(at.from, 10)}
	if at.declares {
		header = append(header, "Upload-Length: "+strconv.FormatInt(p.file.size, 10))
	}
	if p.checked {
		header = append(header, digest(p.file, at.from, at.to))
	}
	if at.cut {
		header = append(header, lastOfIts)
	}
	return header
}

// chunk sends the next bytes: some in vain.
func (w *worker) chunk(p plan, now promise) error {
	at := w.next(p, now)
	w.change(p.name, anything, func(p *promise) {
		p.turns++
		p.broken = p.broken || at.cut
		if p.edges != nil && !at.wrong {
			p.edge(at.to)
		}
	})
	file := p.file
	if at.wrong {
		file = content{size: p.file.size, seed: p.file.seed + 500_000}
	}
	sent := w.body(p, file, at.from, at.to, at.cut)
	a, err := w.client.send(w.ctx, "PATCH", now.url(), sent, at.to-at.from, at.header(p)...)
	return w.outcome(p, at, a, err)
}

// outcome notes what came of a chunk.
func (w *worker) outcome(p plan, at attempt, a answer, err error) error {
	late := w.get(p.name).broken // an earlier request may have come between
	switch {
	case err != nil && !at.cut && !p.refused: // a refusal may be lost on the way: the server reads no more, and hangs up
		return err
	case err != nil, late && (a.status == http.StatusConflict || a.status == http.StatusLocked):
		w.change(p.name, anything, func(p *promise) { p.turns++ })
		return w.look(p.name)
	case at.wrong && a.status == 460:
		w.change(p.name, anything, func(p *promise) { p.turns++ })
		return nil
	case late && p.refused && a.status == http.StatusGone:
		w.note(p.name, a, rejected)
		return nil
	case !at.wrong && a.status == http.StatusNoContent, p.refused && refusal(a):
		w.note(p.name, a, at.adds(w, p))
		return nil
	}
	return fmt.Errorf("PATCH: got %s", a)
}

// adds is what happened when a chunk was taken. A length that came with it is known from now on.
func (at attempt) adds(w *worker, p plan) event {
	switch {
	case at.declares:
		w.change(p.name, anything, func(p *promise) { p.declared = true })
		return declared
	case p.checked:
		return verified
	}
	return added
}

// note notes what an answer to a client's request says, which was what if nothing more.
func (w *worker) note(name string, a answer, what event) {
	if refusal(a) {
		what = rejected
	}
	if a.state() == "ready" {
		what = finished
	}
	w.change(name, what, func(p *promise) {
		p.turns++
		if location := a.header.Get("Location"); location != "" {
			p.id = path.Base(location)
		}
		if told, ok := a.offset(); ok {
			p.offset = max(p.offset, told)
		}
		if state := a.state(); state != "" {
			p.state = state
		}
		if what == rejected {
			p.state = "rejected"
		}
	})
}

// look asks how far an upload is.
func (w *worker) look(name string) error {
	w.change(name, anything, func(p *promise) { p.turns++ })
	a, err := w.ask(w.ctx, "HEAD", w.get(name).url(), protocol)
	if err != nil {
		return err
	}
	switch {
	case a.status == http.StatusGone && w.get(name).refused:
		w.change(name, rejected, func(p *promise) { p.turns, p.state = p.turns+1, "rejected" })
	case a.status == http.StatusOK:
		if a.header.Get("Upload-Length") != "" {
			w.change(name, anything, func(p *promise) { p.declared = true })
		}
		w.note(name, a, added)
	default:
		return fmt.Errorf("HEAD: got %d", a.status)
	}
	return nil
}

// settle waits for the verdict on an upload that is complete.
func (w *worker) settle(now promise) error {
	for deadline := time.Now().Add(patience); w.ctx.Err() == nil; w.pause(10 * time.Millisecond) {
		found, err := w.standing(w.ctx, now.url())
		switch {
		case err != nil:
			return err
		case found.State == "ready":
			w.change(now.name, finished, func(p *promise) { p.state = found.State })
			return nil
		case found.State == "rejected":
			w.change(now.name, rejected, func(p *promise) { p.state = found.State })
			return nil
		case time.Now().After(deadline):
			return errors.New("no verdict")
		}
	}
	return nil
}

// remove deletes an upload, unless somebody does so already.
func (l *load) remove(name string) error {
	first := false
	l.change(name, anything, func(p *promise) {
		if first = !p.deleting; first {
			p.deleting, p.turns = true, p.turns+1
		}
	})
	if !first {
		return nil
	}
	a, err := l.ask(l.ctx, "DELETE", l.get(name).url(), protocol)
	if err != nil {
		return err
	}
	if a.status != http.StatusNoContent {
		return fmt.Errorf("DELETE: got %s", a)
	}
	l.change(name, deleted, func(p *promise) { p.deleted, p.turns = true, p.turns+1 })
	return nil
}
