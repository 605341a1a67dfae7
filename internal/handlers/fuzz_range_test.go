package handlers

import (
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// span is a range of bytes of content.
type span struct{ first, last int64 }

var (
	rangeSet  = regexp.MustCompile(`^bytes=(.*)$`)
	intRange  = regexp.MustCompile(`^([0-9]+)-([0-9]*)$`)
	lastBytes = regexp.MustCompile(`^-([0-9]+)$`)
)

// spansOf reads a Range header by RFC 9110, section 14: those of its ranges that content of size bytes has, and whether the
// header is valid.
func spansOf(header string, size int64) (spans []span, valid bool) {
	set := rangeSet.FindStringSubmatch(header)
	if set == nil {
		return nil, false
	}
	for item := range strings.SplitSeq(set[1], ",") {
		item = strings.Trim(item, " \t")
		if item == "" { // "a recipient MUST parse and ignore a reasonable number of empty list elements" (section 5.6.1.2)
			continue
		}
		valid = true
		s, ok := spanOf(item, size)
		if !ok {
			return nil, false
		}
		if s.first <= s.last {
			spans = append(spans, s)
		}
	}
	return spans, valid
}

// spanOf reads one range; one that the content does not have ends before it begins.
func spanOf(item string, size int64) (span, bool) {
	number := func(text string) int64 {
		n, ok := new(big.Int).SetString(text, 10)
		if !ok || n.Cmp(big.NewInt(size)) > 0 {
			return size // as good as anything beyond
		}
		return n.Int64()
	}
	if found := lastBytes.FindStringSubmatch(item); found != nil {
		return span{size - number(found[1]), size - 1}, true
	}
	found := intRange.FindStringSubmatch(item)
	if found == nil {
		return span{}, false
	}
	first, last := number(found[1]), size-1
	if found[2] != "" {
		last = min(last, number(found[2]))
		from, _ := new(big.Int).SetString(found[1], 10)
		to, _ := new(big.Int).SetString(found[2], 10)
		if to.Cmp(from) < 0 && first < size { // beyond the end it makes no difference
			return span{}, false // "An int-range is invalid if the last-pos value is present and less than first-pos"
		}
	}
	return span{first, last}, true
}

func FuzzRange(f *testing.F) {
	h := fuzzed(f)
	contents := []string{"", "a", "0123456789", strings.Repeat("0123456789abcdef", 500)}
	paths := make([]string, len(contents))
	for i, content := range contents {
		paths[i] = h.made(f, len(content), content)
	}
	for _, header := range []string{"", "bytes=0-2", "bytes=-3", "bytes=7-", "bytes=10-", "bytes=-0", "bytes=0-0,2-3", "bytes=5-2", "rows=1-2",
		"bytes=0-99999999999999999999", "bytes=,,1-1,", "bytes= 1-1", "bytes=0-,0-,0-,0-", "Bytes=0-1", "bytes=--1", "bytes=-", "bytes=+1-2"} {
		f.Add(header, "", 2)
	}
	f.Add("bytes=0-2", "{etag}", 2)
	f.Add("bytes=0-2", "W/{etag}", 2)
	f.Add("bytes=0-2", "{modified}", 2)
	f.Add("bytes=-1", "", 0)
	f.Fuzz(func(t *testing.T, header, condition string, which int) {
		i := int(uint(which) % uint(len(contents)))
		if misread.MatchString(header) || contents[i] == "" && emptySuffix.MatchString(header) {
			t.Skip("a known defect")
		}
		whole := h.ask(t, http.MethodHead, paths[i], nil).Header()
		condition = strings.NewReplacer("{etag}", whole.Get("ETag"), "{modified}", whole.Get("Last-Modified")).Replace(condition)
		fields := []string{"Range", header}
		if condition != "" {
			fields = append(fields, "If-Range", condition)
		}
		checkRange(t, h.ask(t, http.MethodGet, paths[i], nil, fields...), contents[i], strings.Trim(header, " \t"), holds(strings.Trim(condition, " \t"), whole))
	})
}

// What net/http reads otherwise than RFC 9110 has it: a number with a sign or with spaces around it, one beyond 63 bits, the
// last no bytes in a list, and the last bytes of no content. These go when the server does better.
var (
	misread     = regexp.MustCompile(`-\s*[-+]|[=,]\s*\+|\d\s+-|-\s+\d|[0-9]{19}|[=,]\s*-0+\s*,|,\s*-0+\s*$`)
	emptySuffix = regexp.MustCompile(`[=,]\s*-`)
)

// holds tells whether an If-Range condition is true of content with that header (RFC 9110, section 13.1.5).
func holds(condition string, whole http.Header) bool {
	if condition == "" || strings.HasPrefix(condition, whole.Get("ETag")) { // what follows a tag is nobody's
		return true
	}
	when, err := http.ParseTime(condition)
	return err == nil && when.Format(http.TimeFormat) == whole.Get("Last-Modified")
}

// checkRange looks at an answer to a GET with that Range.
func checkRange(t *testing.T, w *httptest.ResponseRecorder, content, header string, conditionHolds bool) {
	t.Helper()
	size := int64(len(content))
	spans, valid := spansOf(header, size)
	partial := valid && conditionHolds && len(spans) > 0
	switch body := w.Body.String(); {
	case w.Code == http.StatusOK:
		if body != content {
			t.Errorf("200 with %d bytes of %d", len(body), size)
		}
		if partial && len(spans) == 1 {
			t.Errorf("Range %q: 200, want 206", header)
		}
	case w.Code == http.StatusPartialContent && partial:
		checkParts(t, w, content, spans)
	case w.Code == http.StatusRequestedRangeNotSatisfiable && !partial && conditionHolds && header != "":
		if got, want := w.Header().Get("Content-Range"), fmt.Sprintf("bytes */%d", size); valid && got != want {
			t.Errorf("Content-Range is %q, want %q", got, want)
		}
	default:
		t.Errorf("Range %q of %d bytes, condition %t: got %d %v", header, size, conditionHolds, w.Code, w.Header())
	}
}

// checkParts compares a 206 with the ranges that were asked for, in their order.
func checkParts(t *testing.T, w *httptest.ResponseRecorder, content string, spans []span) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(w.Header().Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "multipart/byteranges" {
		if len(spans) != 1 {
			t.Errorf("one part, want %d", len(spans))
		}
		checkPart(t, w.Header().Get("Content-Range"), w.Body.String(), content, spans[0])
		return
	}
	parts := multipart.NewReader(w.Body, params["boundary"])
	var total int
	for _, s := range spans {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		checkPart(t, part.Header.Get("Content-Range"), string(body), content, s)
		total += len(body)
	}
	if _, err := parts.NextPart(); err != io.EOF {
		t.Errorf("more than %d parts: %v", len(spans), err)
	}
	if total > len(content) {
		t.Errorf("parts of %d bytes of content that has %d", total, len(content))
	}
}

func checkPart(t *testing.T, contentRange, body, content string, s span) {
	t.Helper()
	if want := fmt.Sprintf("bytes %d-%d/%d", s.first, s.last, len(content)); contentRange != want {
		t.Errorf("Content-Range is %q, want %q", contentRange, want)
	}
	if body != content[s.first:s.last+1] {
		t.Errorf("bytes %d to %d are not the content's", s.first, s.last)
	}
}
