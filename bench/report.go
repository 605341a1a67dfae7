package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// report prints all tables in Markdown that a terminal can show too.
func (b *bench) report(w io.Writer) error {
	fmt.Fprintf(w, "- while something was timed, %.2f processors (median) were busy with neither server nor client\n", b.others())
	goals := newTable(w, "Against the goals")
	goals.row("scenario", "server", "what", "reached", "range", "goal", "", "bare")
	goals.line(3)
	for _, sc := range b.scenarios {
		for _, g := range sc.goals {
			b.goalRow(goals, sc, g)
		}
	}
	if err := goals.Flush(); err != nil {
		return err
	}
	for _, sc := range b.scenarios {
		if err := b.scenarioTable(w, sc); err != nil {
			return err
		}
	}
	return nil
}

// goalRow tells how far a goal was reached: the median of the rounds, and their range.
func (b *bench) goalRow(t *table, sc scenario, g goal) {
	found := b.reached(sc, g, g.server)
	if len(found) == 0 {
		return // this metric was not measured
	}
	least := "-"
	if bare := b.reached(sc, g, b.bareOf(g.server)); len(bare) > 0 {
		least = number(median(bare))
	}
	unit := " of tusd"
	if g.kind == atMost {
		unit = ""
	}
	verdict := "reached"
	if !g.met(median(found)) {
		verdict = "**below**"
	}
	t.row(sc.name, g.server, g.metric, number(median(found))+unit, number(slices.Min(found))+" - "+number(slices.Max(found)),
		g.kind.sign()+" "+number(g.bound)+unit, verdict, least)
}

// bareOf names the server that shows how much is left for another; "" if there is none.
func (b *bench) bareOf(name string) string {
	for _, s := range b.servers {
		if s.name == name {
			return s.bare
		}
	}
	return ""
}

// reached is what a goal is about, in each round of a server.
func (b *bench) reached(sc scenario, g goal, server string) []float64 {
	ours := b.results[key{sc.name, server}]
	if g.kind == atMost {
		return values(ours, g.metric)
	}
	return ratios(ours, b.results[key{sc.name, stockTusd}], g.metric)
}

func (g goal) met(v float64) bool {
	if g.kind == ratioAtLeast {
		return v >= g.bound
	}
	return v <= g.bound
}

func (k kind) sign() string {
	if k == ratioAtLeast {
		return ">="
	}
	return "<="
}

// scenarioTable has a row for each server: the median of each metric, and in parentheses its ratio to tusd's.
func (b *bench) scenarioTable(w io.Writer, sc scenario) error {
	var shown []string
	for _, metric := range metrics() {
		if slices.ContainsFunc(b.servers, func(s server) bool { return len(values(b.results[key{sc.name, s.name}], metric)) > 0 }) {
			shown = append(shown, metric)
		}
	}
	t := newTable(w, sc.name)
	fmt.Fprintf(w, "%s.\n\n", strings.ToUpper(sc.about[:1])+sc.about[1:])
	t.row(append([]string{"server"}, shown...)...)
	t.line(1)
	base := b.results[key{sc.name, stockTusd}]
	for _, s := range b.servers {
		cells := []string{s.name}
		for _, metric := range shown {
			cells = append(cells, cell(b.results[key{sc.name, s.name}], base, metric, s.name == stockTusd))
		}
		t.row(cells...)
	}
	return t.Flush()
}

func cell(rounds, base []result, metric string, isBase bool) string {
	found := values(rounds, metric)
	if len(found) == 0 {
		return "-"
	}
	text := number(median(found))
	if against := ratios(rounds, base, metric); !isBase && len(against) > 0 {
		text += " (" + number(median(against)) + ")"
	}
	return text
}

// number has three digits that count.
func number(v float64) string {
	switch size := math.Abs(v); {
	case size >= 100 || v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	case size >= 10:
		return fmt.Sprintf("%.1f", v)
	case size >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// table lines its columns up, for whoever reads it in a terminal.
type table struct {
	*tabwriter.Writer
	columns int
}

func newTable(w io.Writer, title string) *table {
	fmt.Fprintf(w, "\n### %s\n\n", title)
	return &table{Writer: tabwriter.NewWriter(w, 0, 0, 1, ' ', tabwriter.Debug)}
}

func (t *table) row(cells ...string) {
	t.columns = len(cells)
	fmt.Fprintln(t, "| "+strings.Join(cells, "\t ")+"\t")
}

// line is what Markdown wants below the headings: the first so many columns are text.
func (t *table) line(text int) {
	cells := slices.Repeat([]string{"---:"}, t.columns)
	for i := range min(text, t.columns) {
		cells[i] = "---"
	}
	t.row(cells...)
}
