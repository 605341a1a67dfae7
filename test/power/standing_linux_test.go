package power

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"
)

// unproven is how much of what is on the disk a server that does not sync need not be able to prove: the block that the last
// byte is in, of the largest there are.
const unproven = 64 << 10

// checkStanding looks at an upload that the server knows.
func (w *witness) checkStanding(a answer, must, may promise) {
	offset, _ := a.offset()
	fault := func(format string, args ...any) {
		w.t.Errorf("%s at %d, of which %d were acknowledged: %s", may.name, offset, must.offset, fmt.Sprintf(format, args...))
	}
	lost := must.offset - offset
	if fell := may.offset - offset; fell > 0 {
		w.seen.fellBack++
		w.seen.lost += fell
	}
	length, err := strconv.ParseInt(a.header.Get("Upload-Length"), 10, 64)
	known := err == nil
	switch {
	case a.header.Get("Upload-Metadata") != may.metadata():
		fault("metadata is %q", a.header.Get("Upload-Metadata"))
	case known && length != may.file.size, !known && !may.later:
		fault("length is %q", a.header.Get("Upload-Length"))
	case !known && must.declared && w.holds(must):
		fault("its length is forgotten")
	case lost > 0 && w.holds(must) && must.state != "rejected" && !(w.proven && lost < unproven):
		fault("%d bytes are lost", lost)
	case must.state == "rejected" && w.holds(must):
		fault("it was rejected")
	case w.always && may.edges != nil && !slices.Contains(may.edges, offset):
		fault("it ends within a chunk that nobody verified: %v", may.edges)
	}
	if err := w.checkContent(offset, known && offset == length, must, may); err != nil {
		fault("%v", err)
	}
}

// checkContent compares all that counts: through the server once it is ready, else as it lies on the disk.
func (w *witness) checkContent(offset int64, complete bool, must, may promise) error {
	w.seen.bytes += offset
	found, err := w.settled(may, complete)
	if err != nil {
		return err
	}
	switch {
	case found.Damaged && w.always:
		return errors.New("it is damaged")
	case may.refused && found.State == "ready":
		return errors.New("what the profile does not take is ready")
	case !complete && must.state == "ready" && w.holds(must):
		return errors.New("it was ready")
	case complete && !may.refused && found.State != "ready":
		return fmt.Errorf("it is complete and %s", found.State)
	}
	if found.Damaged {
		w.seen.damaged++
	}
	switch found.State {
	case "ready":
		w.seen.ready++
		return w.download(may, found)
	case "receiving":
		if !may.refused {
			w.goOn = append(w.goOn, may)
		}
		file, err := os.Open(w.disk.path(may))
		if err != nil {
			return err
		}
		defer file.Close()
		return may.file.check(file, offset)
	}
	return nil
}

// settled waits for the verdict on a complete upload.
func (w *witness) settled(p promise, complete bool) (standing, error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) { // between two looks
		found, err := w.server.standing(w.t.Context(), p.url())
		if err != nil || !complete || found.State == "ready" || found.State == "rejected" {
			return found, err
		}
		if time.Now().After(deadline) {
			return found, errors.New("no verdict")
		}
	}
}

// download compares the content of a ready upload, and of what was made of it.
func (w *witness) download(p promise, found standing) error {
	resp, err := w.server.open(w.t.Context(), "GET", p.url(), nil, 0)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.ContentLength != p.file.size {
		return fmt.Errorf("GET: got %d with %d bytes of %d", resp.StatusCode, resp.ContentLength, p.file.size)
	}
	if err := p.file.check(resp.Body, p.file.size); err != nil {
		return err
	}
	if len(found.Variants) != len(p.squares) && p.squares != nil {
		return fmt.Errorf("%d variants, want %d", len(found.Variants), len(p.squares))
	}
	for _, v := range found.Variants {
		a, err := w.server.ask(w.t.Context(), "GET", v.URL)
		if err != nil || a.status != http.StatusOK || p.squares != nil && !bytes.Equal(a.body, p.squares[v.Name]) {
			return fmt.Errorf("variant %s is another: %d, %d bytes, %v", v.Name, a.status, len(a.body), err)
		}
	}
	return nil
}
