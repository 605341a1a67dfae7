package power

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// witness holds what a server says after a power cut against what another had said before.
type witness struct {
	t      *testing.T
	disk   disk
	server *server
	must   map[string]promise // what may not be lost
	may    map[string]promise // what may have been done besides
	always bool               // nothing acknowledged may be lost, and all is in order
	proven bool               // must holds only for uploads that lay still since
	there  map[string]bool    // names of the uploads that are
	goOn   []promise          // such as can be gone on with
	seen   tally
}

// tally is what was seen, for the reader of the log.
type tally struct {
	uploads, ready, fellBack, damaged, unreadable, gone int
	bytes, lost                                         int64
}

func (s tally) String() string {
	return fmt.Sprintf("%d uploads, %d ready, %d MiB right; fell back %d, by %d MiB in all; damaged %d, unreadable %d, gone %d",
		s.uploads, s.ready, s.bytes>>20, s.fellBack, s.lost>>20, s.damaged, s.unreadable, s.gone)
}

// checkAll looks at every upload on the disk, then at what should be there.
func (w *witness) checkAll() {
	w.t.Helper()
	for _, p := range profiles {
		for _, record := range w.records(p) {
			w.checkRecord(p, record)
		}
	}
	for name, must := range w.must {
		if w.there[name] || must.id == "" {
			continue
		}
		may := w.may[name]
		if may.deleting {
			continue
		}
		w.seen.gone++
		if w.holds(must) {
			w.t.Errorf("%s is gone", name)
		}
	}
	w.resume()
	if !w.always {
		return
	}
	if log := w.server.log.String(); strings.Contains(log, "level=ERROR") {
		w.t.Error("the server found errors after the power cut")
	}
}

// holds tells whether what was acknowledged of an upload may not be lost. A server that does not sync may lose more than what
// came last: its record, if that was being replaced.
func (w *witness) holds(must promise) bool { return !w.proven || w.may[must.name].quiet(must) }

// records are the names of the record files of a profile. Files that belong to none are a fault.
func (w *witness) records(p profile) (records []string) {
	pattern := filepath.Join(w.disk.data(), p.dir, "[^.]*")
	if !p.flat {
		pattern = filepath.Join(pattern, "*")
	}
	names, err := filepath.Glob(pattern)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, name := range names {
		base, suffix, _ := strings.Cut(filepath.Base(name), ".")
		record := filepath.Join(filepath.Dir(name), base+".info")
		if suffix == "info" {
			records = append(records, name)
		} else if w.always && suffix != "" && !slices.Contains(names, record) { // bytes alone are of an upload that nobody was told of
			w.t.Errorf("%s is there, and no record", name)
		}
	}
	return records
}

// checkRecord looks at one upload.
func (w *witness) checkRecord(p profile, record string) {
	w.seen.uploads++
	id := strings.TrimSuffix(filepath.Base(record), ".info")
	a, err := w.server.ask(w.t.Context(), "HEAD", p.path+id, protocol)
	if err != nil {
		w.t.Errorf("HEAD %s: %v", p.path+id, err)
		return
	}
	name := w.nameOf(id, record)
	may, known := w.may[name]
	nothing := a.status == http.StatusNotFound && empty(record) && empty(strings.TrimSuffix(record, ".info"))
	if !known {
		if nothing {
			return // it was being made, and the sweep removes it
		}
		if a.status == http.StatusOK || w.always {
			w.t.Errorf("HEAD %s: got %d, and nobody made it", p.path+id, a.status)
		}
		return
	}
	w.there[name] = true
	may.id = id
	must := w.must[name]
	switch {
	case must.deleted && w.holds(must):
		w.t.Errorf("%s was deleted, and is there again", name)
	case a.status == http.StatusGone:
		if !may.refused {
			w.t.Errorf("%s is rejected", name)
		}
	case a.status == http.StatusOK:
		w.checkStanding(a, must, may)
	case nothing && !w.always && !(w.holds(must) && must.id != ""):
		w.seen.gone++ // nothing of it is on the disk
	default:
		w.checkUnreadable(a, must, may)
	}
}

// empty tells that there is no byte in a file.
func empty(name string) bool {
	info, err := os.Stat(name)
	return errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0
}

// nameOf is the name of the upload with that id: as its client knows it, or as its record has it where the cut came before
// the answer.
func (w *witness) nameOf(id, record string) string {
	for name, p := range w.may {
		if p.id == id {
			return name
		}
	}
	var stored struct{ MetaData map[string]string }
	raw, err := os.ReadFile(record)
	if err != nil || json.Unmarshal(raw, &stored) != nil {
		return ""
	}
	return stored.MetaData["filename"]
}

// checkUnreadable looks at an upload whose record is torn: it fails clearly, and can be deleted.
func (w *witness) checkUnreadable(a answer, must, may promise) {
	w.seen.unreadable++
	if w.always || w.holds(must) && must.id != "" || a.status != http.StatusInternalServerError {
		w.t.Errorf("HEAD %s: got %d", may.name, a.status)
		return
	}
	if a, err := w.server.ask(w.t.Context(), "DELETE", may.url(), protocol); err != nil || a.status != http.StatusNoContent {
		w.t.Errorf("DELETE of %s, which is unreadable: got %s, %v", may.name, a, err)
	}
}

// maxResumed is how much is sent to an upload that is gone on with.
const maxResumed = 16 << 20

// resume goes on with one of the uploads that are not complete, as its client would.
func (w *witness) resume() {
	for _, p := range w.goOn {
		offset, rest, err := w.rest(p)
		if err != nil {
			w.t.Errorf("%s: %v", p.name, err)
			return
		}
		if rest > maxResumed {
			continue
		}
		header := []string{protocol, chunkType, "Upload-Offset: " + strconv.FormatInt(offset, 10)}
		if p.later {
			header = append(header, "Upload-Length: "+strconv.FormatInt(p.file.size, 10))
		}
		a, err := w.server.send(w.t.Context(), "PATCH", p.url(), p.file.part(offset, p.file.size), rest, header...)
		if err != nil || a.status != http.StatusNoContent {
			w.t.Errorf("%s goes on at %d: got %s, %v", p.name, offset, a, err)
			return
		}
		if err := w.checkContent(p.file.size, true, promise{}, p); err != nil {
			w.t.Errorf("%s went on at %d: %v", p.name, offset, err)
		}
		return
	}
}

// rest is how far an upload is, and how much of it is missing.
func (w *witness) rest(p promise) (offset, rest int64, err error) {
	found, err := w.server.standing(w.t.Context(), p.url())
	return found.Offset, p.file.size - found.Offset, err
}

// buried are the names of uploads that were deleted before the cut, and of which nothing was seen.
func (w *witness) buried() (names []string) {
	for name, p := range w.must {
		if p.deleted && !w.there[name] {
			names = append(names, name)
		}
	}
	return names
}
