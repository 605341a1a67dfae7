package e2e

import (
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// rule is a sentence of tus 1.0.0 in short words, and a script that shows whether the server keeps it. An empty line is
// nothing; the others are
//
//	> METHOD target      a request begins; a third word is the version of HTTP
//	> Name: value        a line of its header
//	> -Name              leaves out what stands there by itself
//	> | text             its body
//	< 204                the status that is expected, or several: 404|410
//	< 201 {a}            ... and a name for the upload that was made
//	< Name: value        a header that the answer has, once, with this value
//	< Name: *            ... with any value
//	< Name ~ a, b        ... with a list that has these items
//	< !Name              the answer does not have that header
//	< | text             its whole body
//	< |~ text            a part of it
//	= {a} ready          waits until the status of an upload says that state
//
// {it} is the upload that was made last and {id} the end of its address, {a} and {a.id} the one that has that name, {host}
// the server, {max} the size of the largest avatar and {over} one byte more. \s, \t, \r and \n stand for what cannot be seen.
// Tus-Resumable stands by itself in every request but OPTIONS, the Content-Type of chunks in PATCH, the right Content-Length
// with a body. Requests without an answer between them go out at once. The body of a request with Expect waits for an answer,
// be it "< 100" or a refusal.
//
// What holds for every answer is not written in each script: see [checkAlways].
type rule struct {
	words  string
	script string
	deed   func(*testing.T, *server) // in the place of a script, for what a script cannot tell
}

// chapter is a section of the protocol. If it is an extension, it holds when the server announces that.
type chapter struct {
	section   string
	extension string
	rules     []rule
}

// TestConformance holds the server to the text of tus 1.0.0, sentence by sentence.
func TestConformance(t *testing.T) {
	t.Parallel() // it waits more than it works
	s := start(t)
	announced := strings.Split(s.do(t, "OPTIONS", "/files/").header.Get("Tus-Extension"), ",")
	for _, chapter := range chapters() {
		if chapter.extension != "" && !slices.Contains(announced, chapter.extension) {
			continue
		}
		t.Run(chapter.section, func(t *testing.T) {
			for _, rule := range chapter.rules {
				t.Run(rule.words, func(t *testing.T) { rule.check(t, s) })
			}
		})
	}
	t.Run("Tus-Extension", func(t *testing.T) {
		for _, extension := range announced {
			if !slices.ContainsFunc(chapters(), func(c chapter) bool { return c.extension == extension }) {
				t.Errorf("%q is announced, and no chapter here shows that it works", extension)
			}
		}
	})
}

func (r rule) check(t *testing.T, s *server) {
	if r.deed != nil {
		r.deed(t, s)
		return
	}
	limit := s.do(t, "OPTIONS", "/avatars/").header.Get("Tus-Max-Size")
	most, _ := strconv.ParseInt(limit, 10, 64) // checked by a rule
	c := &conversation{s: s, names: map[string]string{"{host}": s.public, "{max}": limit, "{over}": strconv.FormatInt(most+1, 10)}}
	for _, e := range readScript(r.script) {
		c.hold(t, e)
	}
	if c.l != nil && c.l.r.Buffered() > 0 {
		t.Error("the server says more than it was asked")
	}
}

// message is a request of a script. Its lines are as written, with names in them.
type message struct {
	first  string // method and target
	header []string
	body   string
}

// expectation is an answer of a script: statuses, and lines about the rest.
type expectation struct {
	status string
	name   string // for the upload that was made; "" for none
	lines  []string
}

// turn is what is sent at once, and what is said to it; or what is waited for.
type turn struct {
	requests []*message
	answers  []*expectation
	awaits   string // an upload and a state
}

var unseen = strings.NewReplacer(`\s`, " ", `\t`, "\t", `\r`, "\r", `\n`, "\n")

func readScript(script string) (turns []*turn) {
	for text := range strings.Lines(script) {
		text = unseen.Replace(strings.TrimLeft(strings.TrimSuffix(text, "\n"), "\t"))
		if text == "" {
			continue
		}
		line := text[2:]
		switch {
		case text[0] == '=':
			turns = append(turns, &turn{awaits: line})
		case text[0] == '<':
			turns[len(turns)-1].expect(line)
		case isRequestLine(line):
			if len(turns) == 0 || len(turns[len(turns)-1].answers) > 0 || turns[len(turns)-1].awaits != "" {
				turns = append(turns, &turn{})
			}
			last := turns[len(turns)-1]
			last.requests = append(last.requests, &message{first: line})
		default:
			last := turns[len(turns)-1]
			last.requests[len(last.requests)-1].add(line)
		}
	}
	return turns
}

// isRequestLine tells a request's first line from the others: its first word ends in a space.
func isRequestLine(line string) bool {
	end := strings.IndexAny(line, " :")
	return end > 0 && line[end] == ' ' && line[0] != '|'
}

func (e *turn) expect(line string) {
	if line[0] >= '0' && line[0] <= '9' {
		status, name, _ := strings.Cut(line, " ")
		e.answers = append(e.answers, &expectation{status: status, name: name})
		return
	}
	last := e.answers[len(e.answers)-1]
	last.lines = append(last.lines, line)
}

func (m *message) add(line string) {
	if body, ok := strings.CutPrefix(line, "| "); ok {
		m.body += body
		return
	}
	m.header = append(m.header, line)
}

// value is a header of the request, and whether a line speaks of it, be it to leave it out.
func (m *message) value(name string) (value string, ok bool) {
	for _, line := range m.header {
		key, text, _ := strings.Cut(strings.TrimPrefix(line, "-"), ":")
		if strings.EqualFold(key, name) {
			return strings.TrimSpace(text), true
		}
	}
	return "", false
}

// method is the one that counts: "X-HTTP-Method-Override", if there, is the request's method.
func (m *message) method() string {
	if method, ok := m.value("X-HTTP-Method-Override"); ok && method != "" {
		return method
	}
	return m.onWire()
}

// onWire is the method that the connection sees.
func (m *message) onWire() string {
	method, _, _ := strings.Cut(m.first, " ")
	return method
}

// head is all of the request that comes before its body.
func (m *message) head() string {
	first, header := m.first, slices.Clone(m.header)
	if !strings.Contains(first, " HTTP/") {
		first += " HTTP/1.1"
	}
	add := func(when bool, name, value string) {
		if _, spoken := m.value(name); when && !spoken {
			header = append(header, name+": "+value)
		}
	}
	_, inChunks := m.value("Transfer-Encoding")
	add(strings.HasSuffix(first, "/1.1"), "Host", "{host}")
	add(m.onWire() != "OPTIONS", "Tus-Resumable", "1.0.0")
	add(m.onWire() == "PATCH", "Content-Type", "application/offset+octet-stream")
	add(m.body != "" && !inChunks, "Content-Length", strconv.Itoa(len(m.body)))
	header = slices.DeleteFunc(header, func(line string) bool { return line[0] == '-' })
	return first + "\r\n" + lines(header) + "\r\n"
}

// conversation goes through the turns of a script, over one connection as long as the server keeps it.
type conversation struct {
	s     *server
	l     *line
	names map[string]string
}

func (c *conversation) named(text string) string {
	for name, value := range c.names {
		text = strings.ReplaceAll(text, name, value)
	}
	return text
}

func (c *conversation) hold(t *testing.T, e *turn) {
	t.Helper()
	if e.awaits != "" {
		c.awaitState(t, c.named(e.awaits))
		return
	}
	if c.l == nil {
		c.l = c.s.dial(t)
	}
	c.l.within(t, 10*time.Second) // none of this takes long
	var sent strings.Builder
	for _, m := range e.requests {
		sent.WriteString(c.named(m.head()))
		if _, waits := m.value("Expect"); !waits {
			sent.WriteString(c.named(m.body))
		}
	}
	c.l.write([]byte(sent.String()))

	requests := e.requests
	for _, want := range e.answers {
		m := requests[0]
		got, err := c.l.answer(m.onWire())
		if err != nil {
			t.Fatalf("no answer: %v\n%s", err, sent.String())
		}
		c.compare(t, sent.String(), got, want)
		if got.status == http.StatusContinue {
			c.l.write([]byte(m.body))
			continue
		}
		checkAlways(t, m, got)
		c.after(t, m, got, want)
		requests = requests[1:]
	}
	if t.Failed() {
		t.Logf("this was said to\n%s", sent.String())
	}
}

// awaitState waits for what happens behind the client's back, on a connection of its own.
func (c *conversation) awaitState(t *testing.T, which string) {
	t.Helper()
	location, state, _ := strings.Cut(which, " ")
	await(t, location+" is "+state, func() bool { return c.s.standing(t, location).State == state })
}

// after learns what the answer changes: where the upload is, and whether the connection goes on.
func (c *conversation) after(t *testing.T, m *message, got reply, want *expectation) {
	t.Helper()
	if got.status == http.StatusCreated {
		it := resolve(t, got.header.Get("Location"))
		c.names["{it}"], c.names["{id}"] = it, path.Base(it)
		if want.name != "" {
			c.names[want.name], c.names[strings.TrimSuffix(want.name, "}")+".id}"] = it, path.Base(it)
		}
	}
	if _, waited := m.value("Expect"); waited && want.status[0] >= '4' {
		c.l.write([]byte(m.body)) // nobody asked for it, and where the connection goes on it is expected all the same
	}
	if !got.close {
		return
	}
	if err := c.l.closed(); err != nil {
		t.Errorf("after Connection: close: %v", err)
	}
	c.l = nil
}

// resolve turns a Location, absolute or relative, into a request's target.
func resolve(t *testing.T, location string) string {
	t.Helper()
	base := url.URL{Scheme: "http", Host: "sluice", Path: "/"}
	found, err := base.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	return found.RequestURI()
}

// compare holds an answer against the script.
func (c *conversation) compare(t *testing.T, sent string, got reply, want *expectation) {
	t.Helper()
	if !slices.Contains(strings.Split(want.status, "|"), strconv.Itoa(got.status)) {
		t.Fatalf("got %d %.300s, want %s, to\n%s", got.status, got.body, want.status, sent)
	}
	if got.close {
		got.header.Set("Connection", "close") // net/http has taken it out
	}
	for _, line := range want.lines {
		line = c.named(line)
		body, isBody := strings.CutPrefix(line, "| ")
		text, isText := strings.CutPrefix(line, "|~ ")
		name, value, isHeader := strings.Cut(line, ": ")
		key, items, isList := strings.Cut(line, " ~ ")
		switch {
		case isBody:
			if string(got.body) != body {
				t.Errorf("got the body %q, want %q", got.body, body)
			}
		case isText:
			if !strings.Contains(string(got.body), text) {
				t.Errorf("got the body %q, want %q in it", got.body, text)
			}
		case line[0] == '!':
			if values := got.header.Values(line[1:]); len(values) > 0 {
				t.Errorf("got %s: %q, want none", line[1:], values)
			}
		case isList:
			checkList(t, key, got.header.Get(key), items)
		case isHeader:
			if values := got.header.Values(name); len(values) != 1 || value != "*" && values[0] != value || values[0] == "" {
				t.Errorf("got %s: %q, want %q", name, values, value)
			}
		}
	}
}

func checkList(t *testing.T, name, list, items string) {
	t.Helper()
	var got []string
	for item := range strings.SplitSeq(list, ",") {
		got = append(got, strings.ToLower(strings.TrimSpace(item)))
	}
	for item := range strings.SplitSeq(items, ", ") {
		if !slices.Contains(got, strings.ToLower(item)) {
			t.Errorf("%s is %q, without %s", name, list, item)
		}
	}
}

// forms are what the protocol says of the values of its headers.
var forms = map[string]*regexp.Regexp{
	"Upload-Offset":       regexp.MustCompile(`^[0-9]+$`),
	"Upload-Length":       regexp.MustCompile(`^[0-9]+$`),
	"Upload-Defer-Length": regexp.MustCompile(`^1$`),
	"Upload-Concat":       regexp.MustCompile(`^(partial|final;.+)$`),
	"Tus-Max-Size":        regexp.MustCompile(`^[0-9]+$`),
	"Tus-Resumable":       regexp.MustCompile(`^1\.0\.0$`),
	"Tus-Version":         regexp.MustCompile(`^1\.0\.0(,[0-9]+\.[0-9]+\.[0-9]+)*$`), // the one preferred comes first
	"Tus-Extension":       regexp.MustCompile(`^[a-z]+(-[a-z]+)*(,[a-z]+(-[a-z]+)*)*$`),
}

// checkAlways checks what the protocol says of every answer to such a request.
func checkAlways(t *testing.T, m *message, got reply) {
	t.Helper()
	must := func(ok bool, what string) {
		t.Helper()
		if !ok {
			t.Errorf("%s %d: %s", m.first, got.status, what)
		}
	}
	has := func(name string) bool { return len(got.header.Values(name)) > 0 }
	for name, form := range forms {
		for _, value := range got.header.Values(name) {
			must(form.MatchString(value), name+" is "+strconv.Quote(value))
		}
		must(len(got.header.Values(name)) <= 1, name+" comes twice")
	}
	for _, value := range got.header.Values("Upload-Expires") {
		expires, err := time.Parse(http.TimeFormat, value)
		exact := err == nil && expires.Format(http.TimeFormat) == value
		must(exact, `Upload-Expires "MUST be in RFC 9110 datetime format", not `+value)
		must(time.Until(expires) > -time.Second, "Upload-Expires is over: "+value) // it has no fractions
	}
	method := strings.ToUpper(m.method())
	must(method == "OPTIONS" || method == "GET" || has("Tus-Resumable"), `"Tus-Resumable MUST be included in every response except for OPTIONS"`)
	must(got.status != http.StatusPreconditionFailed || has("Tus-Version"), `412 "MUST include Tus-Version"`)
	switch {
	case method == "HEAD":
		must(len(got.body) == 0, "it has a body")
		must(got.header.Get("Cache-Control") == "no-store", `HEAD "MUST prevent caching by Cache-Control: no-store"`)
		checkStanding(got, must)
	case method == "PATCH" && got.status < 300:
		must(got.status == http.StatusNoContent && has("Upload-Offset"), `PATCH "MUST be acknowledged with 204 and Upload-Offset"`)
	case method == "POST" && got.status < 300:
		must(got.status == http.StatusCreated && has("Location"), `POST "MUST be acknowledged with 201 and Location"`)
	case method == "POST":
		must(!has("Location"), "a refused POST names a Location")
	case method == "OPTIONS":
		must(has("Tus-Version"), `OPTIONS "MUST contain Tus-Version"`)
		extensions := strings.Split(got.header.Get("Tus-Extension"), ",")
		slices.Sort(extensions)
		must(len(slices.Compact(extensions)) == len(extensions), "an extension is announced twice")
	}
}

// checkStanding checks what HEAD tells of how far an upload is. That of a final says nothing until it is put together.
func checkStanding(got reply, must func(bool, string)) {
	offset, length := got.header.Get("Upload-Offset"), got.header.Get("Upload-Length")
	deferred := got.header.Get("Upload-Defer-Length") != ""
	if strings.HasPrefix(got.header.Get("Upload-Concat"), "final") {
		must(offset == "" || offset == length, `the Upload-Offset of a final that is done "MUST be equal to Upload-Length"`)
		must(!deferred, "the length of a final is not for the client to tell")
		return
	}
	must((offset != "") == (got.status < 300), `HEAD has Upload-Offset "always", and not "if the resource is not found"`)
	must(got.status >= 300 || (length != "") != deferred, "HEAD has Upload-Length if it is known, else Upload-Defer-Length: 1")
}
