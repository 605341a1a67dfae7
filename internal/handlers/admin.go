package handlers

import (
	"encoding/json"
	"errors"
	"net/http"

	"sluice/internal/upload"
)

// lineType is what commands get: a line of JSON for each thing, as it goes.
const lineType = "application/jsonl"

// sweptLine is one line of the answer to POST /gc: what was removed, or the end.
type sweptLine struct {
	*upload.Swept
	Done    bool   `json:"done,omitempty"`    // the sweep came to its end; without this line it did not
	Problem string `json:"problem,omitempty"` // with Done: not everything could be removed
}

// isAsked tells whether the command that asks means this server's data directory.
func (h *Handlers) isAsked(w http.ResponseWriter, r *http.Request) bool {
	data := r.URL.Query().Get("data")
	if data == "" || data == h.data {
		return true
	}
	http.Error(w, "this server has another data directory: "+h.data, http.StatusConflict)
	return false
}

// gc is for `sluice gc`, which says for which data directory it asks. It sweeps, or with ?dry-run tells what a sweep would do.
func (h *Handlers) gc(w http.ResponseWriter, r *http.Request) {
	if !h.isAsked(w, r) {
		return
	}
	w.Header().Set("Content-Type", lineType)
	_ = http.NewResponseController(w).Flush() // who asks knows now that somebody is at work
	out := json.NewEncoder(w)
	err := h.sweep(r.Context(), r.URL.Query().Has("dry-run"), func(one upload.Swept) {
		_ = out.Encode(sweptLine{Swept: &one}) // who does not listen any more ends the context
	})
	last := sweptLine{Done: true}
	switch {
	case errors.Is(err, upload.ErrNotSwept):
		last.Problem = upload.ErrNotSwept.Error()
	case err != nil:
		h.log.Error("sweeping", "err", err)
		return
	}
	_ = out.Encode(last)
}

// listedLine is one line of the answer to GET /uploads: an upload, or the end.
type listedLine struct {
	*upload.Listed
	Done bool `json:"done,omitempty"` // the list is whole; without this line it is not
}

// uploads is for `sluice ls`, and for scripts: it lists every upload, or those of ?profile= and in ?state=.
func (h *Handlers) uploads(w http.ResponseWriter, r *http.Request) {
	if !h.isAsked(w, r) {
		return
	}
	w.Header().Set("Content-Type", lineType)
	_ = http.NewResponseController(w).Flush() // who asks knows now that somebody is at work
	query, out := r.URL.Query(), json.NewEncoder(w)
	which := upload.Listing{Profile: query.Get("profile"), State: upload.State(query.Get("state"))}
	err := h.list(r.Context(), which, func(one upload.Listed) error { return out.Encode(listedLine{Listed: &one}) })
	switch {
	case r.Context().Err() != nil: // nobody listens any more
	case err != nil:
		h.log.Error("listing", "err", err)
	default:
		_ = out.Encode(listedLine{Done: true})
	}
}

// replayed is for `sluice replay`: it has events delivered, and uploads processed, again, and answers how many.
func (h *Handlers) replayed(w http.ResponseWriter, r *http.Request) {
	if !h.isAsked(w, r) {
		return
	}
	query := r.URL.Query()
	done, err := h.replay(r.Context(), upload.Replay{
		Endpoint: query.Get("endpoint"), Profile: query.Get("profile"), ID: upload.ID(query.Get("id")),
		Type: upload.EventType(query.Get("type")), Delivered: query.Has("delivered"),
	})
	if err != nil { // this listener is the operator's
		if !errors.Is(err, upload.ErrNoEndpoint) {
			h.log.Error("replaying", "err", err)
		}
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(done)
}
