package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// listed is a line of `sluice ls --json`.
type listed struct {
	Profile, ID, State string
	Offset, Length     int64
}

// list runs the command, which must succeed, and returns what it lists by the address of the upload.
func list(t *testing.T, args ...string) map[string]listed {
	t.Helper()
	code, stdout, stderr := command(t, append([]string{"ls", "--json", "--log-level", "warn"}, args...)...)
	if code != 0 || stderr != "" {
		t.Fatalf("ls %v: got exit code %d, stderr %q", args, code, stderr)
	}
	all := make(map[string]listed)
	for lines := json.NewDecoder(strings.NewReader(stdout)); ; {
		var one listed
		if err := lines.Decode(&one); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("ls says %q: %v", stdout, err)
		}
		all["/"+one.Profile+"s/"+one.ID] = one
	}
}

var lsLine = regexp.MustCompile(`^(\S+) +(\S+) +(\d+) +(\d+|-)  \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ +([A-Za-z0-9_-]+)$`)

// TestLS lists by way of the server, and when that has stopped from the disk, which it leaves as it is: both say what the server says
// of each upload.
func TestLS(t *testing.T) {
	s := start(t, "--sweep-interval", "0")
	h := pile(t, s)
	open := s.create(t, "/files/", deferred)
	want := make(map[string]listed)
	for _, location := range []string{h.done, h.half, h.part, h.film, h.open, open} {
		one := listed{Length: deferred}
		if err := json.Unmarshal([]byte(s.do(t, "GET", location+"/status").body), &one); err != nil {
			t.Fatal(err)
		}
		want[location] = one
	}
	if got := want[h.half]; got.State != "receiving" || got.Offset != 60<<10 || got.Length != 100<<10 {
		t.Fatalf("the server says %+v", got)
	}
	ask := []string{"--data", s.data, "--private-listen", s.private}
	if diff := cmp.Diff(want, list(t, ask...)); diff != "" {
		t.Errorf("by way of the server (-status +list):\n%s", diff)
	}
	for _, row := range []struct {
		only []string
		want []string
	}{
		{[]string{"--profile", "video"}, []string{h.film}},
		{[]string{"--state", "ready"}, []string{h.done}},
		{[]string{"--state", "receiving", "--profile", "file"}, []string{h.half, open}},
		{[]string{"--state", "unreadable"}, nil},
	} {
		some := make(map[string]listed)
		for _, location := range row.want {
			some[location] = want[location]
		}
		if diff := cmp.Diff(some, list(t, append(row.only, ask...)...)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", row.only, diff)
		}
	}

	s.stop(t)
	before := disk(t, s.data)
	if diff := cmp.Diff(want, list(t, ask...)); diff != "" {
		t.Errorf("from the disk (-status +list):\n%s", diff)
	}
	_, stdout, _ := command(t, append([]string{"ls"}, ask...)...)
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	bytes := int64(0)
	for _, line := range lines[1 : len(lines)-1] {
		found := lsLine.FindStringSubmatch(line)
		if found == nil {
			t.Fatalf("ls says %q", line)
		}
		one := want["/"+found[1]+"s/"+found[5]]
		if found[2] != one.State || found[3] != strconv.FormatInt(one.Offset, 10) || (found[4] == "-") != (one.Length == deferred) {
			t.Errorf("ls says %q, want %+v", line, one)
		}
		bytes += one.Offset
	}
	if sum := lines[len(lines)-1]; sum != "6 uploads, "+strconv.FormatInt(bytes, 10)+" bytes" || len(lines) != 8 {
		t.Errorf("ls says %q at the end of %d lines, want 6 uploads of %d bytes", sum, len(lines), bytes)
	}
	if diff := cmp.Diff(before, disk(t, s.data)); diff != "" {
		t.Errorf("it has changed the disk (-before +after):\n%s", diff)
	}
}

func TestLSOfNothing(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	if code, stdout, _ := command(t, "ls", "--data", data); code != 0 || stdout != "0 uploads, 0 bytes\n" {
		t.Errorf("got exit code %d, %q", code, stdout)
	}
	if _, err := os.Stat(data); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ls has made the data directory: %v", err)
	}
}

// TestLSThatFails cannot list everything, and says so: there is no sum.
func TestLSThatFails(t *testing.T) {
	s := start(t)
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jsonl")
		io.WriteString(w, `{"profile":"file","id":"abc","state":"ready","offset":100,"length":100}`+"\n") //nolint:errcheck // the client tells
	}))
	defer cut.Close()
	another := start(t)
	for _, row := range []struct{ name, private, stderr string }{
		{"it is no Sluice that listens", strings.TrimPrefix(other.URL, "http://"), "404"},
		{"it is another Sluice that listens", another.private, "another data directory"},
		{"the server does not come to the end", strings.TrimPrefix(cut.URL, "http://"), "did not come to the end"},
	} {
		t.Run(row.name, func(t *testing.T) {
			code, stdout, stderr := command(t, "ls", "--data", s.data, "--private-listen", row.private)
			if code != 1 || strings.Contains(stdout, "bytes") {
				t.Errorf("got exit code %d, %q", code, stdout)
			}
			mention(t, "stderr", stderr, []string{"sluice: ", row.stderr})
		})
	}
	for _, args := range [][]string{{"ls", "--state", "lost"}, {"ls", "--profile", "film"}, {"ls", "--dry-run"}, {"gc", "--json"}} {
		if code, _, _ := command(t, args...); code != 2 {
			t.Errorf("%v: got exit code %d, want 2", args, code)
		}
	}
}
