package main

import (
	"runtime"
	"testing"
)

func TestOneProcessorMoreUnlessTheEnvironmentSaysHowMany(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for _, tt := range []struct {
		env  string
		want int
	}{{"7", before}, {"", before + 1}} {
		t.Setenv("GOMAXPROCS", tt.env)
		addProcessor()
		if got := runtime.GOMAXPROCS(0); got != tt.want {
			t.Errorf("with %q: got %d, want %d", tt.env, got, tt.want)
		}
	}
}
