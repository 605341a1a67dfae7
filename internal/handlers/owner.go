package handlers

import (
	"net/http"
	"unicode"
	"unicode/utf8"

	"sluice/internal/upload"
)

// Whose an upload is. A proxy in front has found out who asks, and says so in a header that it sets or removes itself. Without
// such a header there is one owner, "", who is everybody.

// maxOwner bounds what is kept of a name, in bytes.
const maxOwner = 255

var (
	// errWhoAsks is told where an owner is needed and the proxy names none.
	errWhoAsks = &clientError{http.StatusUnauthorized, "unauthenticated", "Sign in first."}
	errOwner   = badRequest("bad_owner", "The name of the owner must be given once, and be plain text.")
)

// ownerOf is who asks: "" if that is not said.
func (h *Handlers) ownerOf(r *http.Request) (upload.Owner, error) {
	if h.ownerHeader == "" {
		return "", nil
	}
	name, err := one(r.Header, h.ownerHeader)
	if err != nil || len(name) > maxOwner || !utf8.ValidString(name) {
		return "", errOwner
	}
	for _, c := range name {
		if !unicode.IsPrint(c) {
			return "", errOwner
		}
	}
	return upload.Owner(name), nil
}

// admit decides, before any lock is taken, whether a request of the endpoint may go on. Whoever asks for another's upload learns
// no more than who asks for one that is not there.
func (e *endpoint) admit(req *request, r *http.Request, collection, content bool) (err error) {
	if e.h.ownerHeader == "" || r.Method == http.MethodOptions {
		return nil
	}
	if req.owner, err = e.h.ownerOf(r); err != nil {
		return err
	}
	open := content && e.profile.Read == upload.Anybody
	if req.owner == "" && !open {
		return errWhoAsks
	}
	if collection {
		return nil
	}
	rec, err := e.store.Lookup(req.upload)
	switch {
	case err != nil:
		return err // whose it is cannot be told
	case rec.Owner == "" || rec.Owner == req.owner: // the former was made while everybody was the owner
		return nil
	case open && (rec.State == upload.Ready || rec.State.Gone()):
		return nil
	}
	return upload.ErrNotFound
}

// refuse answers a request that is not admitted. A HEAD is not told that it is: its client would take that for the end of the
// upload, which goes on as soon as somebody is signed in.
func (r *request) refuse(err error) {
	if r.method == http.MethodHead && err == error(errWhoAsks) {
		err = upload.ErrLocked
	}
	r.fail(err)
}
