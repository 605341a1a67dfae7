package store_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"sluice/internal/durable"
	"sluice/internal/store"
	"sluice/internal/upload"
)

// shrinking is a disk whose free space falls as it is written to.
type shrinking struct {
	durable.FS
	free int64
}

func (s *shrinking) Free() (int64, error) { return s.free, nil }

// draining takes what is read from the free space.
type draining struct {
	io.Reader
	disk *shrinking
}

func (d draining) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	d.disk.free -= int64(n)
	return n, err
}

func TestReserveIsKeptWhileBytesFlow(t *testing.T) {
	root, err := durable.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := root.Mkdir(".sluice"); err != nil {
		t.Fatal(err)
	}
	const reserve, above = 100 << 20, 20 << 20
	disk := &shrinking{root, reserve + above}
	f, err := store.OpenOn(disk, store.Options{Profile: "test", Flat: true, Reserve: reserve, Metrics: store.NewMetrics(), Logger: quiet}, root.Close)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Create(upload.Record{ID: victim, Length: upload.Deferred}); err != nil {
		t.Fatal(err)
	}
	body := draining{bytes.NewReader(make([]byte, 60<<20)), disk}
	n, err := f.WriteChunk(victim, 0, body, upload.Check{})
	if !errors.Is(err, upload.ErrInsufficientStorage) || n < above || n > above+9<<20 {
		t.Errorf("got %d bytes, %v; want about %d and %v", n, err, above, upload.ErrInsufficientStorage)
	}
	if rec, err := f.Lookup(victim); err != nil || rec.Offset != n {
		t.Errorf("offset is %d, %v, want %d: what was taken is kept", rec.Offset, err, n)
	}
}

func TestRecordThatCannotBeReadStopsNobodyElse(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, dir, store.Options{Flat: true})
	for _, id := range []upload.ID{victim, "other"} {
		if err := f.Create(upload.Record{ID: id, Length: 5}); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Crash(); err != nil {
		t.Fatal(err)
	}
	info := filepath.Join(dir, string(victim)+".info")
	if err := errors.Join(os.Remove(info), os.Symlink("/etc/hostname", info)); err != nil { // it leads out of the directory
		t.Fatal(err)
	}
	setMark(t, dir, otherBoot)
	f = openFile(t, dir, store.Options{Flat: true})
	t.Cleanup(func() { f.Close() })
	if _, err := f.Lookup("other"); err != nil {
		t.Errorf("the other one: %v", err)
	}
	if _, err := f.Lookup(victim); !errors.Is(err, upload.ErrUnreadable) {
		t.Errorf("look up: got %v, want %v", err, upload.ErrUnreadable)
	}
	if err := f.Terminate(victim); err != nil {
		t.Errorf("terminate: %v", err)
	}
	if _, err := f.Lookup(victim); !errors.Is(err, upload.ErrNotFound) {
		t.Errorf("look up: got %v, want %v", err, upload.ErrNotFound)
	}
}
