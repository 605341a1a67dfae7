package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// unfinished is an upload in the middle of its second PATCH.
type unfinished struct {
	file     content
	location string
	known    int64 // acknowledged
	sent     int64 // read by the server
	l        *line
}

// begin sends most of an upload, on a line that is not at its end. header are lines for the second PATCH.
func begin(t *testing.T, s *server, seed int64, header ...string) unfinished {
	t.Helper()
	up := unfinished{file: content{size: 3<<20 + 200_000, seed: seed}, known: 1 << 20, sent: 3 << 20}
	up.location = s.create(t, "/files/", up.file.size)
	s.send(t, up.location, up.file, 0, up.known)
	up.l = s.dial(t)
	header = append(header, protocol, chunkType,
		fmt.Sprintf("Upload-Offset: %d", up.known), fmt.Sprintf("Content-Length: %d", up.file.size-up.known))
	up.l.write([]byte(ask("PATCH "+up.location, header...)))
	up.l.write(up.file.bytes(up.known, up.sent))
	up.l.drain(t)
	return up
}

// end sends the rest and reads the answer.
func (up unfinished) end(t *testing.T) reply {
	t.Helper()
	up.l.write(up.file.bytes(up.sent, up.file.size))
	answer, err := up.l.answer("PATCH")
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	return answer
}

// goOn is the upload's client on a disk that is good again. least is how much must still be there.
func (up unfinished) goOn(t *testing.T, s *server, d *failingDisk, least int64) {
	t.Helper()
	offset := s.offset(t, up.location)
	t.Logf("%d bytes of %d are kept", offset, up.file.size)
	if offset < least {
		t.Errorf("%d bytes kept, want at least %d", offset, least)
	}
	d.checkKept(t, up.location, up.file, offset)
	s.complete(t, up.location, up.file)
}

// TestDiskFailsUnderOneUpload has a disk fail in the file of one upload while that is being written. Its client is told so;
// everybody else goes on; and so does it, once the disk is good again, from an offset that is true.
func TestDiskFailsUnderOneUpload(t *testing.T) {
	for _, row := range []struct {
		name       string
		durability string
		deeds      []deed
	}{
		{"write", "always", []deed{writing}},
		{"write, not durable", "none", []deed{writing}},
		{"sync", "always", []deed{syncing}},
		{"sync and truncate", "always", []deed{syncing, cutting}},
		{"close", "always", []deed{closing}},
		{"all that changes it", "always", changes},
		{"all that changes it, not durable", "none", changes},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, d := startFailing(t, "--durability", row.durability)
			film := content{size: 2 << 20, head: movie}
			others := []string{s.create(t, "/files/", film.size), s.create(t, "/videos/", film.size)}
			for _, other := range others {
				s.send(t, other, film, 0, film.size/2)
			}
			up := begin(t, s, 5)

			d.fail(holding(filepath.Base(up.location)), row.deeds...)
			d.checkFault(t, s, "PATCH", up.end(t))
			for _, other := range others {
				s.complete(t, other, film)
			}
			d.insist(t, s, up.location, up.file)

			d.heal(t)
			up.goOn(t, s, d, up.known)
		})
	}
}

// TestDiskFailsToSyncOnce has one sync fail, and no other. What that one lost is lost: the next knows nothing of it.
func TestDiskFailsToSyncOnce(t *testing.T) {
	s, d := startFailing(t)
	up := begin(t, s, 5)
	d.fail(once(ofUpload(up.location)), syncing)
	d.checkFault(t, s, "PATCH", up.end(t))
	d.told(t, s, up.location, up.file)
	d.heal(t)
	up.goOn(t, s, d, up.known)
}

// TestDiskFailsUnderAProfile has all that is written for one profile fail while several of its uploads are under way.
func TestDiskFailsUnderAProfile(t *testing.T) {
	s, d := startFailing(t)
	film := content{size: 2 << 20, head: movie}
	other := s.create(t, "/videos/", film.size)
	s.send(t, other, film, 0, film.size/2)
	ups := make([]unfinished, 5)
	for i := range ups {
		ups[i] = begin(t, s, int64(i))
	}

	d.fail(holding("file"), append([]deed{counting}, changes...)...)
	for _, up := range ups {
		d.checkFault(t, s, "PATCH", up.end(t))
		d.insist(t, s, up.location, up.file)
	}
	s.complete(t, other, film)
	s.complete(t, s.create(t, "/videos/", film.size), film)
	ready := s.operator(t, "/readyz")
	if text := string(ready.body); ready.status != http.StatusServiceUnavailable || !strings.Contains(text, "store video: ok") {
		t.Errorf("readyz: got %d %s, want 503, and that the other profile is well", ready.status, text)
	}

	d.heal(t)
	for _, up := range ups {
		up.goOn(t, s, d, up.known)
	}
	if r := s.operator(t, "/readyz"); r.status != http.StatusOK {
		t.Errorf("readyz on a good disk: got %d %s", r.status, r.body)
	}
}

