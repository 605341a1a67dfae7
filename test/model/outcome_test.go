package model

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// outcome is an answer that the model allows, and what is true after it.
type outcome struct {
	status int
	code   string              // of the problem; anything, where no text says which
	header map[string]string   // of those in told; what is not in it must be absent
	check  func(answer) string // what else must hold: "" if it does, or what does not; may be nil
	then   func(answer)        // changes the model; nil: nothing changes
}

// In the place of a header's value or a code.
const (
	something = "*" // there, whatever it is
	anything  = "?" // there or not
)

// refuse is an answer that changes nothing and says nothing of an upload but when it expires.
func refuse(status int, code string) outcome {
	return outcome{status: status, code: code, header: map[string]string{"Upload-Expires": anything}}
}

// with is o with one more header.
func (o outcome) with(key, value string) outcome {
	o.header = maps.Clone(o.header)
	if o.header == nil {
		o.header = make(map[string]string)
	}
	o.header[key] = value
	return o
}

// and is o with one more thing that is true then.
func (o outcome) and(then func(answer)) outcome {
	before := o.then
	o.then = func(a answer) {
		if before != nil {
			before(a)
		}
		then(a)
	}
	return o
}

// differences are what is other in a, an answer to r, than o has it.
func (o outcome) differences(r request, a answer) (wrong []string) {
	if a.status != o.status {
		return []string{fmt.Sprintf("status is %d, not %d", a.status, o.status)}
	}
	if got := a.code(); r.hasBody() && !matches([]string{got}, o.code) {
		wrong = append(wrong, fmt.Sprintf("code is %q, not %q", got, o.code))
	}
	for _, key := range told {
		if got := a.header.Values(key); !matches(got, o.header[key]) {
			wrong = append(wrong, fmt.Sprintf("%s is %q, not %q", key, got, o.header[key]))
		}
	}
	if o.check != nil {
		if fault := o.check(a); fault != "" {
			wrong = append(wrong, fault)
		}
	}
	return append(wrong, always(r, a)...)
}

// hasBody tells whether an answer to r has a body.
func (r request) hasBody() bool {
	method, _ := r.effective()
	return method != http.MethodHead && r.method != http.MethodHead
}

// matches compares the values of a header, or a code, with the one that is wanted.
func matches(got []string, want string) bool {
	there := len(got) > 0 && got[0] != ""
	switch want {
	case anything:
		return true
	case something:
		return there
	case "":
		return !there
	}
	return len(got) == 1 && slices.Contains(strings.Split(want, "|"), got[0])
}

// always is what holds for every answer below a profile's path.
func always(r request, a answer) (wrong []string) {
	if got := a.header.Values("Tus-Resumable"); r.method != http.MethodOptions && !slices.Equal(got, []string{"1.0.0"}) {
		wrong = append(wrong, fmt.Sprintf("Tus-Resumable is %q", got))
	}
	if at := a.header.Get("Upload-Expires"); at != "" {
		if when, err := http.ParseTime(at); err != nil || when.Before(time.Now()) {
			wrong = append(wrong, "Upload-Expires is no date to come")
		}
	}
	if r.hasBody() && a.status >= 400 && a.code() == "" {
		wrong = append(wrong, "an error that is no problem+json with a code")
	}
	return wrong
}

// String is the outcome in one line.
func (o outcome) String() string {
	out := fmt.Sprint(o.status)
	if o.code != "" {
		out += " " + o.code
	}
	for _, key := range told {
		if want := o.header[key]; want != "" && want != anything {
			out += fmt.Sprintf(", %s: %s", key, short(want))
		}
	}
	return out
}

// choose is the outcome that a is, or what is wrong with it.
func choose(allowed []outcome, r request, a answer) (outcome, string) {
	var wrong strings.Builder
	for _, o := range allowed {
		differences := o.differences(r, a)
		if len(differences) == 0 {
			return o, ""
		}
		fmt.Fprintf(&wrong, "\n  the model has: %v\n      but %s", o, strings.Join(differences, "; "))
	}
	return outcome{}, wrong.String()
}

// tally counts answers by what was asked, so that a reader can see how far the steps come.
type tally map[string]int

func (t tally) add(method string, a answer) {
	t[fmt.Sprintf("%-7s %d %s", method, a.status, a.code())]++
}

// String has the most frequent last.
func (t tally) String() string {
	lines := make([]string, 0, len(t))
	for what, n := range t {
		lines = append(lines, fmt.Sprintf("%8d  %s", n, what))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
