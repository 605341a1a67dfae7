package e2e

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// refusal is a request that must do nothing, and what is said to it. In request {open} is an upload that has 4 of 10 bytes,
// {done} a complete one, {rejected} one that was refused for its content, {gone} a deleted one.
type refusal struct {
	name    string
	request string
	status  int
	code    string // of the problem; "" where net/http answers by itself, or the answer is no error
	closes  bool   // the server cannot know where the next request begins, or must not believe it; with a body it may close too
	keeps   string // why an upload stays behind that was not there before; "" if none does
}

// TestRefusals sends what no server should take, as it is, over a connection. The answer says what is wrong and nothing about
// the machine; the disk is as it was; the connection goes on where it can.
func TestRefusals(t *testing.T) {
	s := start(t)
	for _, table := range []struct {
		name string
		rows []refusal
	}{
		{"protocol", protocolRefusals},
		{"lengths", lengthRefusals()},
		{"offsets", offsetRefusals()},
		{"metadata", metadataRefusals},
		{"ids", idRefusals()},
		{"methods", methodRefusals},
		{"bodies", bodyRefusals},
		{"states", stateRefusals},
		{"ranges", rangeRefusals},
		{"http", httpRefusals},
	} {
		t.Run(table.name, func(t *testing.T) {
			names := fixtures(t, s)
			for _, row := range table.rows {
				t.Run(row.name, func(t *testing.T) { row.check(t, s, names) })
			}
		})
	}
}

// fixtures makes the uploads that the rows name.
func fixtures(t *testing.T, s *server) *strings.Replacer {
	t.Helper()
	file := content{size: 10}
	open := s.create(t, "/files/", file.size, "Upload-Metadata: filename "+"YS5iaW4=")
	s.send(t, open, file, 0, 4)
	done := s.upload(t, "/files/", file)
	gone := s.create(t, "/files/", file.size)
	s.do(t, "DELETE", gone, protocol)
	rejected := s.create(t, "/videos/", 10)
	if r := s.patch(t, rejected, 0, strings.NewReader("not a film"), 10); r.status != http.StatusUnsupportedMediaType {
		t.Fatalf("a text at /videos/: got %d %s, want 415", r.status, r.body)
	}
	return strings.NewReplacer("{open}", open, "{done}", done, "{gone}", gone, "{rejected}", rejected)
}

func (row refusal) check(t *testing.T, s *server, names *strings.Replacer) {
	before := disk(t, s.data)
	l := s.dial(t)
	l.within(t, 10*time.Second)
	request := names.Replace(row.request)
	method, _, _ := strings.Cut(request, " ")
	l.write([]byte(request))
	answer, err := l.answer(method)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}

	if answer.status != row.status {
		t.Errorf("got %d %.300s, want %d", answer.status, answer.body, row.status)
	}
	if row.code != "" {
		row.checkProblem(t, method, answer)
	}
	checkDiscreet(t, s, answer)
	if row.keeps != "" {
		s.do(t, "DELETE", answer.header.Get("Location"), protocol) // it can be reached
	}
	row.checkConnection(t, l, answer)
	if diff := cmp.Diff(before, disk(t, s.data)); diff != "" {
		t.Errorf("the disk is not as it was (-before +after):\n%s", diff)
	}
}

func (row refusal) checkProblem(t *testing.T, method string, answer reply) {
	t.Helper()
	if kind := answer.header.Get("Content-Type"); kind != "application/problem+json" {
		t.Errorf("got Content-Type %q, want a problem", kind)
	}
	if method == "HEAD" || strings.Contains(row.request, "Override: HEAD") {
		return // no body
	}
	if p := answer.problem(); p.Code != row.code || p.Detail == "" {
		t.Errorf("got code %q with detail %q, want %q with a sentence", p.Code, p.Detail, row.code)
	}
}

// checkConnection sends another request after the refused one.
func (row refusal) checkConnection(t *testing.T, l *line, answer reply) {
	t.Helper()
	_, body, _ := strings.Cut(row.request, "\r\n\r\n")
	if row.closes || body != "" && answer.close { // a server need not read what it refused to find the next request
		if err := l.closed(); err != nil {
			t.Errorf("the connection was not closed: %v", err)
		}
		return
	}
	l.write([]byte("OPTIONS /files/ HTTP/1.1\r\nHost: sluice\r\n\r\n"))
	next, err := l.answer("OPTIONS")
	if answer.close || err != nil || next.status != http.StatusNoContent {
		t.Errorf("the connection does not go on: close %v, then %d %v", answer.close, next.status, err)
	}
}

// tattle is what belongs into the log of a server and not into its answers: places in a file system, words of Go and of its
// libraries, stacks.
var tattle = regexp.MustCompile(`goroutine |\.go\b|panic|runtime[ .]|strconv|syscall|store: |finish: |handlers: |durable: |` +
	`invalid syntax|no such file|unexpected EOF|read tcp|i/o timeout|ERR_|failed to overlap|0x[0-9a-f]{4}`)

func checkDiscreet(t *testing.T, s *server, answer reply) {
	t.Helper()
	text := fmt.Sprint(answer.header) + string(answer.body)
	if found := tattle.FindString(text); found != "" {
		t.Errorf("the answer holds %q: %s", found, text)
	}
	for _, place := range []string{s.data, os.TempDir(), filepath.Base(binary) + "-"} {
		if strings.Contains(text, place) {
			t.Errorf("the answer holds the path %q: %s", place, text)
		}
	}
}

// disk is every file below dir, with its size and the hash of its content.
func disk(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), "journal-") { // which has its room, whatever is in it
			return err
		}
		raw, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[name] = fmt.Sprintf("%d bytes, %x", len(raw), sha256.Sum256(raw))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// ask is a request without a body: its first line but the version, and header lines.
func ask(first string, header ...string) string {
	return first + " HTTP/1.1\r\nHost: sluice\r\n" + lines(header) + "\r\n"
}

// create is a POST that would make an upload at /files/ but for what the lines say.
func create(header ...string) string {
	return ask("POST /files/", append([]string{protocol, "Content-Length: 0"}, header...)...)
}

// add is a PATCH of {open} with these lines and this body.
func add(body string, header ...string) string {
	header = append([]string{protocol, fmt.Sprintf("Content-Length: %d", len(body))}, header...)
	return ask("PATCH {open}", header...) + body
}

// at is a PATCH in the right form: 6 bytes for the place that each line names.
func at(header ...string) string { return add("abcdef", append(header, chunkType)...) }

func lines(header []string) (text string) {
	for _, line := range header {
		text += line + "\r\n"
	}
	return text
}
