package handlers

import (
	"fmt"
	"net/http"
	"strings"
)

// healthz tells that the process serves: a reason to restart it, if it does not.
func (h *Handlers) healthz(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok\n") }

// readyz tells whether uploads can be taken now: a reason to send clients elsewhere, if not. Each line names a part.
func (h *Handlers) readyz(w http.ResponseWriter, _ *http.Request) {
	status := http.StatusOK
	var lines strings.Builder
	for _, e := range h.endpoints {
		word := "ok"
		if err := e.store.Check(); err != nil {
			word, status = err.Error(), http.StatusServiceUnavailable // this listener is the operator's
		}
		fmt.Fprintf(&lines, "store %s: %s\n", e.profile.Name, word)
	}
	if err := h.recording(); err != nil {
		status = http.StatusServiceUnavailable
		fmt.Fprintf(&lines, "events: %v\n", err)
	}
	h.mu.Lock()
	if h.draining {
		status = http.StatusServiceUnavailable
		lines.WriteString("shutting down\n")
	}
	h.mu.Unlock()
	say(w, status, lines.String())
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprint(w, text)
}
