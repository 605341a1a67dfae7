package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/store"
	"sluice/internal/upload"
)

const ownName = "0123456789abcdef0123456789abcdef"

// TestSweepOfFilesWithoutARecord plants what no step of the store leaves, or only for a moment.
func TestSweepOfFilesWithoutARecord(t *testing.T) {
	for _, tt := range []struct {
		name  string
		flat  bool
		file  string // below the directory
		age   time.Duration
		cause upload.Cause // "" where it must stay
	}{
		{"content, young", true, ownName, time.Hour, ""},
		{"content, old", true, ownName, 25 * time.Hour, upload.Orphan},
		{"content, fanned out, of now", false, "01/" + ownName, 0, ""},
		{"content, fanned out, of before", false, "01/" + ownName, time.Minute, upload.Orphan},
		{"content, old, in the wrong place", false, "02/" + ownName, 25 * time.Hour, ""},
		{"variant, old", false, "01/" + ownName + ".64", 25 * time.Hour, upload.Orphan},
		{"no variant of ours", false, "01/" + ownName + ".65", 25 * time.Hour, ""},
		{"somebody's file", true, "notes", 25 * time.Hour, ""},
		{"somebody's file with a dot", true, "notes.txt", 25 * time.Hour, ""},
		{"half a record", true, ownName + ".info.tmp", 0, upload.Leftover},
		{"half a variant", false, "01/" + ownName + ".64.tmp", 0, upload.Leftover},
		{"somebody's half", true, "notes.tmp", 25 * time.Hour, ""},
		{"a removal cut short", true, ownName + ".gone", 0, upload.Leftover},
		{"a record cut short", true, ownName + ".info", 0, upload.Leftover},
		{"a record cut short, fanned out", false, "01/" + ownName + ".info", 0, upload.Leftover},
		{"somebody's empty file", true, "notes.info", 25 * time.Hour, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			f := openFile(t, dir, store.Options{Flat: tt.flat, Variants: []string{"64"}})
			defer f.Close()
			name := filepath.Join(dir, tt.file)
			plant(t, name, tt.age)
			for _, dry := range []bool{true, false} {
				var causes []upload.Cause
				if err := f.Sweep(t.Context(), dry, func(one upload.Swept) { causes = append(causes, one.Cause) }); err != nil {
					t.Fatal(err)
				}
				if want := known(tt.cause); !slices.Equal(causes, want) {
					t.Errorf("swept as %q (dry: %t), want %q", causes, dry, want)
				}
				if _, err := os.Stat(name); (err == nil) != (dry || tt.cause == "") {
					t.Errorf("after a sweep (dry: %t): %v", dry, err)
				}
			}
		})
	}
}

// With bytes beside it an empty record is one that cannot be read: it may have been lost, and they are not.
func TestAnEmptyRecordBesideBytesIsNotSwept(t *testing.T) {
	for _, suffix := range []string{"", ".64"} {
		dir := t.TempDir()
		f := openFile(t, dir, store.Options{Variants: []string{"64"}})
		plant(t, filepath.Join(dir, "01", ownName+".info"), 1000*time.Hour)
		plant(t, filepath.Join(dir, "01", ownName+suffix), 1000*time.Hour)
		if got := sweepAll(t, f); len(got) > 0 {
			t.Errorf("swept %+v, want nothing", got)
		}
		if _, err := f.Lookup(ownName); !errors.Is(err, upload.ErrUnreadable) {
			t.Errorf("look up: got %v, want %v", err, upload.ErrUnreadable)
		}
		if err := f.Create(upload.Record{ID: ownName, Length: 1}); !errors.Is(err, upload.ErrExists) {
			t.Errorf("create: got %v, want %v", err, upload.ErrExists)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func known(cause upload.Cause) []upload.Cause {
	if cause == "" {
		return nil
	}
	return []upload.Cause{cause}
}

// plant makes a file that was last written so long ago.
func plant(t *testing.T, name string, age time.Duration) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	content := "x"
	if strings.HasSuffix(name, ".info") {
		content = ""
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, time.Time{}, time.Now().Add(-age)); err != nil {
		t.Fatal(err)
	}
}

// What lay in a directory before Sluice came has its lifetime from then on: a server that never expired anything may have left
// years of it.
func TestWhatTusdLeftExpiresALifetimeAfterItWasTakenOver(t *testing.T) {
	dir := t.TempDir()
	o := store.Options{Flat: true, Lifetime: time.Hour}
	tusdUpload(t, dir, handler.FileInfo{ID: "abc", Size: 9}, "part")
	for _, name := range []string{"abc", "abc.info"} {
		old := time.Now().Add(-1000 * time.Hour)
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	f := openFile(t, dir, o)
	if got := sweepAll(t, f); len(got) > 0 {
		t.Errorf("swept %+v, want nothing", got)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	age(t, []string{filepath.Join(dir, ".sluice", "mark.json")}, 2*time.Hour)
	f = openFile(t, dir, o)
	defer f.Close()
	if got := sweepAll(t, f); len(got) != 1 || got[0].Cause != upload.Unfinished {
		t.Errorf("swept %+v, want the unfinished one", got)
	}
}

func sweepAll(t *testing.T, f *store.File) (swept []upload.Swept) {
	t.Helper()
	if err := f.Sweep(t.Context(), false, func(one upload.Swept) { swept = append(swept, one) }); err != nil {
		t.Fatal(err)
	}
	return swept
}

func TestSweeperSweepsWhenAllIsReady(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, dir, store.Options{Flat: true})
	defer f.Close()
	name := filepath.Join(dir, ownName+".gone")
	plant(t, name, 0)
	s := store.NewSweeper([]*store.File{f}, quiet)
	ready := make(chan struct{})
	s.Start(ready, time.Hour)
	close(ready)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(name); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was swept")
		}
	}
	s.Close()
}

func TestInspectMakesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := inspect(t, dir).Close(); err != nil {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("it made %v", entries)
	}
}

func TestADrySweepDoesNotTouchTheParts(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, dir, store.Options{Flat: true, Durable: true})
	err := errors.Join(f.Create(upload.Record{ID: "part", Length: 9, Partial: true, Concat: "partial"}),
		f.Create(upload.Record{ID: "final", Length: 9, Final: true, Parts: []upload.ID{"part"}, Concat: "final;"}), f.Close())
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "part"), "longer than it may be")
	i := inspect(t, dir)
	defer i.Close()
	if err := i.Sweep(t.Context(), true, func(one upload.Swept) { t.Errorf("got %+v, want nothing", one) }); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "part")); string(got) != "longer than it may be" {
		t.Errorf("got %q, %v", got, err)
	}
}

func inspect(t *testing.T, dir string) *store.File {
	t.Helper()
	f, err := store.Inspect(store.Options{Dir: dir, Profile: "test", Flat: true, Durable: true, Metrics: store.NewMetrics(), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return f
}
