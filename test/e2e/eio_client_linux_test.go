package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// startFailing runs a server whose data directory is on a disk that can fail.
func startFailing(t *testing.T, flags ...string) (*server, *failingDisk) {
	t.Helper()
	d := newFailingDisk(t)
	s := newServer(t, d.dir, flags...)
	s.expect = []string{"input/output error", "a sync failed"}
	s.run(t)
	return s, d
}

// place is where an upload's bytes are, below the disk.
func (d *failingDisk) place(t *testing.T, location string) (found string) {
	t.Helper()
	err := filepath.WalkDir(d.kept, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == filepath.Base(location)+".info" { // the bytes come later
			found, err = filepath.Rel(d.kept, strings.TrimSuffix(path, ".info"))
		}
		return err
	})
	if err != nil || found == "" {
		t.Fatalf("%s is not on the disk; %v", location, err)
	}
	return found
}

// checkKept compares what is stored below an offset with what was sent.
func (d *failingDisk) checkKept(t *testing.T, location string, file content, offset int64) {
	t.Helper()
	stored, err := os.ReadFile(filepath.Join(d.kept, d.place(t, location)))
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(stored)) < offset {
		t.Fatalf("%d bytes were acknowledged, %d are stored", offset, len(stored))
	}
	want := file.bytes(0, offset)
	for i := range want {
		if stored[i] != want[i] {
			t.Fatalf("%d bytes were acknowledged, what is stored is wrong from %d on", offset, i)
		}
	}
}

// try makes a request of a server that may drop the connection.
func (s *server) try(t *testing.T, req *http.Request) (r reply, answered bool) {
	t.Helper()
	resp, err := s.http.Do(req)
	if err != nil {
		return reply{}, false
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(resp.Body)
	return reply{resp.StatusCode, resp.Header, body.Bytes(), resp.Close}, err == nil
}

// told asks for an upload's offset while its disk fails. An offset must be true; where there is none, nothing may be said
// that a client takes for the end of the upload: see ARCHITECTURE.md, "HEAD never says gone by accident".
func (d *failingDisk) told(t *testing.T, s *server, location string, file content) (offset int64, ok bool) {
	t.Helper()
	r, answered := s.try(t, s.request(t, "HEAD", location, nil, 0, protocol))
	switch {
	case !answered, r.status == http.StatusLocked, r.status == http.StatusServiceUnavailable:
		return 0, false
	case r.status != http.StatusOK:
		t.Errorf("HEAD while the disk fails: got %d", r.status)
		return 0, false
	}
	offset, err := strconv.ParseInt(r.header.Get("Upload-Offset"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	d.checkKept(t, location, file, offset)
	return offset, true
}

// insist is a client that tries again while the disk still fails.
func (d *failingDisk) insist(t *testing.T, s *server, location string, file content) {
	t.Helper()
	for range 2 {
		offset, ok := d.told(t, s, location, file)
		if !ok || offset == file.size {
			continue
		}
		upTo := min(offset+100_000, file.size)
		header := []string{protocol, chunkType, "Upload-Offset: " + strconv.FormatInt(offset, 10)}
		r, answered := s.try(t, s.request(t, "PATCH", location, file.part(offset, upTo), upTo-offset, header...))
		if answered {
			d.checkFault(t, s, "PATCH again", r)
		}
	}
}

// checkFault looks at the answer to a request that met the fault: an error in our words, about which a client can do nothing
// but try again, and from which it learns nothing about the machine.
func (d *failingDisk) checkFault(t *testing.T, s *server, what string, r reply) {
	t.Helper()
	if r.status < 500 || r.problem().Code == "" {
		t.Errorf("%s: got %d %s, want a problem of 500 or more", what, r.status, r.body)
	}
	checkDiscreet(t, s, r)
	text := fmt.Sprint(r.header) + string(r.body)
	for _, word := range []string{"input/output", d.kept} {
		if strings.Contains(text, word) {
			t.Errorf("%s: the answer holds %q: %s", what, word, text)
		}
	}
}
