package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestReadAnswerTakesWhatTheLoadsNeed(t *testing.T) {
	r := bufio.NewReader(strings.NewReader("HTTP/1.1 201 Created\r\nLOCATION: http://bench/files/a1\r\nUpload-Offset: 20\r\n" +
		"Content-Length: 0\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"))

	got, err := readAnswer(r)
	if want := (answer{status: 201, location: "/files/a1", offset: 20}); err != nil || got != want {
		t.Errorf("readAnswer() = %+v, %v, want %+v", got, err, want)
	}

	got, err = readAnswer(r)
	if want := (answer{status: 204, offset: -1}); err != nil || got != want {
		t.Errorf("second readAnswer() = %+v, %v, want %+v", got, err, want)
	}
}

func TestSystemCallsAreCountedWithoutThoseThatWait(t *testing.T) {
	const report = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 61.35    0.009340           1      7000      1000 read
 20.00    0.000500           0       500           futex
 15.36    0.002338           1      1200       200 epoll_pwait
  3.29    0.000501           0      1001           write
------ ----------- ----------- --------- --------- ----------------
100.00    0.015222           1      9701      1200 total
`
	got, err := parseCalls(strings.NewReader(report))
	if want := 8001; err != nil || got != want {
		t.Errorf("parseCalls() = %d, %v, want %d", got, err, want)
	}
	if _, err := parseCalls(strings.NewReader("")); err == nil {
		t.Error("an empty report is no error")
	}
}

func TestATableIsOfMediansAndOfRatiosWithinARound(t *testing.T) {
	b := &bench{
		servers: []server{{name: sluiceNone, bare: bareNone}, {name: bareNone}, {name: stockTusd}},
		scenarios: []scenario{{
			name: "large", about: "it",
			goals: []goal{{sluiceNone, mibPerSecond, 4, ratioAtLeast}, {sluiceNone, peak, 20, atMost}},
		}},
		results: map[key][]result{
			{"large", sluiceNone}: {{mibPerSecond: 400, peak: 10}, nil, {mibPerSecond: 200, peak: 12}},
			{"large", bareNone}:   {{mibPerSecond: 600}, nil, {mibPerSecond: 200}},
			{"large", stockTusd}:  {{mibPerSecond: 200, peak: 40}, {mibPerSecond: 1000, peak: 40}, {mibPerSecond: 50, peak: 40}},
		},
	}
	var out strings.Builder
	if err := b.report(&out); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(strings.Fields(out.String()), " ") // whatever the widths
	for _, want := range []string{
		"| large | sluice, none | MiB/s | 3 of tusd | 2 - 4 | >= 4 of tusd | **below** | 3.50 |",
		"| large | sluice, none | peak MiB | 11 | 10 - 12 | <= 20 | reached | - |",
		"| server | MiB/s | peak MiB |",
		"| sluice, none | 300 (3) | 11 (0.275) |",
		"| tusd | 200 | 40 |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestTheTablesReplaceWhatFollowsTheMark(t *testing.T) {
	name := filepath.Join(t.TempDir(), "doc.md")
	if err := os.WriteFile(name, []byte("# Words\n"+mark+"\nold\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeAfterMark(name, "new\n"); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(name)
	if want := "# Words\n" + mark + "\n\nnew\n"; string(got) != want {
		t.Errorf("document = %q, want %q", got, want)
	}
}

func TestEveryGoalIsForAServerAndAMetricThatThereAre(t *testing.T) {
	names := []string{sluiceNone, sluiceAlways}
	for _, sc := range scenarios(fullSizes()) {
		for _, g := range sc.goals {
			if !slices.Contains(names, g.server) || !slices.Contains(metrics(), g.metric) || g.bound <= 0 {
				t.Errorf("%s: goal %+v", sc.name, g)
			}
		}
	}
}

// TestEveryScenarioRuns takes half a minute; what it shows is that the scenarios work, with content and answers checked.
func TestEveryScenarioRuns(t *testing.T) {
	if os.Getenv("BENCH") == "" {
		t.Skip("BENCH=1 runs it")
	}
	sluice := filepath.Join(t.TempDir(), "sluice")
	if out, err := exec.Command("go", "build", "-C", "..", "-o", sluice, "./cmd/server").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := newBench(t.TempDir(), options{sluice: sluice, quick: true})
	if err != nil {
		t.Fatal(err)
	}
	b.servers = b.servers[:2] // without tusd, whose build takes minutes
	b.say = t.Logf
	if err := b.run(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	for _, sc := range b.scenarios {
		for _, s := range b.servers {
			rounds := b.results[key{sc.name, s.name}]
			if s.canRun(sc) && (len(rounds) == 0 || len(rounds[0]) < 3) {
				t.Errorf("%s: %s: measured %v", sc.name, s.name, rounds)
			}
			for _, g := range sc.goals {
				if g.server == s.name && len(values(rounds, g.metric)) == 0 {
					t.Errorf("%s: %s: goal for %s, which is not measured: %v", sc.name, s.name, g.metric, rounds)
				}
			}
		}
	}
}
