package crash

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// What a data directory is laid out like; ARCHITECTURE.md, "On disk", has it in words.
const (
	ownDir     = ".sluice"
	infoSuffix = ".info"
	fanLetters = 2
)

// file is the name of a file of the upload: of its content for suffix "".
func (w *world) file(u *upload, suffix string) string {
	id := u.id()
	if u.kind.profile.flat {
		return filepath.Join(w.data, u.kind.profile.dir, id+suffix)
	}
	return filepath.Join(w.data, u.kind.profile.dir, id[:fanLetters], id+suffix)
}

// compareStored reads what is stored of an unfinished upload from the data directory, and compares it.
func (w *world) compareStored(u *upload) error {
	acked := u.known().acked
	f, err := os.Open(w.file(u, ""))
	if err != nil && acked == 0 {
		return nil // it may be made with its first byte
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := u.file.compare(f, 0, acked); err != nil {
		return fmt.Errorf("stored bytes below the offset %d: %w", acked, err)
	}
	return nil
}

// leftover is what is in the data directory under one id: suffixes, the content's is "".
type leftover map[string]bool

// survey is what is in the directories of the profiles.
type survey struct {
	found   map[string]leftover // by grave
	strange []string            // what has no business there
}

func (w *world) survey() (*survey, error) {
	s := &survey{found: make(map[string]leftover)}
	for _, p := range []profile{files, videos, avatars} {
		root := filepath.Join(w.data, p.dir)
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil // gone in this moment
			case err != nil:
				return err
			case entry.IsDir() && entry.Name() == ownDir:
				return fs.SkipDir
			case !entry.IsDir() && !unwritten(path, entry):
				s.add(p, path, filepath.Dir(path) != root)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// unwritten tells a record that a kill kept from being written: the sweep removes it.
func unwritten(path string, entry fs.DirEntry) bool {
	info, err := entry.Info()
	return filepath.Ext(path) == infoSuffix && err == nil && info.Size() == 0
}

// add notes a file of a profile.
func (s *survey) add(p profile, path string, below bool) {
	id, suffix, dotted := strings.Cut(filepath.Base(path), ".")
	if dotted {
		suffix = "." + suffix
	}
	if below == p.flat || below && filepath.Base(filepath.Dir(path)) != id[:min(fanLetters, len(id))] {
		s.strange = append(s.strange, path)
		return
	}
	grave := p.dir + "/" + id
	if s.found[grave] == nil {
		s.found[grave] = make(leftover)
	}
	s.found[grave][suffix] = true
}

// awaitOrder waits until nothing is left behind in the data directory. The server may be at work on it.
func (w *world) awaitOrder(within time.Duration) error {
	for deadline := time.Now().Add(within); ; {
		faults, err := w.disorder()
		if err != nil || len(faults) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return errors.New(strings.Join(faults, "; "))
		}
		time.Sleep(5 * time.Millisecond) // between two looks
	}
}

// disorder compares the data directory with what should be there.
func (w *world) disorder() (faults []string, err error) {
	there, err := w.survey()
	if err != nil {
		return nil, err
	}
	for _, path := range there.strange {
		faults = append(faults, "out of place: "+path)
	}
	for _, u := range w.all() {
		if u.get(&u.made) != yes {
			continue
		}
		if fault := u.misfiled(there.found[u.grave()]); fault != "" {
			faults = append(faults, fmt.Sprintf("%s: %s", u, fault))
		}
		delete(there.found, u.grave())
	}
	for grave, l := range there.found {
		what := "left of nobody"
		switch {
		case w.strays[grave] && slices.Equal(l.names(), []string{""}):
			continue
		case w.graves[grave]:
			what = "left of an upload that was removed"
		}
		faults = append(faults, fmt.Sprintf("%s: %s %q", what, grave, l.names()))
	}
	return faults, nil
}

// misfiled says what is wrong with the files of an upload that is there.
func (u *upload) misfiled(l leftover) string {
	want := []string{"", infoSuffix}
	if u.known().state == rejected {
		want = []string{infoSuffix}
	}
	if u.known().state == ready {
		for _, v := range u.kind.profile.variants {
			want = append(want, "."+v)
			if _, made := u.variants[v+"-webp"]; made {
				want = append(want, "."+v+"-webp")
			}
		}
	}
	slices.Sort(want)
	got := l.names()
	switch {
	case slices.Equal(got, want):
	case u.parts != nil && slices.Equal(got, []string{infoSuffix}): // nothing joined yet, or by reference
	case !u.full() && u.known().acked == 0 && slices.Equal(got, []string{infoSuffix}): // made with its first byte
	case u.isJoined() && slices.Equal(got, []string{infoSuffix}):
	case u.kind == part && u.mayBeGone() && !u.isJoined(): // it may be, this very moment
	default:
		return fmt.Sprintf("its files are %q, want %q", got, want)
	}
	return ""
}

func (l leftover) names() []string {
	names := make([]string, 0, len(l))
	for suffix := range l {
		names = append(names, suffix)
	}
	slices.Sort(names)
	return names
}
