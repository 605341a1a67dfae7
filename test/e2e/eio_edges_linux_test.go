package e2e

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDiskFailsAtCreation has a disk fail in each step of making an upload. Nothing is left of it, and other profiles are
// not touched.
func TestDiskFailsAtCreation(t *testing.T) {
	s, d := startFailing(t)
	face := picture(t, 50, 50)
	for _, row := range []struct {
		name string
		at   where
		what deed
	}{
		{"create", holding("file/"), creating},
		{"write", holding("file/"), writing},
		{"sync", holding("file/"), syncing},
		{"close", holding("file/"), closing},
		{"rename", holding("file/"), renaming},
		{"sync of the directory", exactly("file"), syncing},
		{"free space", exactly("file"), counting},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := disk(t, d.kept)
			d.fail(row.at, row.what)
			r := s.do(t, "POST", "/files/", protocol, "Upload-Length: 100")
			d.checkFault(t, s, "POST", r)
			if r.header.Get("Location") != "" {
				t.Errorf("an upload that was not made has the address %s", r.header.Get("Location"))
			}
			if diff := cmp.Diff(before, disk(t, d.kept)); diff != "" {
				t.Errorf("the disk is not as it was (-before +after):\n%s", diff)
			}
			s.complete(t, s.create(t, "/avatars/", face.size), face)
			d.heal(t)
			s.complete(t, s.create(t, "/files/", 100), content{size: 100})
		})
	}
}

// TestDiskFailsAfterTheLastByte has a disk fail when all bytes are stored and only the record is left to be written. The
// upload is not lost, and is ready as soon as somebody asks on a good disk.
func TestDiskFailsAfterTheLastByte(t *testing.T) {
	s, d := startFailing(t)
	for _, of := range samples(t, 100_000) {
		for _, what := range []deed{creating, writing, syncing, closing, renaming} {
			t.Run(of.path+" "+string(what), func(t *testing.T) {
				location := s.create(t, of.path, of.file.size)
				d.fail(ofRecord(location), what)
				d.checkLastStep(t, s, location, of.file, 0)
			})
		}
		t.Run(of.path+" sync of the directory", func(t *testing.T) {
			location := s.create(t, of.path, of.file.size)
			s.send(t, location, of.file, 0, 1) // and so the name of its file is synced
			d.fail(exactly(filepath.Dir(d.place(t, location))), syncing)
			d.checkLastStep(t, s, location, of.file, 1)
		})
	}
}

// checkLastStep sends the rest of an upload whose record cannot be changed, and then heals the disk.
func (d *failingDisk) checkLastStep(t *testing.T, s *server, location string, file content, from int64) {
	t.Helper()
	d.checkFault(t, s, "PATCH", s.patch(t, location, from, file.part(from, file.size), file.size-from))
	d.insist(t, s, location, file)
	if r := s.do(t, "GET", location); r.status < 400 {
		t.Errorf("GET of what is not ready: got %d", r.status)
	}
	d.heal(t)
	s.checkSettled(t, location, file)
}

// TestDiskFailsAtDeletion has a disk fail in either step of removing an upload.
func TestDiskFailsAtDeletion(t *testing.T) {
	s, d := startFailing(t)
	file := content{size: 1000}
	t.Run("rename", func(t *testing.T) { // is the one that decides
		location := s.upload(t, "/files/", file)
		d.fail(ofUpload(location), renaming)
		d.checkFault(t, s, "DELETE", s.do(t, "DELETE", location, protocol))
		s.checkReady(t, location, file)
		d.heal(t)
		if r := s.do(t, "DELETE", location, protocol); r.status != http.StatusNoContent {
			t.Errorf("DELETE on a good disk: got %d %s, want 204", r.status, r.body)
		}
	})
	t.Run("remove", func(t *testing.T) {
		location := s.upload(t, "/files/", file)
		d.fail(ofUpload(location), removing)
		d.checkFault(t, s, "DELETE", s.do(t, "DELETE", location, protocol))
		if r := s.do(t, "HEAD", location, protocol); r.status != http.StatusNotFound {
			t.Errorf("HEAD of what was deleted: got %d, want 404", r.status)
		}
		d.heal(t)
		s.stop(t)
		s.run(t)
		for name := range disk(t, d.kept) {
			if strings.Contains(name, filepath.Base(location)) {
				t.Errorf("%s is left after a restart", name)
			}
		}
	})
}

// TestDiskFailsUnderReaders has a file become unreadable. Nobody gets anything that looks whole and is not.
func TestDiskFailsUnderReaders(t *testing.T) {
	s, d := startFailing(t)
	file, other := content{size: 4 << 20, seed: 1}, content{size: 1 << 20, seed: 2}
	location, readable := s.upload(t, "/files/", file), s.upload(t, "/files/", other)
	for _, what := range []deed{reading, opening} {
		t.Run(string(what), func(t *testing.T) {
			d.fail(ofUpload(location), what)
			if r, whole := s.try(t, s.request(t, "GET", location, nil, 0)); whole {
				d.checkFault(t, s, "GET", r)
			}
			s.checkContent(t, readable, other)
			d.heal(t)
			s.checkContent(t, location, file)
		})
	}
}

// TestDiskFailsUnderAPicture has a picture not be readable, or its variants not be writable, when it is processed. Its
// client waits, and is told the verdict once the disk is good again.
func TestDiskFailsUnderAPicture(t *testing.T) {
	face := picture(t, 120, 80)
	for _, row := range []struct {
		name string
		what deed
		of   string // what follows the id in the file's name
	}{
		{"read", reading, ""},
		{"create a variant", creating, ".256"},
		{"write a variant", writing, ".256"},
		{"sync a variant", syncing, ".256"},
		{"rename a variant", renaming, ".256"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel() // each waits for its second try
			s, d := startFailing(t)
			location := s.create(t, "/avatars/", face.size)
			l := s.dial(t)
			d.fail(holding(filepath.Base(location)+row.of), row.what)
			l.begin(location, 0, face.size, face.head)
			await(t, "the disk fails", func() bool { return d.failures() > 0 })
			if found := s.standing(t, location); found.State != "received" || found.Variants != nil {
				t.Errorf("the upload is %s with %d variants, want received with none", found.State, len(found.Variants))
			}
			d.heal(t)
			answer, err := l.answer("PATCH")
			if err != nil || answer.status != http.StatusNoContent || answer.header.Get("Sluice-State") != "ready" {
				t.Errorf("got %d %s %s %v, want 204 ready", answer.status, answer.header.Get("Sluice-State"), answer.body, err)
			}
			s.checkSettled(t, location, face)
		})
	}
}
