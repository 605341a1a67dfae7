// Command bench puts Sluice and stock tusd under the same load in turn, on this machine, and prints a Markdown table.
//
// Each measurement is a fresh server on an empty directory. In every round each load meets every server, in an order
// that turns round by round; the table shows medians over the rounds, and the ratio to tusd as the median of the ratios
// within a round, so that a slow minute of the machine hits both sides. What was stored is read back and compared,
// outside the timed part; a wrong byte ends the run. Client and server share the machine: figures compare within a table only.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
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

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	sluice := flags.String("sluice", "bin/sluice", "the Sluice binary")
	tusd := flags.String("tusd", "bin/tusd", "the stock tusd binary")
	dir := flags.String("dir", os.TempDir(), "where to store: a directory on the disk to measure, 3 GiB free")
	rounds := flags.Int("rounds", 5, "how often each load meets each server")
	only := flags.String("only", "", "run only the loads whose name holds this")
	var sizes sizes
	flags.Int64Var(&sizes.large, "large", 1<<30, "bytes of the large upload")
	flags.IntVar(&sizes.small, "small", 4000, "number of small uploads")
	flags.IntVar(&sizes.heads, "heads", 40_000, "number of HEAD requests")
	if err := flags.Parse(args); err != nil {
		return err
	}

	work, err := os.MkdirTemp(*dir, "sluice-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := spread(work); err != nil {
		return err
	}
	source, err := newSource(filepath.Join(work, "source"), sizes.large)
	if err != nil {
		return err
	}
	defer source.Close()

	b := bench{work: work, source: source, servers: servers(*sluice, *tusd), results: map[key][]result{}}
	for _, l := range loads(sizes) {
		if strings.Contains(l.name, *only) {
			b.loads = append(b.loads, l)
		}
	}
	if err := b.run(ctx, *rounds); err != nil {
		return err
	}
	fmt.Printf("%d rounds, %d CPUs, %s/%s, client and server on one machine\n\n", *rounds, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	return b.table(os.Stdout)
}
