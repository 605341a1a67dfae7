package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tus/tusd/v2/pkg/filelocker"
	"github.com/tus/tusd/v2/pkg/filestore"
	"github.com/tus/tusd/v2/pkg/handler"
	expslog "golang.org/x/exp/slog"
)

// tusd is the real handler with its file store and file locker, as people run it.
type tusd struct {
	*server // its client
	http    *httptest.Server
	nextID  string // for the next upload; "" lets tusd choose
}

// startTusd serves dir until the test, or close, ends it.
func startTusd(t *testing.T, dir string) *tusd {
	t.Helper()
	composer := handler.NewStoreComposer()
	filestore.New(dir).UseIn(composer)
	filelocker.New(dir).UseIn(composer)
	d := &tusd{}
	h, err := handler.NewHandler(handler.Config{
		StoreComposer: composer, BasePath: "/files/", GracefulRequestCompletionTimeout: time.Millisecond,
		Logger: expslog.New(expslog.NewTextHandler(io.Discard, nil)),
		PreUploadCreateCallback: func(handler.HookEvent) (handler.HTTPResponse, handler.FileInfoChanges, error) {
			return handler.HTTPResponse{}, handler.FileInfoChanges{ID: d.nextID}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.http = httptest.NewServer(http.StripPrefix("/files/", h))
	t.Cleanup(d.http.Close)
	d.server = newServer(t, "")
	d.public = strings.TrimPrefix(d.http.URL, "http://")
	return d
}

// make creates an upload and sends its first n bytes. It returns the path, without tusd's host.
func (d *tusd) make(t *testing.T, file content, n int64, header ...string) string {
	t.Helper()
	length := file.size
	if n < 0 {
		length, n = deferred, -n
	}
	location := d.create(t, "/files/", length, header...)
	location = strings.TrimPrefix(location, d.http.URL)
	d.send(t, location, file, 0, n)
	return location
}

// startOn starts Sluice with dir as the directory of the profile file, and its own data elsewhere.
func startOn(t *testing.T, dir string) *server {
	t.Helper()
	return start(t, "--config", settingsFor(t, dir))
}

func settingsFor(t *testing.T, dir string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(name, fmt.Appendf(nil, "profiles:\n  - name: file\n    dir: %s\n", dir), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestTusdAndBack takes the directory of a tusd server over, in place, and hands it back.
func TestTusdAndBack(t *testing.T) {
	dir := t.TempDir()
	old := startTusd(t, dir)
	whole, half := content{size: 300_000, seed: 1}, content{size: 300_000, seed: 2}
	name := "Upload-Metadata: filename aG9saWRheS5tcDQ=,empty"
	finished := old.make(t, whole, whole.size, name)
	unfinished := old.make(t, half, 123_456, name)
	later := old.make(t, half, -100_000)
	one, two := old.make(t, whole, whole.size, "Upload-Concat: partial"), old.make(t, half, half.size, "Upload-Concat: partial")
	open := old.make(t, half, 1000, "Upload-Concat: partial")
	r := old.do(t, "POST", "/files/", protocol, "Upload-Concat: final;"+one+" "+two)
	if r.status != http.StatusCreated {
		t.Fatalf("tusd's final: got %d %s", r.status, r.body)
	}
	final := strings.TrimPrefix(r.header.Get("Location"), old.http.URL)
	old.nextID = "an.id+of,its:own"
	if r := old.do(t, "POST", "/files/", protocol, "Upload-Length: 5"); r.status != http.StatusCreated {
		t.Fatalf("tusd's odd id: got %d %s", r.status, r.body)
	}
	old.nextID = ""
	old.http.Close()

	s := startOn(t, dir)
	await(t, "what is complete is ready", func() bool {
		return s.standing(t, finished).State == "ready" && s.standing(t, final).State == "ready"
	})
	s.checkContent(t, finished, whole)
	joined := s.do(t, "GET", final)
	if want := string(whole.bytes(0, whole.size)) + string(half.bytes(0, half.size)); string(joined.body) != want {
		t.Errorf("the final has %d bytes that are not its parts'", len(joined.body))
	}
	if r := s.do(t, "HEAD", unfinished, protocol); r.header.Get("Upload-Metadata") != "empty,filename aG9saWRheS5tcDQ=" {
		t.Errorf("metadata: %q", r.header.Get("Upload-Metadata"))
	}
	s.send(t, unfinished, half, 123_456, half.size)
	s.checkContent(t, unfinished, half)
	if got := s.offset(t, later); got != 100_000 {
		t.Errorf("the upload of unknown length is at %d, want 100000", got)
	}
	s.send(t, open, half, 1000, half.size)
	r = s.do(t, "POST", "/files/", protocol, "Upload-Concat: final;"+open+" "+one)
	if r.status != http.StatusCreated {
		t.Fatalf("a final of tusd's parts: got %d %s", r.status, r.body)
	}
	ours := r.header.Get("Location")
	await(t, "it is ready", func() bool { return s.standing(t, ours).State == "ready" })
	if r := s.do(t, "HEAD", "/files/an.id+of,its:own", protocol); r.status != http.StatusNotFound {
		t.Errorf("an id that is none of ours: got %d, want 404", r.status)
	}
	if _, err := os.Stat(filepath.Join(dir, "an.id+of,its:own")); err != nil {
		t.Errorf("what is not ours was touched: %v", err)
	}
	begun := s.create(t, "/files/", half.size, name)
	s.send(t, begun, half, 0, 7000)
	s.stop(t)

	back := startTusd(t, dir)
	back.checkContent(t, finished, whole)
	back.checkContent(t, unfinished, half)
	back.send(t, begun, half, 7000, half.size)
	back.checkContent(t, begun, half)
	if got := back.offset(t, later); got != 100_000 {
		t.Errorf("back in tusd the upload of unknown length is at %d, want 100000", got)
	}
	if got := back.do(t, "GET", ours); string(got.body) != string(half.bytes(0, half.size))+string(whole.bytes(0, whole.size)) {
		t.Errorf("back in tusd our final has %d bytes that are not its parts'", len(got.body))
	}
}

// A directory that a living tusd uses, with an upload locked, is not taken over.
func TestTusdThatLivesIsNotTakenOver(t *testing.T) {
	dir := t.TempDir()
	old := startTusd(t, dir)
	file := content{size: 100_000}
	location := old.make(t, file, 1000)
	busy := old.dial(t)
	busy.begin(location, 1000, file.size-1000, file.bytes(1000, 2000))
	await(t, "tusd holds the upload", func() bool {
		locks, err := filepath.Glob(filepath.Join(dir, "*.lock"))
		return err == nil && len(locks) == 1
	})
	code, _, stderr := command(t, "--listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0", "--data", t.TempDir(),
		"--config", settingsFor(t, dir))
	if code != 1 || !strings.Contains(stderr, "tusd") {
		t.Errorf("got %d %s, want 1 and a word of tusd", code, stderr)
	}
}
