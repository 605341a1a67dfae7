package handlers

import (
	"encoding/json"
	"net/http"

	"sluice/internal/upload"
)

// sweptLine is one line of the answer to POST /gc: what was removed, or the end.
type sweptLine struct {
	*upload.Swept
	Done bool `json:"done,omitempty"` // the sweep came to its end; without this line it did not
}

// gc sweeps, or with ?dry-run tells what a sweep would do: a line of JSON for each thing, as it goes.
func (h *Handlers) gc(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/jsonl")
	out := json.NewEncoder(w)
	err := h.sweep(r.Context(), r.URL.Query().Has("dry-run"), func(one upload.Swept) {
		_ = out.Encode(sweptLine{Swept: &one}) // who does not listen any more ends the context
	})
	if err != nil {
		h.log.Error("sweeping", "err", err)
		return
	}
	_ = out.Encode(sweptLine{Done: true})
}
