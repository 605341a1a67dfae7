package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// result is one load on one fresh server.
type result struct {
	perSecond  float64 // units of the load: MiB or requests
	cpuSeconds float64 // of the server, user and system
	peakMiB    float64 // highest resident memory of the server during the load
}

type key struct{ load, server string }

type bench struct {
	work    string
	source  *source
	servers []server
	loads   []load
	results map[key][]result // in the order of the rounds, so that index i of two keys is one round
}

func (b *bench) run(ctx context.Context, rounds int) error {
	for round := range rounds {
		for _, l := range b.loads {
			for i := range b.servers {
				s := b.servers[(i+round)%len(b.servers)]
				fmt.Fprintf(os.Stderr, "round %d/%d: %s: %s\n", round+1, rounds, l.name, s.name)
				r, err := b.measure(ctx, l, s)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", l.name, s.name, err)
				}
				k := key{l.name, s.name}
				b.results[k] = append(b.results[k], r)
			}
		}
	}
	return nil
}

// measure runs one load on a fresh server and an empty directory, and verifies what was stored.
func (b *bench) measure(ctx context.Context, l load, s server) (r result, err error) {
	dir, err := os.MkdirTemp(b.work, "data-")
	if err != nil {
		return r, err
	}
	defer empty(dir)
	p, err := s.start(ctx, filepath.Join(dir, "data"))
	if err != nil {
		return r, err
	}
	defer p.stop()
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\nserver: %s", err, p.lastWords())
		}
	}()

	job, err := l.prepare(&client{address: p.address, source: b.source})
	if err != nil {
		return r, err
	}
	// Dirty pages of the last measurement are none of this one's business.
	syscall.Sync()
	if err := p.resetPeak(); err != nil {
		return r, err
	}
	cpu, err := p.cpuSeconds()
	if err != nil {
		return r, err
	}

	start := time.Now()
	if err := job.timed(); err != nil {
		return r, err
	}
	seconds := time.Since(start).Seconds()

	after, err := p.cpuSeconds()
	if err != nil {
		return r, err
	}
	r = result{perSecond: l.units / seconds, cpuSeconds: after - cpu}
	if r.peakMiB, err = p.peakMiB(); err != nil {
		return r, err
	}
	return r, job.verify()
}

// Ext4 without a journal searches past every inode that was freed in the last minutes, so that one measurement's deleted
// files can make the next one, of whichever server, many times slower. Two things keep them apart; on another file system
// they do nothing.

// spread lets ext4 put each new directory in dir into another part of the disk.
func spread(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	const topDir = 0x20000 // FS_TOPDIR_FL, chattr +T
	if flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS); err == nil {
		unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags|topDir)
	}
	return nil
}

// empty gives the space of a measurement's files back and leaves the files, until the end of the run.
func empty(dir string) {
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			os.Truncate(path, 0)
		}
		return nil
	})
}

// table prints the medians, and the ratio of throughput to the last server's, which is the one to compare with.
func (b *bench) table(w io.Writer) error {
	base := b.servers[len(b.servers)-1].name
	// tabwriter lines the columns up for whoever reads it in a terminal.
	t := tabwriter.NewWriter(w, 0, 0, 1, ' ', tabwriter.Debug)
	row := func(cells ...string) { fmt.Fprintln(t, "| "+strings.Join(cells, "\t ")+"\t") }
	row("load", "server", "throughput", "vs "+base, "range", "server CPU s", "peak RSS MiB")
	row("---", "---", "---:", "---:", "---:", "---:", "---:")
	for _, l := range b.loads {
		against := b.results[key{l.name, base}]
		for _, s := range b.servers {
			results := b.results[key{l.name, s.name}]
			var ratios []float64
			for i, r := range results {
				ratios = append(ratios, r.perSecond/against[i].perSecond)
			}
			row(l.name, s.name,
				fmt.Sprintf("%.0f %s", median(results, func(r result) float64 { return r.perSecond }), l.unit),
				fmt.Sprintf("%.2f", median(ratios, func(f float64) float64 { return f })),
				fmt.Sprintf("%.2f-%.2f", slices.Min(ratios), slices.Max(ratios)),
				fmt.Sprintf("%.2f", median(results, func(r result) float64 { return r.cpuSeconds })),
				fmt.Sprintf("%.1f", median(results, func(r result) float64 { return r.peakMiB })))
		}
	}
	return t.Flush()
}

func median[T any](values []T, of func(T) float64) float64 {
	var sorted []float64
	for _, v := range values {
		sorted = append(sorted, of(v))
	}
	slices.Sort(sorted)
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
