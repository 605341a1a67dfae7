package store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tus/tusd/v2/pkg/filestore"
	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/store"
	"sluice/internal/upload"
)

// tusdUpload makes an upload with tusd's own store.
func tusdUpload(t *testing.T, dir string, info handler.FileInfo, data string) {
	t.Helper()
	u, err := filestore.New(dir).NewUpload(t.Context(), info)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.WriteChunk(t.Context(), 0, strings.NewReader(data)); err != nil {
		t.Fatal(err)
	}
}

func TestUploadsOfTusdAreTakenOver(t *testing.T) {
	for _, tt := range []struct {
		name   string
		info   handler.FileInfo
		data   string
		state  upload.State
		offset int64
	}{
		{"finished", handler.FileInfo{Size: 5}, "whole", upload.Received, 5},
		{"empty", handler.FileInfo{}, "", upload.Received, 0},
		{"unfinished", handler.FileInfo{Size: 9}, "part", upload.Receiving, 4},
		{"deferred", handler.FileInfo{SizeIsDeferred: true}, "part", upload.Receiving, 4},
		{"partial", handler.FileInfo{Size: 4, IsPartial: true}, "part", upload.Received, 4},
		{"unfinished partial", handler.FileInfo{Size: 9, IsPartial: true}, "part", upload.Receiving, 4},
		{"unfinished final", handler.FileInfo{Size: 8, IsFinal: true, PartialUploads: []string{"a", "b"}}, "part", upload.Receiving, 0},
		{"final", handler.FileInfo{Size: 8, IsFinal: true, PartialUploads: []string{"a", "b"}}, "partpart", upload.Received, 8},
		{"longer than it should be", handler.FileInfo{Size: 4}, "part and more", upload.Received, 4},
	} {
		for _, kind := range []struct {
			name string
			open func(*testing.T, string, store.Options) *store.File
		}{{"", openFile}, {", holes not reported", openBlind}} {
			t.Run(tt.name+kind.name, func(t *testing.T) {
				dir := t.TempDir()
				tt.info.ID = "abc"
				tt.info.MetaData = handler.MetaData{"filename": "x"}
				tusdUpload(t, dir, tt.info, tt.data)
				for range 2 { // the second time after a power cut
					f := kind.open(t, dir, store.Options{Flat: true, Durable: true})
					rec, err := f.Lookup("abc")
					if err != nil || rec.State != tt.state || rec.Offset != tt.offset || rec.Profile != "test" || rec.Filename() != "x" || rec.Damaged {
						t.Errorf("got %+v, %v, want %s at %d", rec, err, tt.state, tt.offset)
					}
					if tt.state == upload.Received && !tt.info.IsPartial {
						reads(t, f, "abc", tt.data[:tt.offset])
					}
					due := 0
					if tt.info.IsFinal || tt.state == upload.Received && !tt.info.IsPartial {
						due = 1
					}
					if err := f.Due(t.Context(), func(upload.Record) bool { due--; return true }); err != nil || due != 0 {
						t.Errorf("%d too few are found to be processed, %v", due, err)
					}
					if err := f.Crash(); err != nil {
						t.Fatal(err)
					}
					setMark(t, dir, otherBoot)
				}
			})
		}
	}
}

func reads(t *testing.T, f *store.File, id upload.ID, want string) {
	t.Helper()
	file, _, err := f.Open(id)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(file)
	if err = errors.Join(err, file.Close()); err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestUploadsOfTusdAreJudgedAndPublished(t *testing.T) {
	dir := t.TempDir()
	for _, id := range []string{"good", "bad"} {
		tusdUpload(t, dir, handler.FileInfo{ID: id, Size: int64(len(id))}, id)
	}
	f := openFile(t, dir, store.Options{Flat: true, Judge: func(head []byte) (string, error) {
		if bytes.Equal(head, []byte("bad")) {
			return "", unwanted
		}
		return "image/png", nil
	}})
	defer f.Close()
	if rec, err := f.Publish("good", upload.Outcome{MediaType: ""}); err != nil || rec.State != upload.Ready || rec.MediaType != "image/png" {
		t.Errorf("got %+v, %v, want ready", rec, err)
	}
	if rec, err := f.Publish("bad", upload.Outcome{MediaType: ""}); !errors.Is(err, unwanted) || rec.State != upload.Rejected {
		t.Errorf("got %+v, %v, want rejected", rec, err)
	}
}

func TestAFileThatSomebodyElseChangedIsMeasuredAgain(t *testing.T) {
	for name, change := range map[string]func(name string) error{
		"shortened": func(name string) error { return os.Truncate(name, 3) },
		"removed":   os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, true, false)
			r.must(r.create())
			r.must(r.write(0, half))
			r.must(change(filepath.Join(r.dir, string(victim))))
			if n, err := r.s.WriteChunk(victim, half, bytes.NewReader(whole[half:]), upload.Check{}); n != 0 || err == nil {
				t.Errorf("got %d, %v, want 0 and an error", n, err)
			}
			r.resumes(whole)
		})
	}
}

// A rename over a file has ext4 write to the disk at once, which costs more than all the rest of a small upload.
func TestARecordIsOverwrittenInPlace(t *testing.T) {
	for _, isDurable := range []bool{true, false} {
		dir := t.TempDir()
		f := openFile(t, dir, store.Options{Flat: true, Durable: isDurable})
		info := filepath.Join(dir, string(victim)+".info")
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(f.Create(upload.Record{ID: victim, Length: 5, Metadata: "filename aGVsbG8="}))
		before, err := os.Stat(info)
		must(err)
		_, err = f.WriteChunk(victim, 0, strings.NewReader("hello"), upload.Check{})
		must(err)
		_, err = f.Complete(victim)
		must(err)
		after, err := os.Stat(info)
		must(err)
		if !os.SameFile(before, after) {
			t.Errorf("durable %t: it is another file", isDurable)
		}
		raw, err := os.ReadFile(info)
		must(err)
		if !json.Valid(raw) || !strings.Contains(string(raw), `"received"`) || before.Size() != after.Size() {
			t.Errorf("durable %t: the record is %q", isDurable, raw)
		}
		must(f.Close())
	}
}
