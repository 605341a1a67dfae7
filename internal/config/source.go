package config

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// source is where the values come from that the command line leaves open: the environment, else the file. It is a
// [kong.Resolver] of our own because the library's lets the file beat the environment and takes unknown keys in silence.
type source struct {
	getenv func(string) string
	file   *file             // never nil; empty without a config file
	origin map[string]string // by flag: the place that its value came from; none if the command line or the default
}

// envName is the variable of a flag: SLUICE_PRIVATE_LISTEN of private-listen.
func envName(flag string) string {
	return "SLUICE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// open reads the config file of that name, "" for none.
func (s *source) open(name string) []error {
	var faults []error
	s.file, faults = readFile(name)
	return faults
}

// Resolve implements [kong.Resolver]: it is asked for the flags that the command line does not give.
func (s *source) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if flag.Name == "help" || flag.Name == "config" || lineOnly(flag.Name) {
		return nil, nil
	}
	if value := s.getenv(envName(flag.Name)); value != "" {
		s.origin[flag.Name] = envName(flag.Name)
		return value, nil
	}
	if set, ok := s.file.settings[flag.Name]; ok {
		s.origin[flag.Name] = set.place
		return set.value, nil
	}
	return nil, nil
}

// Validate implements [kong.Resolver]. See strangers, which names all faults, not one.
func (s *source) Validate(*kong.Application) error { return nil }

// strangers names the keys of the file that no flag has, and lists given to flags that take one value.
func (s *source) strangers(flags []*kong.Flag) []error {
	known := map[string]*kong.Flag{}
	names := []string{"profiles", "endpoints"}
	for _, flag := range flags {
		if flag.Name != "help" && flag.Name != "config" && !lineOnly(flag.Name) {
			known[flag.Name] = flag
			names = append(names, flag.Name)
		}
	}

	var faults []error
	for _, key := range s.file.order {
		set := s.file.settings[key]
		switch flag := known[key]; {
		case flag == nil:
			faults = append(faults, fmt.Errorf("%s: unknown key%s", set.place, hint(key, names)))
		case set.list && !flag.IsSlice():
			faults = append(faults, fmt.Errorf("%s: takes one value, not a list", set.place))
		}
	}
	return faults
}

// place names where the value of a flag came from, in the operator's terms.
func (s *source) place(flag string) string {
	if place, ok := s.origin[flag]; ok {
		return place
	}
	return "--" + flag
}

// hint proposes the candidate that was probably meant: the same but for case and dashes, or at most two letters away.
func hint(word string, candidates []string) string {
	fold := strings.NewReplacer("-", "", "_", "")
	best, nearest := "", 3
	for _, candidate := range candidates {
		d := distance(strings.ToLower(fold.Replace(word)), strings.ToLower(fold.Replace(candidate)))
		if d < nearest {
			best, nearest = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %q?", best)
}

// distance is the least number of letters to change, add or remove between a and b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
