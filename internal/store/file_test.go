package store_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sluice/internal/durable"
	"sluice/internal/durable/faultfs"
	"sluice/internal/store"
	"sluice/internal/store/storetest"
	"sluice/internal/upload"
)

func TestFileKeepsTheContract(t *testing.T) {
	for _, kind := range []struct {
		name  string
		o     store.Options
		blind bool
	}{
		{"flat, durable", store.Options{Flat: true, Durable: true}, false},
		{"fanned out, not durable", store.Options{}, false},
		{"fanned out, durable, holes not reported", store.Options{Durable: true}, true},
	} {
		if kind.blind && raced() { // no other goroutines than in the first
			continue
		}
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) storetest.Harness {
				if kind.blind {
					return harness(t.TempDir(), kind.o, openBlind)
				}
				return harness(t.TempDir(), kind.o, openFile)
			})
		})
	}
}

// harness is a directory on the real file system, on which open opens stores.
func harness(dir string, o store.Options, open func(*testing.T, string, store.Options) *store.File) storetest.Harness {
	return storetest.Harness{
		Open: func(t *testing.T, s storetest.Setup) store.Store {
			t.Helper()
			o.Judge, o.Variants, o.Reserve = s.Judge, s.Variants, s.Reserve
			o.MaxBytes, o.Lifetime, o.Retention, o.KeepParts = s.MaxBytes, s.Lifetime, s.Retention, s.KeepParts
			o.KeepRejected, o.Digest = s.KeepRejected, s.Digest
			if s.Direct {
				o.Direct = func(string) bool { return true }
			}
			return open(t, dir, o)
		},
		Close: func(t *testing.T, s store.Store) {
			t.Helper()
			if err := s.(*store.File).Close(); err != nil {
				t.Fatal(err)
			}
		},
		Crash: func(t *testing.T, s store.Store) {
			t.Helper()
			if err := s.(*store.File).Crash(); err != nil {
				t.Fatal(err)
			}
		},
		Tear: func(t *testing.T, id upload.ID) {
			t.Helper()
			for _, name := range namesOf(t, dir, id) {
				if strings.HasSuffix(name, ".info") {
					if err := os.Truncate(name, 10); err != nil {
						t.Fatal(err)
					}
				}
			}
		},
		Age: func(t *testing.T, id upload.ID, by time.Duration) {
			age(t, append(namesOf(t, dir, id), filepath.Join(dir, ".sluice", "mark.json")), by)
		},
		Free: func(t *testing.T) int64 {
			t.Helper()
			root, err := durable.OpenRoot(dir)
			if err != nil {
				t.Fatal(err)
			}
			free, err := root.Free()
			if err = errors.Join(err, root.Close()); err != nil {
				t.Fatal(err)
			}
			return free
		},
		Left: func(t *testing.T, id upload.ID) []string { return namesOf(t, dir, id) },
	}
}

// timeInRecord finds the times that a record holds.
var timeInRecord = regexp.MustCompile(`"(created|changed|since)":"([^"]+)"`)

// age puts the times of files, and those that records and marks hold, back.
func age(t *testing.T, names []string, by time.Duration) {
	t.Helper()
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(name) == ".info" || filepath.Ext(name) == ".json" {
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			raw = timeInRecord.ReplaceAllFunc(raw, func(pair []byte) []byte {
				parts := timeInRecord.FindSubmatch(pair)
				at, err := time.Parse(time.RFC3339, string(parts[2]))
				if err != nil {
					t.Fatal(err)
				}
				return fmt.Appendf(nil, "%q:%q", parts[1], at.Add(-by).Format(time.RFC3339Nano))
			})
			if err := os.WriteFile(name, raw, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chtimes(name, time.Time{}, info.ModTime().Add(-by)); err != nil {
			t.Fatal(err)
		}
	}
}

// openBlind opens a store in dir as on a file system that does not report holes.
func openBlind(t *testing.T, dir string, o store.Options) *store.File {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, ".sluice"), 0o750); err != nil {
		t.Fatal(err)
	}
	root, err := durable.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	blind := faultfs.New(root)
	blind.Blind = true
	o.Profile, o.Metrics, o.Logger = "test", store.NewMetrics(), quiet
	f, err := store.OpenOn(blind, o, root.Close)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// openFile opens a store in dir, with whatever o leaves out made good.
func openFile(t *testing.T, dir string, o store.Options) *store.File {
	t.Helper()
	o.Dir, o.Profile, o.Metrics, o.Logger = dir, "test", store.NewMetrics(), quiet
	f, err := store.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// namesOf finds the files of id.
func namesOf(t *testing.T, dir string, id upload.ID) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		base, _, _ := strings.Cut(filepath.Base(name), ".")
		if err == nil && !d.IsDir() && base == string(id) {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// While the record of an upload is empty there is none, and it can be made.
func TestAnEmptyRecordIsNone(t *testing.T) {
	for _, durable := range []bool{true, false} {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, "abc.info"), "")
		f := openFile(t, dir, store.Options{Flat: true, Durable: durable})
		if _, err := f.Lookup("abc"); !errors.Is(err, upload.ErrNotFound) {
			t.Errorf("look up: got %v, want %v", err, upload.ErrNotFound)
		}
		meta := "filename " + strings.Repeat("YWFh", 2000) // more than a page
		if err := f.Create(upload.Record{ID: "abc", Length: 1, Metadata: meta}); err != nil {
			t.Errorf("create: %v", err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		f = openFile(t, dir, store.Options{Flat: true, Durable: durable})
		if rec, err := f.Lookup("abc"); err != nil || rec.Metadata != meta {
			t.Errorf("look up: got %+v, %v", rec, err)
		}
		if err := f.Create(upload.Record{ID: "abc", Length: 2}); !errors.Is(err, upload.ErrExists) {
			t.Errorf("create again: got %v, want %v", err, upload.ErrExists)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
