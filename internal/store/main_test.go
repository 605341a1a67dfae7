package store_test

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"sluice/internal/store"
)

var quiet = slog.New(slog.DiscardHandler)

// holdEnv makes the test binary another process: one that holds a store's directory, or only lives, until its input ends.
const holdEnv = "SLUICE_TEST_HOLD"

func TestMain(m *testing.M) {
	dir, child := os.LookupEnv(holdEnv)
	if !child {
		os.Exit(m.Run())
	}
	if dir != "" {
		f, err := store.Open(store.Options{Dir: dir, Flat: true, Profile: "test", Metrics: store.NewMetrics(), Logger: quiet})
		if err != nil {
			os.Exit(1)
		}
		defer f.Close()
	}
	os.Stdout.WriteString("up\n")
	io.Copy(io.Discard, os.Stdin)
}

// setMark writes what the store in dir is to find out about its last stop.
func setMark(t *testing.T, dir, mark string) {
	t.Helper()
	own := filepath.Join(dir, ".sluice")
	if err := os.WriteFile(filepath.Join(own, "mark.json"), []byte(mark), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(own, "clean")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}
