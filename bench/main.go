// Command bench puts Sluice and stock tusd under the same load in turn, on this machine, and prints Markdown tables.
//
// Each trial is a fresh server on an empty directory. In every round each scenario meets every server, in an order that
// turns round by round; the tables show medians over the rounds, and the ratio to tusd as the median of the ratios within a
// round, so that a slow minute of the machine hits both sides. What was stored is read back and compared, outside the timed
// part; a wrong byte fails the trial. Client and server share the machine: figures compare within a table only.
//
// scenarios.go is the table of all that is run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	sluice, tusd, bare, dir, only, markdown string
	rounds                                  int
	quick                                   bool
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(o.dir, "sluice-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	b, err := newBench(work, o)
	if err != nil {
		return err
	}
	var text strings.Builder
	describe(&text, work, o)
	failed := b.run(ctx, o.rounds)
	if ctx.Err() != nil {
		return failed
	}
	if err := b.report(&text); err != nil {
		return errors.Join(failed, err)
	}
	fmt.Print(text.String())
	if o.markdown != "" {
		err = writeAfterMark(o.markdown, text.String())
	}
	return errors.Join(failed, err)
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	flags.StringVar(&o.sluice, "sluice", "bench/bin/sluice", "the Sluice binary")
	flags.StringVar(&o.tusd, "tusd", "bench/bin/tusd", "the stock tusd binary")
	flags.StringVar(&o.bare, "bare", "", "the bare binary, to see how much is left: the least that a server of this shape can do")
	flags.StringVar(&o.dir, "dir", os.TempDir(), "where to store: a directory on the disk to measure, 8 GiB free")
	flags.IntVar(&o.rounds, "rounds", 5, "how often each scenario meets each server; the long ones every other time")
	flags.StringVar(&o.only, "only", "", "run only the scenarios whose name holds this, or one of these, by comma")
	flags.StringVar(&o.markdown, "markdown", "", "write the tables into this file too, in place of what follows its line\n"+mark)
	flags.BoolVar(&o.quick, "quick", false, "little sizes: shows that all works, not how fast")
	return o, flags.Parse(args)
}

func newBench(work string, o options) (*bench, error) {
	if err := spread(work); err != nil {
		return nil, err
	}
	z := fullSizes()
	if o.quick {
		z = quickSizes()
	}
	source, err := newSource(filepath.Join(work, "source"), z.large)
	if err != nil {
		return nil, err
	}
	cert, err := newCertificate(work)
	if err != nil {
		return nil, err
	}
	return &bench{
		work: work, source: source, cert: cert, servers: servers(o.sluice, o.bare, o.tusd), scenarios: chosen(scenarios(z), o.only),
		results: make(map[key][]result), seeds: make(map[key]seed),
		say: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) },
	}, nil
}

// chosen are the scenarios whose name holds one of the words between commas.
func chosen(all []scenario, only string) (some []scenario) {
	for _, sc := range all {
		for word := range strings.SplitSeq(strings.ToLower(only), ",") {
			if strings.Contains(strings.ToLower(sc.name), word) {
				some = append(some, sc)
				break
			}
		}
	}
	return some
}

// mark is the line below which a document has the tables.
const mark = "<!-- written by make bench -->"

// writeAfterMark replaces what follows the mark in a file.
func writeAfterMark(name, text string) error {
	raw, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	head, _, found := strings.Cut(string(raw), mark)
	if !found {
		return fmt.Errorf("%s has no line %s", name, mark)
	}
	return os.WriteFile(name, []byte(head+mark+"\n\n"+text), 0o644)
}
