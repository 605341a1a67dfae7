package e2e

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// gcReport is what `sluice gc` said: a line for each thing, and how many bytes they are together.
type gcReport struct {
	lines []string // profile, cause and id
	bytes int64
}

var (
	gcLine = regexp.MustCompile(`^(\S+) +(\S+) +(\d+)  ([A-Za-z0-9_-]+)$`)
	gcSum  = regexp.MustCompile(`^(\d+) (removed|would be removed), (\d+) bytes$`)
)

// gc runs the command, which must succeed, and checks that its sum is that of its lines.
func gc(t *testing.T, args ...string) (report gcReport) {
	t.Helper()
	code, stdout, stderr := command(t, append([]string{"gc", "--log-level", "warn"}, args...)...)
	if code != 0 || stderr != "" {
		t.Fatalf("got exit code %d, want 0\n%s%s", code, stdout, stderr)
	}
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	last := len(lines) - 1
	for _, line := range lines[:last] {
		found := gcLine.FindStringSubmatch(line)
		if found == nil {
			t.Fatalf("gc says %q", line)
		}
		bytes, err := strconv.ParseInt(found[3], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		report.lines, report.bytes = append(report.lines, found[1]+" "+found[2]+" "+found[4]), report.bytes+bytes
	}
	verb := "removed"
	if slices.Contains(args, "--dry-run") {
		verb = "would be removed"
	}
	if want := fmt.Sprintf("%d %s, %d bytes", last, verb, report.bytes); lines[last] != want || !gcSum.MatchString(want) {
		t.Errorf("gc says %q at its end, want %q", lines[last], want)
	}
	slices.Sort(report.lines)
	return report
}

// check compares what gc said with what is to go: lines of profile, cause and the address of an upload.
func (r gcReport) check(t *testing.T, want ...string) {
	t.Helper()
	lines := []string{}
	for _, line := range want {
		lines = append(lines, line[:strings.LastIndex(line, " ")+1]+filepath.Base(line))
	}
	slices.Sort(lines)
	if diff := cmp.Diff(lines, append([]string{}, r.lines...)); diff != "" {
		t.Errorf("gc does not tell what it should (-want +got):\n%s", diff)
	}
}

// heap is what a data directory has of everything that can be over, and of what must stay.
type heap struct {
	done, open       string // stay, if they are young enough
	half, part, film string // are over when their lifetime is
	bytes            int64  // of the three
	orphan, young    string // files without records, one of them old
	foreign          string // like the orphan, but of a name that is not ours
	gone, torn       string // what crashes leave
}

// pile makes a heap on a running server.
func pile(t *testing.T, s *server) (h heap) {
	t.Helper()
	const kib = 1 << 10
	film := content{size: 100 * kib, head: movie}
	h.done = s.upload(t, "/files/", film)
	h.half = s.create(t, "/files/", film.size)
	s.send(t, h.half, film, 0, 60*kib)
	h.part = s.create(t, "/files/", film.size, "Upload-Concat: partial")
	s.send(t, h.part, film, 0, film.size)
	h.film = s.create(t, "/videos/", film.size)
	s.send(t, h.film, film, 0, 50*kib)
	h.bytes = (60 + 100 + 50) * kib
	h.open = s.create(t, "/avatars/", 10)

	const day = 24 * time.Hour
	h.orphan = s.plant(t, "file", strings.Repeat("ab", 16), 7*kib, 2*day)
	h.young = s.plant(t, "file", strings.Repeat("cd", 16), 7*kib, day/2)
	h.foreign = s.plant(t, "file", strings.Repeat("AB", 16), 7*kib, 2*day)
	h.gone = s.plant(t, "file", strings.Repeat("ef", 16)+".gone", 300, 0)
	h.torn = s.plant(t, "video", "01/"+strings.Repeat("01", 16)+".info.tmp", 500, 0)
	return h
}

// plant puts a file of that size and age into a profile's directory, and returns its name.
func (s *server) plant(t *testing.T, profile, name string, size int, age time.Duration) string {
	t.Helper()
	name = filepath.Join(s.data, profile, name)
	then := time.Now().Add(-age)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, then, then); err != nil {
		t.Fatal(err)
	}
	return name
}

// nobodys is what gc tells of h whatever the lifetimes are.
func (h heap) nobodys() []string {
	gone, torn := strings.TrimSuffix(h.gone, ".gone"), strings.TrimSuffix(h.torn, ".info.tmp")
	return []string{"file orphan " + h.orphan, "file leftover " + gone, "video leftover " + torn}
}

// over is what gc tells of h when the lifetime of everything at /files/ and /videos/ is over.
func (h heap) over() []string {
	return append(h.nobodys(), "file unfinished "+h.half, "file part "+h.part, "video unfinished "+h.film)
}

// checkLeft sees what is there of h after everything that is over was removed.
func (h heap) checkLeft(t *testing.T, s *server) {
	t.Helper()
	for _, name := range []string{h.orphan, h.gone, h.torn} {
		if _, err := os.Stat(name); err == nil {
			t.Errorf("%s is there still", filepath.Base(name))
		}
	}
	for _, name := range []string{h.young, h.foreign} {
		if _, err := os.Stat(name); err != nil {
			t.Errorf("%s should be there: %v", filepath.Base(name), err)
		}
	}
	for _, location := range []string{h.half, h.part, h.film} {
		s.checkExpired(t, location)
	}
	s.checkContent(t, h.done, content{size: 100 << 10, head: movie})
	if offset := s.offset(t, h.open); offset != 0 {
		t.Errorf("the open upload has %d bytes", offset)
	}
}

// hasty is the config of who gives no upload at /files/ and /videos/ any time.
func hasty(t *testing.T) string {
	t.Helper()
	return configured(t, profile("file", "lifetime: 1ns"), profile("video", "lifetime: 1ns"))
}

