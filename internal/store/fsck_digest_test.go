package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/store"
	"sluice/internal/upload"
)

// digestFaults opens a store as fsck does and returns what it says of content, after nothing else was found.
func (h *home) digestFaults() (faults []store.Fault) {
	h.Helper()
	f, err := store.Examine(h.options(), false)
	h.must(err)
	_, err = f.Fsck(h.Context(), false, func(one store.Fault) { h.Errorf("got %+v", one) })
	h.must(err)
	h.must(f.CheckDigests(h.Context(), func(one store.Fault) { faults = append(faults, one) }))
	h.must(f.Close())
	return faults
}

func TestContentThatIsNotWhatItWasIsNamed(t *testing.T) {
	for _, flat := range []bool{true, false} {
		h := newHome(t, flat)
		o := h.options()
		o.Digest = upload.SHA256
		f, err := store.Open(o)
		h.must(err)
		long := strings.Repeat("sluices let the stream through ", 100_000)
		for _, what := range []string{"good", "rotten", "received and rotten", "thrown away"} {
			id := h.add(f, upload.Record{ID: upload.ID(what), Length: int64(len(long))}, []byte(long), upload.Check{})
			switch what {
			case "good", "rotten":
				_, err = f.Publish(id, upload.Outcome{MediaType: "text/plain"})
			case "thrown away":
				_, err = f.Reject(id, unwanted)
			}
			h.must(err)
		}
		h.must(f.Close())
		if faults := h.digestFaults(); len(faults) > 0 {
			t.Errorf("got %+v, want nothing wrong", faults)
		}

		for _, what := range []string{"rotten", "received and rotten"} {
			file, err := os.OpenFile(h.at(what, ""), os.O_WRONLY, 0)
			h.must(err)
			_, err = file.WriteAt([]byte("S"), 2_000_000)
			h.must(errors.Join(err, file.Close()))
		}
		faults := h.digestFaults()
		if len(faults) != 2 {
			t.Errorf("got %+v, want two faults", faults)
		}
		for _, one := range faults {
			if one.ID != h.ids["rotten"] && one.ID != h.ids["received and rotten"] || one.Mendable || one.Note ||
				filepath.Base(one.File) != string(one.ID) || !strings.Contains(one.Problem, "digest is another") {
				t.Errorf("got %+v", one)
			}
		}
	}
}

func TestCheckingDigestsEndsWithItsContext(t *testing.T) {
	h := newHome(t, false)
	f, err := store.Examine(h.options(), false)
	h.must(err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.CheckDigests(ctx, func(store.Fault) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	h.must(f.Close())
}
