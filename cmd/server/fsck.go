package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"sluice/internal/config"
	"sluice/internal/durable"
	"sluice/internal/store"
)

// fsck looks for what is wrong in a data directory that no server holds, and mends it if it is told to. It is an error if
// anything is wrong in the end.
func fsck(ctx context.Context, cfg config.Config, stdout, stderr io.Writer) (err error) {
	report := &fsckReport{to: stdout, repair: cfg.Repair}
	stores, err := openToCheck(cfg, newLogger(cfg, stderr), report)
	defer func() {
		for _, files := range stores {
			err = errors.Join(err, files.Close())
		}
	}()
	if err != nil {
		return err
	}
	var errs []error
	for _, files := range stores {
		uploads, err := files.Fsck(ctx, cfg.Repair, report.add)
		report.uploads += uploads
		if err == nil && cfg.Digests {
			err = files.CheckDigests(ctx, report.add)
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err // a sum would be that of a part
	}
	return report.end()
}

// openToCheck opens the stores of all profiles, none of which a server may hold, before anything is done to one.
func openToCheck(cfg config.Config, log *slog.Logger, report *fsckReport) (stores []*store.File, err error) {
	metrics, promises := store.NewMetrics(), new(store.Promises)
	for _, profile := range cfg.Profiles {
		if _, err := os.Stat(profile.Dir); errors.Is(err, fs.ErrNotExist) {
			report.add(store.Fault{Profile: profile.Name, File: profile.Dir, Note: true,
				Problem: "there is no such directory", Remedy: "nothing was ever uploaded"})
			continue
		}
		files, err := store.Examine(storeOptions(cfg, profile, metrics, promises, log), cfg.Repair)
		if errors.Is(err, durable.ErrHeld) {
			return stores, fmt.Errorf("profile %s: stop the server first: %w", profile.Name, err)
		}
		if err != nil {
			return stores, fmt.Errorf("profile %s: %w", profile.Name, err)
		}
		stores = append(stores, files)
	}
	return stores, nil
}

// fsckReport writes a line for each fault, and a sum.
type fsckReport struct {
	to                                         io.Writer
	repair                                     bool
	uploads, faults, mendable, repaired, notes int
}

func (r *fsckReport) add(one store.Fault) {
	if one.Note {
		r.notes++
	} else {
		r.faults++
	}
	if one.Mendable {
		r.mendable++
	}
	if one.Repaired {
		r.repaired++
	}
	fmt.Fprintf(r.to, "%s: %s: %s; %s\n", one.Profile, onOneLine(one.File), onOneLine(one.Problem), onOneLine(one.Remedy))
}

// onOneLine quotes what would not stay on its line: anybody may have put files into the directory.
func onOneLine(text string) string {
	odd := func(r rune) bool { return !strconv.IsPrint(r) }
	if !utf8.ValidString(text) || strings.ContainsFunc(text, odd) {
		return strconv.Quote(text)
	}
	return text
}

// end writes the sum and returns an error if faults are left.
func (r *fsckReport) end() error {
	sum := fmt.Sprintf("%d uploads, %d faults", r.uploads, r.faults)
	switch {
	case r.faults > 0 && r.repair:
		sum += fmt.Sprintf(": %d repaired, %d left", r.repaired, r.faults-r.repaired)
	case r.faults > 0:
		sum += fmt.Sprintf(": --repair mends %d, %d are left to a person", r.mendable, r.faults-r.mendable)
	}
	if r.notes > 0 {
		sum += fmt.Sprintf("; %d things noted", r.notes)
	}
	if _, err := fmt.Fprintln(r.to, sum); err != nil {
		return err
	}
	if r.faults > r.repaired {
		return errors.New("the data is not as it should be")
	}
	return nil
}
