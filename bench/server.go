package main

import (
	"os/exec"
	"strconv"
	"strings"
)

// server is a program with a tus endpoint at /files/, and the durability with which it runs.
type server struct {
	name       string
	program    string               // servers of one program share a layout on disk
	args       func(place) []string // the whole command line
	hasPrivate bool                 // has a listener for its operator
	noTLS      bool
	forgets    bool   // knows nothing of what lay in its directory when it started
	bare       string // name of the bare server that syncs as much, or as little
}

// canRun tells whether s has what a scenario needs.
func (s server) canRun(sc scenario) bool {
	return !(sc.secure && s.noTLS || sc.stored > 0 && s.forgets)
}

// place is where a server shall listen and store.
type place struct {
	port, private, dir string
	cert               *certificate // nil: in the clear
}

const (
	sluiceNone   = "sluice, none"
	sluiceAlways = "sluice, always"
	bareNone     = "bare"
	bareSync     = "bare, sync"
	stockTusd    = "tusd"
)

// servers lists the ones to compare, the one to compare with last. Each runs with its defaults:
// stock tusd never syncs, so its durability is that of Sluice's "none" at best. Without a bare one it goes without.
func servers(sluice, bare, tusd string) (all []server) {
	noTLS := !speaksTLS(sluice)
	with := func(level string) func(place) []string {
		return func(p place) []string {
			args := []string{sluice, "serve", "--listen=127.0.0.1:" + p.port, "--private-listen=127.0.0.1:" + p.private,
				"--data=" + p.dir, "--durability=" + level}
			return append(args, p.cert.flags("--tls-cert=", "--tls-key=")...)
		}
	}
	all = []server{
		{name: sluiceNone, program: "sluice", args: with("none"), hasPrivate: true, noTLS: noTLS, bare: bareNone},
		{name: sluiceAlways, program: "sluice", args: with("always"), hasPrivate: true, noTLS: noTLS, bare: bareSync},
	}
	if bare != "" {
		all = append(all, leastOf(bare, bareNone, false), leastOf(bare, bareSync, true))
	}
	return append(all, server{name: stockTusd, program: "tusd",
		args: func(p place) []string {
			args := []string{tusd, "-host=127.0.0.1", "-port=" + p.port, "-upload-dir=" + p.dir}
			return append(args, p.cert.flags("-tls-certificate=", "-tls-key=")...)
		},
	})
}

// leastOf is the server in bench/bare.
func leastOf(program, name string, sync bool) server {
	return server{name: name, program: "bare", noTLS: true, forgets: true, args: func(p place) []string {
		return []string{program, "-listen=127.0.0.1:" + p.port, "-data=" + p.dir, "-sync=" + strconv.FormatBool(sync)}
	}}
}

// speaksTLS tells whether this Sluice has the flags for it.
func speaksTLS(sluice string) bool {
	help, err := exec.Command(sluice, "serve", "--help").Output()
	return err == nil && strings.Contains(string(help), "--tls-cert=")
}