// TestDiskFailsUnderAChecksum has a disk fail around the verdict on a chunk. What was not found to be right, and written
// down to be, does not count: not on the bad disk, not on the good one, and not after a crash.
func TestDiskFailsUnderAChecksum(t *testing.T) {
	for _, row := range []struct {
		name  string
		at    func(location string) where
		deeds []deed
	}{
		{"sync", ofUpload, []deed{syncing}},
		{"record", ofRecord, []deed{renaming}},
		{"record and truncate", ofUpload, []deed{renaming, cutting}},
		{"all that changes it", ofUpload, changes},
	} {
		for _, crash := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, crash %v", row.name, crash), func(t *testing.T) {
				s, d := startFailing(t)
				file := content{size: 3<<20 + 200_000, seed: 7}
				digest := sha256.Sum256(file.bytes(1<<20, file.size))
				up := begin(t, s, 7, "Upload-Checksum: sha256 "+base64.StdEncoding.EncodeToString(digest[:]))

				d.fail(row.at(up.location), row.deeds...)
				d.checkFault(t, s, "PATCH", up.end(t))
				if offset, ok := d.told(t, s, up.location, up.file); ok && offset != up.known {
					t.Errorf("HEAD told %d, want the %d that count", offset, up.known)
				}
				d.heal(t)
				if crash {
					s.kill()
					s.run(t)
				}
				if offset := s.offset(t, up.location); offset != up.known {
					t.Errorf("on a good disk HEAD told %d, want the %d that count", offset, up.known)
				}
				up.goOn(t, s, d, up.known)
			})
		}
	}
}

// TestDiskIsGoneAndComesBack has the disk fail in everything while a client writes, and try again meanwhile.
func TestDiskIsGoneAndComesBack(t *testing.T) {
	s, d := startFailing(t)
	up := begin(t, s, 5)
	d.fail(ofUpload(up.location), append([]deed{reading, opening, counting}, changes...)...)
	d.checkFault(t, s, "PATCH", up.end(t))
	d.insist(t, s, up.location, up.file)
	d.heal(t)
	up.goOn(t, s, d, up.known)
}

// TestSyncFailsAfterACrash has the first sync after a crash fail, and the second not.
func TestSyncFailsAfterACrash(t *testing.T) {
	s, d := startFailing(t)
	up := begin(t, s, 5)
	s.kill()
	s.run(t)
	d.fail(ofUpload(up.location), syncing)
	d.told(t, s, up.location, up.file)
	d.heal(t)
	up.goOn(t, s, d, 0)
}

// TestRestartAfterAFailedSync has neither the sync nor the cut that follows it work, and then starts the server anew.
func TestRestartAfterAFailedSync(t *testing.T) {
	for name, end := range map[string]func(*server, *testing.T){
		"stopped": func(s *server, t *testing.T) { s.stop(t) },
		"killed":  func(s *server, _ *testing.T) { s.kill() },
	} {
		t.Run(name, func(t *testing.T) {
			s, d := startFailing(t)
			up := begin(t, s, 5)
			d.fail(ofUpload(up.location), syncing, cutting)
			d.checkFault(t, s, "PATCH", up.end(t))
			d.heal(t)
			end(s, t)
			s.run(t)
			up.goOn(t, s, d, up.known)
		})
	}
}

// TestUnreadableRecordIsNotGone has a disk not give a record back for a while.
func TestUnreadableRecordIsNotGone(t *testing.T) {
	s, d := startFailing(t)
	up := begin(t, s, 5)
	s.kill()
	s.run(t)
	for _, what := range []deed{reading, opening} {
		d.fail(ofRecord(up.location), what)
		d.told(t, s, up.location, up.file)
		if r := s.do(t, "GET", up.location+"/status"); r.problem().Code == "unreadable_upload" {
			t.Errorf("status: got %d %s", r.status, r.body)
		}
		d.heal(t)
	}
	up.goOn(t, s, d, up.known)
}

// TestReadyzTellsOfWriteErrors has a disk fail in all that changes it.
func TestReadyzTellsOfWriteErrors(t *testing.T) {
	s, d := startFailing(t)
	d.fail(holding("file"), changes...)
	d.checkFault(t, s, "POST", s.do(t, "POST", "/files/", protocol, "Upload-Length: 5"))
	if r := s.operator(t, "/readyz"); r.status != http.StatusServiceUnavailable {
		t.Errorf("readyz: got %d %s", r.status, r.body)
	}
	d.heal(t)
}

// TestSyncFailsAfterAChecksum has the sync fail that a chunk begins with which comes after one that was refused. What was
// acknowledged before it, without a sync, was lost with that.
func TestSyncFailsAfterAChecksum(t *testing.T) {
	s, d := startFailing(t, "--durability", "none")
	file := content{size: 2 << 20}
	location := s.create(t, "/files/", file.size)
	s.send(t, location, file, 0, 1<<20)
	s.patch(t, location, 1<<20, file.part(1<<20, file.size), 1<<20, "Upload-Checksum: crc32 AAAAAA==")
	d.fail(ofUpload(location), syncing)
	r := s.patch(t, location, 1<<20, file.part(1<<20, file.size), 1<<20)
	d.checkFault(t, s, "PATCH", r)
	d.heal(t)
	d.checkKept(t, location, file, s.offset(t, location))
}

func ofUpload(location string) where { return holding(filepath.Base(location)) }
func ofRecord(location string) where { return holding(filepath.Base(location) + ".info") }