// TestGCOfAStoppedServer cleans up a data directory that no server holds, however the last one ended.
func TestGCOfAStoppedServer(t *testing.T) {
	for _, row := range []struct {
		name string
		end  func(*server)
	}{{"stop", func(s *server) { s.stop(t) }}, {"kill", (*server).kill}} {
		t.Run(row.name, func(t *testing.T) {
			s := start(t)
			h := pile(t, s)
			row.end(s)
			before, bytes := disk(t, s.data), size(t, s.data)
			gc(t, "--dry-run", "--data", s.data).check(t, h.nobodys()...)
			dry := gc(t, "--dry-run", "--data", s.data, hasty(t))
			dry.check(t, h.over()...)
			if diff := cmp.Diff(before, disk(t, s.data)); diff != "" {
				t.Errorf("a dry run has changed the disk (-before +after):\n%s", diff)
			}

			wet := gc(t, "--data", s.data, hasty(t))
			wet.check(t, h.over()...)
			if freed := bytes - size(t, s.data); wet.bytes != dry.bytes || wet.bytes < h.bytes || freed < h.bytes {
				t.Errorf("the dry run says %d bytes, the other %d, and %d were freed; want at least %d",
					dry.bytes, wet.bytes, freed, h.bytes)
			}
			gc(t, "--data", s.data, hasty(t)).check(t)
			s.run(t)
			h.checkLeft(t, s)
		})
	}
}

// TestGCOfARunningServer has the server do it, whose own word on lifetimes counts.
func TestGCOfARunningServer(t *testing.T) {
	t.Parallel() // it waits more than it works
	lifetime := "lifetime: " + short.String()
	s := start(t, configured(t, profile("file", lifetime), profile("video", lifetime)), "--sweep-interval", "0")
	h := pile(t, s)
	slow := s.trickle(t, content{size: 1 << 20, seed: 3})
	began := time.Now()
	await(t, "the lifetime is over", func() bool { slow.step(); return time.Since(began) > short })
	before := disk(t, s.data)

	ask := []string{"--data", s.data, "--private-listen", s.private}
	dry := gc(t, append(ask, "--dry-run")...)
	dry.check(t, h.over()...)
	after := disk(t, s.data)
	for _, files := range []map[string]string{before, after} {
		name := filepath.Join("file", filepath.Base(slow.location)) // into which bytes flow
		delete(files, name)
		delete(files, name+".info")
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("a dry run has changed the disk (-before +after):\n%s", diff)
	}
	if times, _ := s.swept(t); times != 0 {
		t.Errorf("after a dry run the server says that it swept %.0f times", times)
	}

	wet := gc(t, ask...)
	wet.check(t, h.over()...)
	if times, bytes := s.swept(t); wet.bytes != dry.bytes || int(times) != len(wet.lines) || int64(bytes) != wet.bytes {
		t.Errorf("the dry run says %d bytes, the other %d, and the server %.0f things of %.0f bytes",
			dry.bytes, wet.bytes, times, bytes)
	}
	slow.finish(t, s)
	gc(t, ask...).check(t)
	h.checkLeft(t, s)
}

// TestGCOfNothing looks into directories where no server ever was.
func TestGCOfNothing(t *testing.T) {
	for _, args := range [][]string{{}, {"--dry-run"}} {
		data := filepath.Join(t.TempDir(), "data")
		gc(t, append(args, "--data", data)...).check(t)
		if _, err := os.Stat(data); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("gc %v has made the data directory: %v", args, err)
		}
	}
}

// TestGCThatFails cannot do it, and says so: no sum comes, and nothing is removed.
func TestGCThatFails(t *testing.T) {
	s := start(t, "--sweep-interval", "0")
	s.plant(t, "file", strings.Repeat("ab", 16), 100, 48*time.Hour)
	before := disk(t, s.data)
	nobody := newServer(t, t.TempDir())
	nobody.run(t)
	nobody.stop(t) // its ports are free now
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jsonl")
		io.WriteString(w, `{"profile":"file","id":"abc","cause":"orphan","bytes":100}`+"\n") //nolint:errcheck // the client tells
	}))
	defer cut.Close()
	another := start(t)
	for _, row := range []struct {
		name    string
		private string
		stdout  []string
		stderr  string
	}{
		{"nobody listens", nobody.private, nil, "the data directory is in use, and its server does not answer"},
		{"it is no Sluice that listens", strings.TrimPrefix(other.URL, "http://"), nil, "404"},
		{"it is another Sluice that listens", another.private, nil, "another data directory"},
		{"the server does not come to the end", strings.TrimPrefix(cut.URL, "http://"),
			[]string{"file       orphan                100  abc"}, "did not come to the end"},
	} {
		t.Run(row.name, func(t *testing.T) {
			code, stdout, stderr := command(t, "gc", "--data", s.data, "--private-listen", row.private)
			if code != 1 {
				t.Errorf("got exit code %d, want 1", code)
			}
			mention(t, "stdout", stdout, row.stdout)
			mention(t, "stderr", stderr, []string{"sluice: ", row.stderr})
			if strings.Contains(stdout, "removed") {
				t.Errorf("there is a sum: %s", stdout)
			}
			if diff := cmp.Diff(before, disk(t, s.data)); diff != "" {
				t.Errorf("the disk is not as it was (-before +after):\n%s", diff)
			}
		})
	}
	misuse := [][]string{{"gc", "--reserve", "0"}, {"gc", "now"}, {"gc", "--config", "nothing.yaml"}, {"serve", "--dry-run"}}
	for _, args := range misuse {
		if code, _, _ := command(t, args...); code != 2 {
			t.Errorf("%v: got exit code %d, want 2", args, code)
		}
	}
}
