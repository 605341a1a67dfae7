// Package model holds the server to a model of tus 1.0.0: random sequences of requests go to the real edge, over real stores
// and the real pipeline, on a real socket, and every answer is compared with what the model says. The model is the protocol in
// executable form; it is written from the protocol's text and the README, not from our code:
//
//	model_test.go    what may be answered to each request
//	chunk_test.go    what becomes of bytes
//	concat_test.go   what joined uploads add
//
// The rest makes requests (make_test.go, steps_test.go), sends them (client_test.go, server_test.go) and compares
// (outcome_test.go). A sequence that fails is made as short as can be, and the log tells it.
//
// `go test ./test/model` takes some seconds; SOAK=1 takes minutes and larger uploads. -rapid.seed repeats what failed.
package model

import (
	"flag"
	"log"
	"os"
	"strconv"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

// soak tells that the test may take its time.
func soak() bool { return os.Getenv("SOAK") == "1" }

func TestMain(m *testing.M) {
	flag.Parse()
	checks := 60
	if soak() {
		checks = 1500
	}
	setDefault("rapid.checks", strconv.Itoa(checks))
	setDefault("rapid.steps", "50")
	setDefault("rapid.nofailfile", "true") // the seed is enough, and leaves nothing in the tree
	goleak.VerifyTestMain(m)
}

// setDefault sets a flag that was not given.
func setDefault(name, value string) {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	if given {
		return
	}
	if err := flag.Set(name, value); err != nil {
		log.Fatal(err)
	}
}

func TestServerAgreesWithTheModel(t *testing.T) {
	seen := make(tally)
	rapid.Check(t, func(t *rapid.T) {
		w := newWalk(t, seen)
		t.Repeat(w.steps())
		w.finishAll(t)
	})
	t.Logf("answers:\n%v", seen)
}
