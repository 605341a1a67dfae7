package store_test

import (
	"testing"

	"sluice/internal/store"
	"sluice/internal/upload"
)

// net/http gives up one connection where a handler panics. What runs on a stack of its own must not end the process instead.
func TestPanicAtTheEndOfAnUploadIsItsCallersAlone(t *testing.T) {
	broken := true
	f, err := store.Open(store.Options{Dir: t.TempDir(), Flat: true, Profile: "test", Metrics: store.NewMetrics(), Logger: quiet,
		Judge: func([]byte) (string, error) {
			if broken {
				panic("broken")
			}
			return "text/plain", nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Create(upload.Record{ID: "a"}); err != nil {
		t.Fatal(err)
	}
	complete := func() (rec upload.Record, cause any, err error) {
		defer func() { cause = recover() }()
		rec, err = f.Complete("a")
		return rec, nil, err
	}
	for range 100 { // more than may end at once
		if _, cause, _ := complete(); cause != "broken" {
			t.Fatalf("got panic %v", cause)
		}
	}
	broken = false
	if rec, _, err := complete(); err != nil || rec.State != upload.Received {
		t.Errorf("got %s, %v, want received", rec.State, err)
	}
}
