package main

import (
	"fmt"
	"slices"
)

// connections is how many work at once in the loads of many small requests: more than processors, fewer than would only queue.
const connections = 16

const smallBytes = 20 << 10 // an avatar

// scenario is one kind of traffic, and what it shall show.
type scenario struct {
	name   string
	about  string // what the reader should know about it, a sentence or two
	goals  []goal
	load   func(*trial) error
	stored int  // so many uploads lie in the directory when the server starts
	secure bool // over TLS
	traced bool // once more, to count system calls
	rare   bool // takes long: only every other round
}

// goal is what a Sluice shall reach in one metric.
type goal struct {
	server, metric string
	bound          float64
	kind           kind
}

type kind int

const (
	ratioAtLeast kind = iota // of tusd's
	ratioAtMost
	atMost // absolute
)

// both is a goal that does not depend on the durability.
func both(metric string, bound float64, k kind) []goal {
	return []goal{{sluiceNone, metric, bound, k}, {sluiceAlways, metric, bound, k}}
}

// faster is a goal for throughput, or uploads a second, at each durability.
func faster(metric string, none, always float64) []goal {
	return []goal{{sluiceNone, metric, none, ratioAtLeast}, {sluiceAlways, metric, always, ratioAtLeast}}
}

// calls is a goal for the number of system calls, to which a durable server may add so many syncs.
func calls(bound, syncs float64) []goal {
	return []goal{{sluiceNone, systemCalls, bound, atMost}, {sluiceAlways, systemCalls, bound + syncs, atMost}}
}

// cheaper is a goal for processor time. Syncing costs some, so it is for none.
func cheaper(metric string, bound float64) goal { return goal{sluiceNone, metric, bound, ratioAtMost} }

// sizes of the loads; quick ones show that all works, not how fast.
type sizes struct {
	large, medium, each int64
	small, heads        int
	ranges              int
	slow, drips         int
	few, many, most     int
	asks                int
	cut, silent         int
}

func fullSizes() sizes {
	return sizes{
		large: 1 << 30, medium: 256 << 20, each: 64 << 20, small: 3000, heads: 20_000, ranges: 512, slow: 1000, drips: 20,
		few: 100, many: 50_000, most: 100_000, asks: 2000, cut: 64, silent: 16,
	}
}

func quickSizes() sizes {
	return sizes{
		large: 64 << 20, medium: 32 << 20, each: 4 << 20, small: 300, heads: 2000, ranges: 32, slow: 100, drips: 2,
		few: 100, many: 500, most: 1000, asks: 200, cut: 16, silent: 16,
	}
}

func scenarios(z sizes) []scenario {
	return slices.Concat(sendMuch(z), sendSmall(z), ask(z), hold(z), lie(z), vanish(z), encrypt(z))
}

const chunkBytes = 8 << 20 // what tus clients are often told to send at once

func sendMuch(z sizes) []scenario {
	return []scenario{
		{
			name:  mib(z.large) + " in one PATCH",
			about: "one upload, one connection, one request",
			load:  large(z.large, z.large),
			goals: append(faster(mibPerSecond, 2.5, 1.5), cheaper(cpuPerGiB, 0.36)),
		},
		{
			name:  "PATCHes of 8 MiB",
			about: mib(z.large) + " over one connection, in requests of 8 MiB",
			load:  large(z.large, chunkBytes),
			goals: faster(mibPerSecond, 1.9, 1.3),
		},
		{
			name:   "PATCHes of 512 KiB",
			about:  mib(z.medium) + " over one connection, in requests of 512 KiB",
			load:   large(z.medium, 512<<10),
			traced: true,
			goals:  append(calls(16, 1), goal{sluiceNone, mibPerSecond, 1.8, ratioAtLeast}, cheaper(cpuPerGiB, 0.45)),
		},
		{
			name:  "16 at once",
			about: "16 connections, an upload of " + mib(z.each) + " each, in PATCHes of 5 MiB",
			load:  atOnce(16, z.each, 5<<20),
			goals: faster(mibPerSecond, 1.45, 1.05),
		},
		{
			name:  "64 at once",
			about: "64 connections, an upload of " + mib(z.each/4) + " each, in one PATCH",
			load:  atOnce(64, z.each/4, z.each/4),
			goals: append(faster(mibPerSecond, 1.4, 1.2), both(growth, 16, atMost)...),
		},
	}
}

