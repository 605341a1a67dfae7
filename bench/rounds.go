package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

type key struct{ scenario, server string }

// bench runs every scenario against every server, round by round.
type bench struct {
	work      string // directory on the disk to measure
	source    *source
	cert      *certificate
	servers   []server
	scenarios []scenario
	results   map[key][]result     // index i of two keys is one round; nil where a trial failed or was left out
	seeds     map[key]seed         // directories with stored uploads, by scenario and program
	failed    []error              // what went wrong; the other trials go on
	say       func(string, ...any) // progress, for who waits
}

// run makes the trials: rounds that are timed, and a last one in which system calls are counted.
func (b *bench) run(ctx context.Context, rounds int) error {
	for round := range rounds + 1 {
		for _, sc := range b.scenarios {
			traced := round == rounds
			if traced && !(sc.traced && canTrace()) || !traced && sc.rare && round%2 == 1 {
				continue
			}
			for i := range b.servers {
				s := b.servers[(i+round)%len(b.servers)]
				b.say("round %d/%d: %s: %s", round+1, rounds+1, sc.name, s.name)
				b.keep(key{sc.name, s.name}, round, b.trial(ctx, sc, s, traced))
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return errors.Join(b.failed...)
}

// outcome is of one trial.
type outcome struct {
	result result
	err    error
}

func (b *bench) keep(k key, round int, o outcome) {
	if o.err != nil {
		err := fmt.Errorf("%s: %s: %w", k.scenario, k.server, o.err)
		b.say("failed: %v", err)
		b.failed = append(b.failed, err)
		return
	}
	for len(b.results[k]) <= round {
		b.results[k] = append(b.results[k], nil)
	}
	b.results[k][round] = o.result
}

// trial runs one scenario on a fresh server, on an empty directory if the scenario does not say otherwise.
func (b *bench) trial(ctx context.Context, sc scenario, s server, traced bool) (o outcome) {
	if !s.canRun(sc) {
		return outcome{} // nothing to measure
	}
	lain, err := b.directory(ctx, sc, s)
	if err != nil {
		return outcome{err: err}
	}
	c := client{source: b.source, took: new(latencies)}
	cert := b.cert
	if !sc.secure {
		cert = nil
	}
	p, err := s.start(ctx, lain.dir, cert)
	if err != nil {
		return outcome{err: err}
	}
	defer func() {
		p.stop()
		if sc.stored == 0 {
			empty(lain.dir)
		}
	}()
	c.address, c.tls = p.address, cert.clientConfig()
	t := &trial{client: &c, ctx: ctx, process: p, work: b.work, stored: lain.uploads, traced: traced, result: result{}}
	if err := sc.load(t); err != nil {
		return outcome{err: fmt.Errorf("%w (by %s)", err, p.cmd)}
	}
	return outcome{result: t.result}
}

// directory is a new one, or the one with the scenario's stored uploads, made when it is first asked for.
func (b *bench) directory(ctx context.Context, sc scenario, s server) (seed, error) {
	parent, err := os.MkdirTemp(b.work, "data-")
	if err != nil {
		return seed{}, err
	}
	dir := filepath.Join(parent, "data")
	if sc.stored == 0 {
		return seed{dir: dir}, nil
	}
	k := key{sc.name, s.program}
	if made, ok := b.seeds[k]; ok {
		return made, made.warm()
	}
	b.say("storing %d uploads for %s", sc.stored, s.program)
	made, err := newSeed(ctx, s, client{source: b.source}, dir, sc.stored)
	b.seeds[k] = made
	return made, err
}

// Ext4 without a journal searches past every inode that was freed in the last minutes, so that one trial's deleted
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

// empty gives the space of a trial's files back and leaves the files, until the end of the run.
func empty(dir string) {
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			os.Truncate(path, 0)
		}
		return nil
	})
}
