package main

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestMedianOfAnEvenNumberIsBetweenTheMiddleTwo(t *testing.T) {
	if got := median([]float64{9, 1, 2, 4}); got != 3 {
		t.Errorf("median = %v, want 3", got)
	}
	if got := median([]float64{9, 1, 2}); got != 2 {
		t.Errorf("median = %v, want 2", got)
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("median of nothing = %v, want NaN", got)
	}
}

func TestPercentileIsTheNearestRank(t *testing.T) {
	sorted := make([]time.Duration, 201) // half of it is no whole number
	for i := range sorted {
		sorted[i] = time.Duration(i + 1)
	}
	for p, want := range map[float64]time.Duration{0: 1, 0.5: 101, 0.99: 199, 1: 201} {
		if got := percentile(sorted, p); got != want {
			t.Errorf("percentile(%v) = %d, want %d", p, got, want)
		}
	}
	if got := percentile(sorted[:1], 0.99); got != 1 {
		t.Errorf("percentile of one = %d, want it", got)
	}
}

func TestLatenciesComeSortedAndOnce(t *testing.T) {
	var l latencies
	l.add(2)
	l.add(1)
	if got, want := l.take(), []time.Duration{1, 2}; !slices.Equal(got, want) {
		t.Errorf("take() = %v, want %v", got, want)
	}
	if got := l.take(); len(got) != 0 {
		t.Errorf("second take() = %v, want nothing", got)
	}
	(*latencies)(nil).add(1)
}

func TestRatiosAreWithinARoundAndLeaveOutWhatWasNotMeasured(t *testing.T) {
	ours := []result{{"x": 10}, {"x": 30}, nil, {"y": 1}, {"x": 5}, {"x": 8}}
	base := []result{{"x": 5}, nil, {"x": 1}, {"x": 1}, {"x": 10}, {"x": 0}}

	if got, want := ratios(ours, base, "x"), []float64{2, 0.5}; !slices.Equal(got, want) {
		t.Errorf("ratios() = %v, want %v", got, want)
	}
	if got, want := values(ours, "x"), []float64{10, 30, 5, 8}; !slices.Equal(got, want) {
		t.Errorf("values() = %v, want %v", got, want)
	}
}
