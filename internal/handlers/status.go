package handlers

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"sluice/internal/upload"
)

// status is what GET {path}{id}/status tells, at any time and without disturbing the upload.
type status struct {
	ID        upload.ID         `json:"id"`
	Profile   string            `json:"profile"`
	State     upload.State      `json:"state"`
	Offset    int64             `json:"offset"`
	Length    *int64            `json:"length"` // null while not declared
	MediaType string            `json:"mediaType,omitempty"`
	Filename  string            `json:"filename,omitempty"`
	Created   time.Time         `json:"created,omitzero"`
	Changed   time.Time         `json:"changed,omitzero"`
	Expires   time.Time         `json:"expires,omitzero"`
	Concat    string            `json:"concat,omitempty"`   // "partial" or "final"
	JoinedIn  upload.ID         `json:"joinedIn,omitempty"` // the final that has the bytes of this part
	Reason    *upload.Rejection `json:"reason,omitempty"`
	Tries     int               `json:"tries,omitempty"` // to process it, that failed
	Damaged   bool              `json:"damaged,omitempty"`
	Content   string            `json:"content,omitempty"` // where the content is, once ready
	Variants  []statusVariant   `json:"variants,omitempty"`
	Video     *upload.Video     `json:"video,omitempty"`
	Digest    string            `json:"digest,omitempty"` // of the content, as Repr-Digest has it
}

// statusVariant is a variant in the format that everybody understands. Its address answers with one of the alternatives, if a
// request says that it takes them; each has an address of its own too.
type statusVariant struct {
	upload.Variant
	URL          string              `json:"url"`
	Alternatives []statusAlternative `json:"alternatives,omitempty"`
}

type statusAlternative struct {
	MediaType string `json:"mediaType"`
	Bytes     int64  `json:"bytes"`
	URL       string `json:"url"`
}

func (e *endpoint) status(req *request, r *http.Request) {
	e.count(http.MethodGet)
	rec, err := e.store.Lookup(req.upload)
	if err != nil {
		req.fail(err)
		return
	}
	e.resume(rec)
	raw, err := json.Marshal(e.statusOf(rec))
	if err != nil {
		req.fail(err)
		return
	}
	h := req.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(raw)))
	req.w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		req.w.Write(raw) // a client that is gone needs no answer
	}
}

func (e *endpoint) statusOf(rec upload.Record) status {
	if rec.Final && rec.State == upload.Receiving {
		rec.Length = e.lengthOfParts(rec)
	}
	s := status{
		ID: rec.ID, Profile: e.profile.Name, State: rec.State, Offset: rec.Offset, MediaType: rec.MediaType, Filename: rec.Filename(),
		Created: rec.Created, Changed: rec.Changed, Expires: rec.Expires.Truncate(time.Second), Concat: concatKind(rec), JoinedIn: rec.JoinedIn, Reason: rec.Reason, Tries: rec.Tries, Damaged: rec.Damaged,
	}
	if rec.Length != upload.Deferred {
		s.Length = &rec.Length
	}
	if rec.State != upload.Ready {
		return s
	}
	s.Content, s.Video, s.Digest = e.base+string(rec.ID), rec.Video, rec.Digest
	s.Variants = statusVariants(s.Content, rec.Variants)
	return s
}

// statusVariants lists every variant once, whatever formats there are of it.
func statusVariants(content string, variants []upload.Variant) (listed []statusVariant) {
	for _, v := range variants {
		if v.Of == "" {
			listed = append(listed, statusVariant{Variant: v, URL: content + "/" + v.Name})
		}
	}
	for _, v := range variants {
		if i := slices.IndexFunc(listed, func(l statusVariant) bool { return l.Name == v.Of }); i >= 0 {
			listed[i].Alternatives = append(listed[i].Alternatives, statusAlternative{v.MediaType, v.Bytes, content + "/" + v.Name})
		}
	}
	return listed
}
