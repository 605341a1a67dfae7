package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// short is a lifetime that a test can see the end of, and long enough for a busy machine to get some requests in.
const short = 3 * time.Second

// profile is a row of the config file: its name and columns such as "lifetime: 1s".
func profile(name string, columns ...string) string {
	return "  - name: " + name + "\n    " + strings.Join(columns, "\n    ") + "\n"
}

// configured writes a config file with these profiles and returns the flag that names it.
func configured(t *testing.T, profiles ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(name, []byte("profiles:\n"+strings.Join(profiles, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	return "--config=" + name
}

// shortLived is the flag of a server whose unfinished uploads live for a short time.
func shortLived(t *testing.T) string {
	t.Helper()
	lifetime := "lifetime: " + short.String()
	return configured(t, profile("file", lifetime), profile("video", lifetime), profile("avatar", lifetime))
}

// expiry is the time that Upload-Expires names in an answer.
func (r reply) expiry(t *testing.T) time.Time {
	t.Helper()
	expires, err := time.Parse(http.TimeFormat, r.header.Get("Upload-Expires"))
	if err != nil {
		t.Fatalf("Upload-Expires: %v", err)
	}
	return expires
}

// awaitExpiry waits until an upload is expired, be it swept or not.
func (s *server) awaitExpiry(t *testing.T, location string) {
	t.Helper()
	await(t, location+" is expired", func() bool { return s.standing(t, location).State == "expired" })
}

// checkExpired asks in every way for an upload whose time is over.
func (s *server) checkExpired(t *testing.T, location string) {
	t.Helper()
	if r := s.do(t, "HEAD", location, protocol); r.status != http.StatusGone || r.header.Get("Upload-Offset") != "" {
		t.Errorf("HEAD: got %d, Upload-Offset %q, want 410 without", r.status, r.header.Get("Upload-Offset"))
	}
	got := map[string]reply{
		"PATCH": s.patch(t, location, 5, strings.NewReader("world"), 5),
		"GET":   s.do(t, "GET", location),
	}
	for method, r := range got {
		if r.status != http.StatusGone || r.problem().Code != "expired" {
			t.Errorf("%s: got %d %s, want 410 expired", method, r.status, r.body)
		}
	}
	if found := s.standing(t, location); found.State != "expired" {
		t.Errorf("its status says %q, want expired", found.State)
	}
}

// swept is how often, and of how many bytes, the server says that it swept.
func (s *server) swept(t *testing.T) (times, bytes float64) {
	t.Helper()
	if r := s.operator(t, "/metrics"); !strings.Contains(string(r.body), "sluice_swept_total{") {
		return 0, 0
	}
	return s.metric(t, "sluice_swept_total"), s.metric(t, "sluice_swept_bytes_total")
}

// size is how many bytes the files below dir hold.
func size(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			var info fs.FileInfo
			if info, err = entry.Info(); err == nil {
				bytes += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed in this moment
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// TestSweepFreesExpired has a server sweep all the time. What expires goes, but for a record that says so; what is being
// sent, for longer than its lifetime, and what is finished, is left alone.
func TestSweepFreesExpired(t *testing.T) {
	t.Parallel() // it waits more than it works
	s := start(t, shortLived(t), "--sweep-interval", "50ms")
	const half, whole = 8 << 20, 16 << 20
	done, left := content{size: half, seed: 1, head: movie}, content{size: whole, seed: 2, head: movie}
	kept := s.upload(t, "/videos/", done)
	abandoned := s.create(t, "/videos/", left.size)
	s.send(t, abandoned, left, 0, half)
	slow := s.trickle(t, content{size: 1 << 20, seed: 3})

	began := time.Now()
	await(t, "two lifetimes have passed", func() bool { slow.step(); return time.Since(began) > 2*short })
	await(t, "the bytes of the abandoned one are gone", func() bool { slow.step(); return size(t, s.data) < half+half/2 })
	await(t, "the server tells", func() bool { slow.step(); times, bytes := s.swept(t); return times == 1 && bytes >= half })
	slow.finish(t, s)
	s.checkContent(t, kept, done)
	s.checkExpired(t, abandoned)
	if times, _ := s.swept(t); times != 1 {
		t.Errorf("swept %.0f times, want once", times)
	}
}

// trickling is a client that sends one byte at a time in one long PATCH.
type trickling struct {
	file     content
	location string
	line     *line
	sent     int64
}

func (s *server) trickle(t *testing.T, file content) *trickling {
	t.Helper()
	slow := &trickling{file: file, location: s.create(t, "/files/", file.size), line: s.dial(t)}
	slow.line.begin(slow.location, 0, file.size, nil)
	return slow
}

func (slow *trickling) step() {
	slow.line.write(slow.file.bytes(slow.sent, slow.sent+1))
	slow.sent++
}

// finish sends the rest.
func (slow *trickling) finish(t *testing.T, s *server) {
	t.Helper()
	slow.line.write(slow.file.bytes(slow.sent, slow.file.size))
	if answer, err := slow.line.answer("PATCH"); err != nil || answer.status != http.StatusNoContent {
		t.Errorf("the slow client got %d %s %v, want 204", answer.status, answer.body, err)
	}
	s.checkContent(t, slow.location, slow.file)
}

// TestFinishedGoAfterTheirRetention keeps finished uploads for a short time, in both lanes.
func TestFinishedGoAfterTheirRetention(t *testing.T) {
	t.Parallel() // it waits more than it works
	retention := "retention: " + short.String()
	s := start(t, configured(t, profile("file", retention), profile("avatar", retention)), "--sweep-interval", "50ms")
	before := size(t, s.data)
	picture := gradient(t, 640, 480)
	avatar := s.create(t, "/avatars/", int64(len(picture)))
	s.patch(t, avatar, 0, bytes.NewReader(picture), int64(len(picture)))
	file := s.upload(t, "/files/", content{size: 1 << 20})
	variants := s.standing(t, avatar).Variants
	if len(variants) != 3 {
		t.Fatalf("%d variants, want 3", len(variants))
	}

	await(t, "both are swept", func() bool { times, _ := s.swept(t); return times == 2 })
	for _, location := range []string{file, avatar} {
		s.checkExpired(t, location)
	}
	for _, v := range variants {
		if r := s.do(t, "GET", v.URL); r.status != http.StatusGone || r.problem().Code != "expired" {
			t.Errorf("variant %s: got %d %s, want 410 expired", v.Name, r.status, r.body)
		}
	}
	const records = 4 << 10 // for two, and more than they need
	if after := size(t, s.data); after > before+records {
		t.Errorf("%d bytes stay, %d before", after, before)
	}
}

// TestExpiryIsKeptOverRestarts stops and kills servers: none gives an upload more time, or takes it for alive.
func TestExpiryIsKeptOverRestarts(t *testing.T) {
	for _, row := range []struct {
		name string
		end  func(*server)
	}{{"stop", func(s *server) { s.stop(t) }}, {"kill", (*server).kill}} {
		t.Run(row.name, func(t *testing.T) {
			s := start(t)
			file := content{size: 10}
			location := s.create(t, "/files/", file.size)
			told := s.send(t, location, file, 0, 5).expiry(t)
			row.end(s)
			s.backdate(t, location, time.Hour)
			s.run(t)
			if now := s.do(t, "HEAD", location, protocol).expiry(t); told.Sub(now).Round(time.Minute) != time.Hour {
				t.Errorf("it expires at %v, for bytes that are an hour older than those that expire at %v", now, told)
			}
			row.end(s)
			s.backdate(t, location, 8*24*time.Hour)
			s.run(t)
			s.checkExpired(t, location)
		})
	}
}

// backdate makes an upload of a stopped server, in a flat directory, that much older than now: its bytes and what is noted of it.
func (s *server) backdate(t *testing.T, location string, age time.Duration) {
	t.Helper()
	then := time.Now().Add(-age)
	s.forgetJournal(t)
	data := s.stored(t, location)
	if err := os.Chtimes(data, then, then); err != nil {
		t.Fatal(err)
	}
	err := alter(data+".info", func(record map[string]any) {
		record["Sluice"].(map[string]any)["changed"] = then.UTC().Format(time.RFC3339Nano)
	})
	if err != nil {
		t.Fatal(err)
	}
	err = alter(filepath.Join(filepath.Dir(data), ".sluice", "mark.json"), func(mark map[string]any) {
		mark["since"] = then.UTC().Format(time.RFC3339) // the server has known the directory for that long
	})
	if err != nil {
		t.Fatal(err)
	}
}

// stored is the file that holds the bytes of an upload.
func (s *server) stored(t *testing.T, location string) (found string) {
	t.Helper()
	err := filepath.WalkDir(s.data, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == filepath.Base(location)+".info" {
			found = strings.TrimSuffix(path, ".info")
		}
		return err
	})
	if err != nil || found == "" {
		t.Fatalf("no record of %s: %v", location, err)
	}
	return found
}

// alter changes a record on disk.
func alter(name string, change func(record map[string]any)) error {
	raw, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var record map[string]any
	if err := json.Unmarshal(raw, &record); err != nil {
		return err
	}
	change(record)
	if raw, err = json.Marshal(record); err != nil {
		return err
	}
	return os.WriteFile(name, raw, 0o600)
}
