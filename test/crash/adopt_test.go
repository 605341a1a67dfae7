package crash

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// adopt looks for the uploads whose announcement was never answered. One is there with its record, and its client goes on with
// it as if it had been told; or it is not, but for bytes that came with the announcement, which nobody is served.
func (w *world) adopt() error {
	there, err := w.survey()
	if err != nil {
		return err
	}
	unanswered := make(map[string]*upload) // by profile and metadata
	for _, u := range w.all() {
		switch u.get(&u.made) {
		case yes:
			delete(there.found, u.grave()) // is judged by itself
		case perhaps:
			unanswered[u.kind.profile.dir+"/"+u.metadata] = u
		}
	}
	strays := make(map[string]int) // by profile
	for grave := range there.found {
		if w.graves[grave] || w.strays[grave] {
			continue // likewise
		}
		dir, id, _ := strings.Cut(grave, "/")
		metadata, err := w.metadata(dir, id)
		if errors.Is(err, fs.ErrNotExist) {
			strays[dir]++
			w.strays[grave] = true
			continue
		}
		if err != nil {
			return err
		}
		u := unanswered[dir+"/"+metadata]
		if u == nil {
			return fmt.Errorf("%s is nobody's, or somebody's second: it has %q", grave, metadata)
		}
		delete(unanswered, dir+"/"+metadata)
		u.found(u.kind.profile.path + id)
		w.chance("unanswered POST, done: true")
	}
	return w.giveUp(unanswered, strays)
}

// giveUp has the announcements forgotten that came to nothing. There must not be more strays than they carried.
func (w *world) giveUp(unanswered map[string]*upload, strays map[string]int) error {
	for _, u := range unanswered {
		u.set(&u.made, no)
		what := "unanswered POST, done: false"
		if dir := u.kind.profile.dir; u.begun.to > 0 && strays[dir] > 0 {
			strays[dir]--
			what = "unanswered POST, done: false, but bytes are left"
		}
		w.chance(what)
	}
	for dir, n := range strays {
		if n > 0 {
			return fmt.Errorf("%d files in %s have no record, and are of nothing that was not answered: %v", n, dir, w.strays)
		}
	}
	return nil
}

// metadata reads it from a record.
func (w *world) metadata(dir, id string) (string, error) {
	name := filepath.Join(w.data, dir, id+infoSuffix)
	if below, _ := filepath.Glob(filepath.Join(w.data, dir, "*", id+infoSuffix)); len(below) > 0 {
		name = below[0]
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	var record struct{ Sluice struct{ Metadata string } }
	if err := json.Unmarshal(raw, &record); err != nil {
		return "", fmt.Errorf("record of %s: %w", id, err)
	}
	return record.Sluice.Metadata, nil
}
