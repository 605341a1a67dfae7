package main

import (
	"math"
	"slices"
	"sync"
	"time"
)

// latencies collects how long requests took. A nil one collects nothing.
type latencies struct {
	mu  sync.Mutex
	all []time.Duration
}

func (l *latencies) add(d time.Duration) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, d)
}

// take returns what was collected, in order of size, and begins anew.
func (l *latencies) take() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.all
	l.all = nil
	slices.Sort(all)
	return all
}

// percentile is the smallest of sorted that p of them, 0 to 1, do not exceed (nearest rank); of none it is 0.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(p * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// median is the middle of values, or between the middle two; NaN if there are none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// result is what one trial has measured, by the name of the metric.
type result map[string]float64

// values are those of one metric in the rounds that have it.
func values(rounds []result, metric string) (found []float64) {
	for _, r := range rounds {
		if v, ok := r[metric]; ok {
			found = append(found, v)
		}
	}
	return found
}

// ratios divide within each round, so that a slow minute of the machine hits both sides. Rounds that lack one are left out.
func ratios(rounds, base []result, metric string) (found []float64) {
	for i := range min(len(rounds), len(base)) {
		v, ok := rounds[i][metric]
		if b, both := base[i][metric]; ok && both && b != 0 {
			found = append(found, v/b)
		}
	}
	return found
}