func sendSmall(z sizes) []scenario {
	return []scenario{
		{
			name:   "20 KiB in the POST",
			about:  count(z.small) + " small uploads, creation-with-upload, 16 connections",
			load:   withContent(z.small),
			traced: true,
			goals:  append(calls(18, 1), append(faster(perSecond, 1.9, 1.1), cheaper(cpuEach, 0.47))...),
		},
		{
			name:  "20 KiB by POST and PATCH",
			about: count(z.small) + " small uploads in two requests each, 16 connections; each is an upload",
			load:  inTwoSteps(z.small),
			goals: faster(perSecond, 2.0, 1.1),
		},
	}
}

func ask(z sizes) []scenario {
	return []scenario{
		{
			name:   "HEAD",
			about:  count(z.heads) + " HEADs of unfinished uploads, 16 connections",
			load:   heads(z.heads),
			traced: true,
			goals:  append(calls(6, 0), append(both(perSecond, 5.8, ratioAtLeast), both(cpuEach, 0.13, ratioAtMost)...)...),
		},
		{
			name:  "GET",
			about: mib(z.large) + " read in one request",
			load:  read(z.large, z.large, 1),
			goals: append(both(mibPerSecond, 1.1, ratioAtLeast), both(cpuPerGiB, 0.75, ratioAtMost)...),
		},
		{
			name:  "Range GET",
			about: count(z.ranges) + " ranges of 1 MiB, one after the other",
			load:  read(z.medium, 1<<20, z.ranges),
			goals: both(mibPerSecond, 1.8, ratioAtLeast),
		},
	}
}

func hold(z sizes) []scenario {
	return []scenario{{
		name: "slow connections",
		about: count(z.slow) + " connections send 4 KiB every 500 ms; each is a connection, and the latencies are of 200 HEADs a " +
			"second beside them",
		load:  slow(z.slow, z.drips),
		rare:  true,
		goals: append(both(kibEach, 0.45, ratioAtMost), both(p99, 0.4, ratioAtMost)...),
	}}
}

func lie(z sizes) []scenario {
	stored := func(n int, goals ...goal) scenario {
		return scenario{
			name:   count(n) + " stored",
			about:  "started beside so many unfinished uploads; HEADs and then POSTs, one after the other",
			load:   among(z.asks, z.asks/10),
			stored: n,
			rare:   n > z.few,
			goals:  goals,
		}
	}
	return []scenario{
		stored(z.few),
		stored(z.many, append(both(readyAfter, 250, atMost), both(p50, 0.45, ratioAtMost)...)...),
		stored(z.most),
	}
}

func vanish(z sizes) []scenario {
	return []scenario{
		{
			name: "cut and resumed",
			about: count(z.cut) + " uploads of 4 MiB cut at a random byte, half by FIN, half by RST, 8 at a time; latencies are from " +
				"the cut to the answers to a HEAD and a PATCH of 64 KiB over another connection",
			load:  cut(z.cut, 8),
			goals: both(p99, 100, atMost),
		},
		{
			name: "silent peer",
			about: count(z.silent) + " clients fall silent in mid-PATCH, their connections stay open; latencies are of a HEAD and a " +
				"PATCH of 64 KiB over another",
			load:  silent(z.silent),
			goals: both(p50, 50, atMost),
		},
	}
}

func encrypt(z sizes) []scenario {
	return []scenario{
		{
			name:   "TLS, PATCHes of 8 MiB",
			about:  mib(z.medium) + " over one connection, TLS 1.3",
			load:   large(z.medium, chunkBytes),
			secure: true,
		},
		{
			name:   "TLS, HEAD",
			about:  count(z.heads/4) + " HEADs, 16 connections, TLS 1.3",
			load:   heads(z.heads / 4),
			secure: true,
		},
		{
			name:   "HTTP/2, PATCHes of 8 MiB",
			about:  mib(z.medium) + " over one HTTP/2 connection, TLS 1.3; Go's client costs as much as the server",
			load:   overHTTP2(z.medium, chunkBytes),
			secure: true,
		},
	}
}

func mib(bytes int64) string {
	if bytes >= 1<<30 {
		return fmt.Sprintf("%d GiB", bytes>>30)
	}
	return fmt.Sprintf("%d MiB", bytes>>20)
}

// count writes n with a comma after the thousands.
func count(n int) string {
	if n < 10_000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}
