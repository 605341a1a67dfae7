package e2e

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// smallDisk mounts a file system of that many bytes until the test ends.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		without(t, "a small disk needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// startFull runs a server whose disk has 16 MiB, of which fill takes what it is told to until it is freed.
func startFull(t *testing.T, durability string) *server {
	t.Helper()
	s := newServer(t, smallDisk(t, "16m"), "--reserve", "0", "--durability", durability)
	s.run(t)
	return s
}

// fill takes space from the disk, and returns how to free it.
func (s *server) fill(t *testing.T, bytes int) (free func()) {
	t.Helper()
	name := filepath.Join(s.data, "filler")
	if err := os.WriteFile(name, make([]byte, bytes), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullDiskRefusesAtCreation has an upload announce more than fits.
func TestFullDiskRefusesAtCreation(t *testing.T) {
	s := startFull(t, "always")
	before := disk(t, s.data)
	for _, path := range []string{"/files/", "/videos/"} {
		r := s.do(t, "POST", path, protocol, "Upload-Length: 33554432")
		if r.status != http.StatusInsufficientStorage || r.problem().Code != "insufficient_storage" {
			t.Errorf("POST %s: got %d %s, want 507 insufficient_storage", path, r.status, r.body)
		}
		if r.header.Get("Location") != "" {
			t.Errorf("POST %s: a refused upload has the address %s", path, r.header.Get("Location"))
		}
	}
	if diff := cmp.Diff(before, disk(t, s.data)); diff != "" {
		t.Errorf("the disk is not as it was (-before +after):\n%s", diff)
	}
}

// TestFullDiskKeepsWhatFits fills the disk by an upload whose length nobody knew, and frees some of it again.
func TestFullDiskKeepsWhatFits(t *testing.T) {
	for _, durability := range durabilities {
		t.Run(durability, func(t *testing.T) {
			s := startFull(t, durability)
			other := content{size: 1 << 20, seed: 9}
			readable := s.upload(t, "/files/", other)
			free := s.fill(t, 8<<20)
			if r := s.operator(t, "/readyz"); r.status != http.StatusOK {
				t.Errorf("readyz with room left: got %d %s", r.status, r.body)
			}

			file := content{size: 10 << 20}
			location := s.create(t, "/files/", deferred)
			kept := s.overflow(t, location, file)
			s.checkFull(t, readable, other)

			free()
			if r := s.operator(t, "/readyz"); r.status != http.StatusOK {
				t.Errorf("readyz with room again: got %d %s", r.status, r.body)
			}
			r := s.patch(t, location, kept, file.part(kept, file.size), file.size-kept, "Upload-Length: 10485760")
			if r.status != http.StatusNoContent {
				t.Fatalf("PATCH with room again: got %d %s, want 204", r.status, r.body)
			}
			s.checkContent(t, location, file)
		})
	}
}

// overflow sends more than fits and returns what the server says it kept.
func (s *server) overflow(t *testing.T, location string, file content) int64 {
	t.Helper()
	r := s.patch(t, location, 0, file.part(0, file.size), file.size)
	if r.status != http.StatusInsufficientStorage || r.problem().Code != "insufficient_storage" {
		t.Errorf("PATCH of more than fits: got %d %s, want 507 insufficient_storage", r.status, r.body)
	}
	kept := s.offset(t, location)
	t.Logf("%d bytes kept of %d", kept, file.size)
	if kept == 0 || kept >= file.size {
		t.Errorf("%d bytes kept of %d, want those that fitted", kept, file.size)
	}
	return kept
}

// checkFull sees what a server with a full disk still does, and says.
func (s *server) checkFull(t *testing.T, readable string, file content) {
	t.Helper()
	s.checkContent(t, readable, file)
	if r := s.operator(t, "/readyz"); r.status != http.StatusServiceUnavailable || !strings.Contains(string(r.body), "file") {
		t.Errorf("readyz with a full disk: got %d %s, want 503 that names the store", r.status, r.body)
	}
	if r := s.operator(t, "/healthz"); r.status != http.StatusOK {
		t.Errorf("healthz with a full disk: got %d %s: a restart would not help", r.status, r.body)
	}
	r := s.do(t, "POST", "/files/", protocol, "Upload-Length: 5")
	if r.status != http.StatusInsufficientStorage {
		t.Errorf("POST with a full disk: got %d %s, want 507", r.status, r.body)
	}
}

// TestFullDiskIsPromisedOnce has two uploads announced that do not fit together: the second is refused at once, whatever its
// profile, also by a server that finds the first on its disk. The first has its room to the end.
func TestFullDiskIsPromisedOnce(t *testing.T) {
	s := startFull(t, "always")
	file := content{size: 12 << 20}
	first := s.create(t, "/files/", file.size)
	s.send(t, first, file, 0, 1<<20)
	s.checkNoRoom(t, file.size)

	s.kill()
	s.run(t)
	await(t, "the server has looked through its uploads", func() bool {
		return s.metric(t, "sluice_store_promised_bytes") == 11<<20
	})
	s.checkNoRoom(t, file.size)
	small := s.create(t, "/videos/", 1<<20) // beside the first there is room for that
	if r := s.do(t, "DELETE", small, protocol); r.status != http.StatusNoContent {
		t.Errorf("DELETE: got %d %s, want 204", r.status, r.body)
	}
	s.send(t, first, file, 1<<20, file.size)
	s.checkContent(t, first, file)
	if promised := s.metric(t, "sluice_store_promised_bytes"); promised != 0 {
		t.Errorf("%.0f bytes are promised when nothing is unfinished", promised)
	}
	s.checkNoRoom(t, file.size)
	s.do(t, "DELETE", first, protocol)
	s.create(t, "/files/", file.size)
}

// checkNoRoom has an upload of that length refused before it begins.
func (s *server) checkNoRoom(t *testing.T, length int64) {
	t.Helper()
	for _, path := range []string{"/files/", "/videos/"} {
		r := s.do(t, "POST", path, protocol, "Upload-Length: "+strconv.FormatInt(length, 10))
		if r.status != http.StatusInsufficientStorage || r.problem().Code != "insufficient_storage" {
			t.Errorf("POST %s: got %d %s, want 507 insufficient_storage", path, r.status, r.body)
		}
		if r.header.Get("Location") != "" {
			t.Errorf("POST %s: a refused upload has the address %s", path, r.header.Get("Location"))
		}
	}
}

// TestFullDiskByManyAtOnce has two uploads whose length nobody knew run into the end of the disk, each of which alone would
// fit. Deleting one lets the other go on, also after a restart on the full disk.
func TestFullDiskByManyAtOnce(t *testing.T) {
	s := startFull(t, "always")
	files := []content{{size: 12 << 20, seed: 1}, {size: 12 << 20, seed: 2}}
	locations := make([]string, len(files))
	for i := range files {
		locations[i] = s.create(t, "/files/", deferred)
	}
	answers := make([]reply, len(files))
	var work sync.WaitGroup
	for i, file := range files {
		work.Go(func() { answers[i] = s.patch(t, locations[i], 0, file.part(0, file.size), file.size) })
	}
	work.Wait()

	loser := 1
	if answers[0].status == http.StatusInsufficientStorage {
		loser = 0
	}
	if answers[loser].status != http.StatusInsufficientStorage {
		t.Fatalf("got %d and %d, want one 507", answers[0].status, answers[1].status)
	}
	s.stop(t)
	s.run(t)
	kept, file := s.offset(t, locations[loser]), files[loser]
	if r := s.do(t, "DELETE", locations[1-loser], protocol); r.status != http.StatusNoContent {
		t.Fatalf("DELETE on a full disk: got %d %s, want 204", r.status, r.body)
	}
	r := s.patch(t, locations[loser], kept, file.part(kept, file.size), file.size-kept, "Upload-Length: 12582912")
	if r.status != http.StatusNoContent {
		t.Fatalf("PATCH with room again: got %d %s, want 204", r.status, r.body)
	}
	s.checkContent(t, locations[loser], file)
}

// TestFullDiskLetsAFinalWait has the parts of an upload fit and the whole beside them not: refused at once where that can be
// told, else put together when there is room.
func TestFullDiskLetsAFinalWait(t *testing.T) {
	s := startFull(t, "always")
	file, half := content{size: 6 << 20}, int64(3<<20)
	free := s.fill(t, 5<<20)
	done := s.create(t, "/files/", half, "Upload-Concat: partial")
	s.send(t, done, file, 0, half)
	late := s.create(t, "/files/", deferred, "Upload-Concat: partial")
	before := disk(t, s.data)
	r := s.do(t, "POST", "/files/", protocol, "Upload-Concat: final;"+strings.Repeat(done+" ", 3))
	if r.status != http.StatusInsufficientStorage || r.header.Get("Location") != "" {
		t.Errorf("POST of a final that does not fit: got %d %s, want 507", r.status, r.body)
	}
	if diff := cmp.Diff(before, disk(t, s.data)); diff != "" {
		t.Errorf("the disk is not as it was (-before +after):\n%s", diff)
	}

	whole := s.final(t, "/files/", done, late)
	r = s.patch(t, late, 0, file.part(half, file.size), half, "Upload-Length: 3145728")
	if r.status != http.StatusNoContent {
		t.Fatalf("PATCH of the last part: got %d %s, want 204", r.status, r.body)
	}
	await(t, "the server has tried", func() bool { return strings.Contains(s.log.String(), "processing failed") })
	if found := s.standing(t, whole); found.State != "receiving" {
		t.Errorf("the final is %s without room, want it to wait", found.State)
	}
	free()
	s.awaitReady(t, whole)
	s.checkContent(t, whole, file)
}

// TestFullDiskAtTheLastByte has the disk end where the upload does: its bytes are there, but nothing is left to write down
// that it is complete. The client is told to come again, and the upload is done once there is room.
func TestFullDiskAtTheLastByte(t *testing.T) {
	s := startFull(t, "always")
	file := content{size: 4 << 20}
	location := s.create(t, "/files/", file.size)
	free := s.fill(t, 4<<20)
	s.exhaust(t, file.size)
	r := s.patch(t, location, 0, file.part(0, file.size), file.size)
	if r.status != http.StatusInsufficientStorage && r.status != http.StatusNoContent {
		t.Errorf("PATCH to the end of the disk: got %d %s, want 507, or 204 if it could be written down", r.status, r.body)
	}
	t.Logf("the last byte on a full disk: got %d, then %+v", r.status, s.standing(t, location))
	free()
	offset := s.offset(t, location)
	r = s.patch(t, location, offset, file.part(offset, file.size), file.size-offset)
	if r.status != http.StatusNoContent {
		t.Errorf("PATCH with room again: got %d %s, want 204", r.status, r.body)
	}
	t.Logf("PATCH from %d with room again: got %d, then %+v", offset, r.status, s.standing(t, location))
	await(t, "the upload is ready", func() bool { return s.standing(t, location).State == "ready" })
	s.checkContent(t, location, file)
}

// exhaust takes all that is free on the server's disk but for so many bytes.
func (s *server) exhaust(t *testing.T, but int64) {
	t.Helper()
	var stat syscall.Statfs_t
	if err := syscall.Statfs(s.data, &stat); err != nil {
		t.Fatal(err)
	}
	left := int64(stat.Bavail)*stat.Bsize - but
	if err := os.WriteFile(filepath.Join(s.data, "exhaust"), bytes.Repeat([]byte{1}, int(left)), 0o600); err != nil {
		t.Fatal(err)
	}
}
