package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// head asks where an upload ends that nobody else is sending to.
func (c *client) head(ctx context.Context, u *upload) (offset int64, err error) {
	if offset, err = c.look(ctx, u); err == nil {
		u.settle()
	}
	return offset, err
}

// look is head where somebody may be sending: that one is interrupted, or comes later.
func (c *client) look(ctx context.Context, u *upload) (offset int64, err error) {
	before := u.known()
	a, err := c.ask(ctx, request{method: http.MethodHead, path: u.at()})
	if err != nil {
		return 0, err
	}
	s, err := standingOf(a.header)
	switch {
	case err != nil:
		return 0, c.wrong(u, "HEAD: %v", err)
	case a.status == http.StatusGone && s.state == rejected:
	case a.status == http.StatusNotFound || a.status == http.StatusGone:
		return 0, errGone
	case a.status != http.StatusOK:
		return 0, c.wrong(u, "HEAD: got %d", a.status)
	default:
		err = u.checkHeader(before, a.header, s)
	}
	if err == nil {
		err = u.learn(before, s)
	}
	if err != nil {
		return 0, c.wrong(u, "HEAD: %v", err)
	}
	return s.offset, nil
}

// checkHeader compares what HEAD says of an upload with what was announced.
func (u *upload) checkHeader(before known, h http.Header, s standing) error {
	if got := h.Get("Upload-Metadata"); got != u.metadata {
		return fmt.Errorf("Upload-Metadata is %q, want %q", got, u.metadata)
	}
	if got := h.Get("Upload-Concat"); got != u.concat {
		return fmt.Errorf("Upload-Concat is %q, want %q", got, u.concat)
	}
	if s.offset == untold && u.parts == nil {
		return fmt.Errorf("no Upload-Offset")
	}
	length, deferred := h.Get("Upload-Length"), h.Get("Upload-Defer-Length")
	told := length == strconv.FormatInt(u.file.size, 10) && deferred == ""
	later := length == "" && deferred == "1"
	if !told && (!later || before.declared == yes) || told && u.get(&u.declared) == no {
		return fmt.Errorf("Upload-Length is %q and Upload-Defer-Length %q, of %d bytes", length, deferred, u.file.size)
	}
	if told {
		u.set(&u.declared, yes)
	}
	return nil
}

// status is what GET {upload}/status tells.
type status struct {
	State    string
	Offset   int64
	Variants []struct {
		Name, URL    string
		Alternatives []struct{ URL string }
	}
}

// status asks how an upload stands, and disturbs nobody.
func (c *client) status(ctx context.Context, u *upload) (told status, err error) {
	before := u.known()
	a, err := c.ask(ctx, request{method: http.MethodGet, path: u.at() + "/status"})
	switch {
	case err != nil:
		return told, err
	case a.status == http.StatusNotFound && u.mayBeGone():
		return told, errGone
	case a.status != http.StatusOK || json.Unmarshal(a.body, &told) != nil:
		return told, c.wrong(u, "status: got %d %s", a.status, a.body)
	}
	s := standing{offset: told.Offset, state: told.State}
	if s.state == "receiving" {
		s.state = ""
	}
	if u.parts != nil {
		s.offset = before.acked // HEAD alone tells that it is joined
		if s.offset == 0 {
			s.offset = untold
		}
	}
	if err := u.learn(before, s); err != nil {
		return told, c.wrong(u, "status: %v", err)
	}
	return told, nil
}

// remove has an upload removed.
func (c *client) remove(ctx context.Context, u *upload) error {
	gone := u.mayBeGone()
	u.ask(&u.removed)
	a, err := c.ask(ctx, request{method: http.MethodDelete, path: u.at()})
	switch {
	case err != nil:
		return err
	case gone && (a.status == http.StatusNotFound || a.status == http.StatusGone):
	case a.status != http.StatusNoContent:
		return c.wrong(u, "DELETE: got %d %s", a.status, a.body)
	}
	u.set(&u.removed, yes)
	return nil
}
