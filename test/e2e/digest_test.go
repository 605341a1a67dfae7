package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// digesting is the flag of a server whose profiles all want a digest.
func digesting(t *testing.T) string {
	t.Helper()
	return configured(t, profile("file", "digest: sha-256"), profile("video", "digest: sha-256"), profile("avatar", "digest: sha-256"))
}

// digest is what file's must be (RFC 9530).
func (c content) digest() string { return digestOf(c.bytes(0, c.size)) }

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// digested waits until an upload is ready and checks that its digest is told everywhere.
func (s *server) digested(t *testing.T, location, want string) {
	t.Helper()
	await(t, location+" is ready", func() bool { return s.standing(t, location).State == "ready" })
	var status struct{ Digest string }
	if err := json.Unmarshal(s.do(t, "GET", location+"/status").body, &status); err != nil || status.Digest != want {
		t.Errorf("status has digest %q, %v, want %q", status.Digest, err, want)
	}
	for _, ask := range []struct {
		method, header string
		status         int
		told           bool
	}{
		{"GET", "Range: bytes=0-9", http.StatusPartialContent, true},
		{"GET", "Range: bytes=0-9, 20-29", http.StatusPartialContent, true},
		{"HEAD", "Accept: */*", http.StatusOK, true},
		{"GET", `If-None-Match: "other"`, http.StatusOK, true},
		{"GET", "If-None-Match: *", http.StatusNotModified, false},
		{"GET", `If-Match: "other"`, http.StatusPreconditionFailed, false},
		{"GET", "Range: bytes=999999999-", http.StatusRequestedRangeNotSatisfiable, false},
	} {
		r := s.do(t, ask.method, location, ask.header)
		if told := r.header.Get("Repr-Digest"); r.status != ask.status || ask.told && told != want || !ask.told && told != "" {
			t.Errorf("%s with %s: got %d, Repr-Digest %q, want %d, told: %t", ask.method, ask.header, r.status, told, ask.status, ask.told)
		}
	}
}

func TestDigestIsToldOfWhateverIsReady(t *testing.T) {
	s := start(t, digesting(t))
	for _, size := range []int64{200, 4096, 3<<20 + 1, 40 << 20} {
		file, film := content{size: size}, content{size: size, head: movie}
		s.digested(t, s.upload(t, "/files/", file), file.digest())
		location := s.create(t, "/videos/", size)
		s.send(t, location, film, 0, 150)
		s.send(t, location, film, 150, size)
		s.digested(t, location, film.digest())
	}
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 60, 60))); err != nil {
		t.Fatal(err)
	}
	avatar := s.create(t, "/avatars/", int64(picture.Len()))
	s.patch(t, avatar, 0, bytes.NewReader(picture.Bytes()), int64(picture.Len()))
	s.digested(t, avatar, digestOf(picture.Bytes()))
	if r := s.do(t, "GET", avatar+"/64"); r.status != http.StatusOK || r.header.Get("Repr-Digest") != "" {
		t.Errorf("a variant: got %d, Repr-Digest %q, want none", r.status, r.header.Get("Repr-Digest"))
	}
}

func TestNobodyIsToldADigestWhoDidNotAskForOne(t *testing.T) {
	s := start(t)
	location := s.upload(t, "/files/", content{size: 5000})
	if r := s.do(t, "GET", location); r.header.Get("Repr-Digest") != "" {
		t.Errorf("got Repr-Digest %q", r.header.Get("Repr-Digest"))
	}
	if r := s.do(t, "GET", location+"/status"); bytes.Contains(r.body, []byte("digest")) {
		t.Errorf("got status %s", r.body)
	}
}

// TestDigestIsRightAfterACrash kills the server in the middle of a chunk: it has followed some of what counts.
func TestDigestIsRightAfterACrash(t *testing.T) {
	const size, known, sent = 20 << 20, 1 << 20, 15 << 20
	for _, endpoint := range []string{"/files/", "/videos/"} {
		s := start(t, "--durability=none", digesting(t))
		film := content{size: size, head: movie}
		location := s.create(t, endpoint, size)
		s.send(t, location, film, 0, known)
		l := s.dial(t)
		l.write(fmt.Appendf(nil, "PATCH %s HTTP/1.1\r\nHost: test\r\n%s\r\n%s\r\nUpload-Offset: %d\r\nContent-Length: %d\r\n\r\n",
			location, protocol, chunkType, known, size-known))
		l.write(film.bytes(known, sent))
		l.drain(t)
		s.kill()
		s.run(t)
		s.send(t, location, film, s.offset(t, location), size)
		s.digested(t, location, film.digest())
		s.checkContent(t, location, film)
	}
}

// TestDigestIsWithoutWhatWasTakenBack sends a chunk that is not what its checksum says, then the right one.
func TestDigestIsWithoutWhatWasTakenBack(t *testing.T) {
	const size, known = 3 << 20, 1 << 20
	s := start(t, digesting(t))
	film, wrong := content{size: size, head: movie}, content{size: size, seed: 1}
	location := s.create(t, "/videos/", size)
	s.send(t, location, film, 0, known)
	sum := sha256.Sum256(film.bytes(known, size))
	checksum := "Upload-Checksum: sha256 " + base64.StdEncoding.EncodeToString(sum[:])
	if r := s.patch(t, location, known, wrong.part(known, size), size-known, checksum); r.status != 460 {
		t.Fatalf("PATCH: got %d %s, want 460", r.status, r.body)
	}
	if r := s.patch(t, location, known, film.part(known, size), size-known, checksum); r.status != http.StatusNoContent || r.header.Get("Sluice-State") != "ready" {
		t.Fatalf("PATCH: got %d %s, want 204, ready", r.status, r.body)
	}
	s.digested(t, location, film.digest())
}

// TestDigestOfWhatWasJoined: the bytes were put together by the kernel.
func TestDigestOfWhatWasJoined(t *testing.T) {
	s := start(t, digesting(t))
	for _, endpoint := range []string{"/files/", "/videos/"} {
		film := content{size: 5 << 20, head: movie}
		s.digested(t, s.final(t, endpoint, s.parts(t, endpoint, film, 5000, 2<<20)...), film.digest())
	}
}

// TestDigestOfWhatWasCompleteAtTheCrash is told though nobody who saw the bytes is alive. Without one it is not told either
// that they are the same still: what is read is what is there.
func TestDigestOfWhatWasCompleteAtTheCrash(t *testing.T) {
	for _, state := range []string{"received", "receiving"} {
		s := start(t) // which wants no digest
		film, file := content{size: 300_000, head: movie}, content{size: 70_000}
		video, plain, old := s.upload(t, "/videos/", film), s.upload(t, "/files/", file), s.upload(t, "/files/", file)
		s.kill()
		s.unsettle(t, video, state)
		s.unsettle(t, plain, state)
		s.flags = append(s.flags, digesting(t))
		s.run(t)
		s.digested(t, video, film.digest())
		s.digested(t, plain, file.digest())
		if r := s.do(t, "GET", old); r.status != http.StatusOK || r.header.Get("Repr-Digest") != "" {
			t.Errorf("what was ready before: got %d, Repr-Digest %q, want none", r.status, r.header.Get("Repr-Digest"))
		}
		if raw, err := os.ReadFile(s.stored(t, video) + ".info"); err != nil || !bytes.Contains(raw, []byte(film.digest())) {
			t.Errorf("the record is %s, %v", raw, err)
		}
	}
}

// TestFsckNamesContentThatIsNotWhatItWas changes a bit of one upload, and one that has no digest.
func TestFsckNamesContentThatIsNotWhatItWas(t *testing.T) {
	s := start(t)
	unknown := s.upload(t, "/files/", content{size: 5000})
	s.stop(t)
	s.flags = append(s.flags, digesting(t))
	s.run(t)
	good, rotten := s.upload(t, "/files/", content{size: 5000, seed: 1}), s.upload(t, "/videos/", content{size: 3 << 20, head: movie})
	s.stop(t)
	flags := append([]string{"fsck", "--data", s.data}, s.flags...)
	if code, stdout, stderr := command(t, append(flags, "--digests")...); code != 0 || stdout != "3 uploads, 0 faults\n" {
		t.Errorf("got %d %s%s", code, stdout, stderr)
	}
	for _, location := range []string{unknown, rotten} {
		name := s.stored(t, location)
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		raw[3000] ^= 1
		if err := os.WriteFile(name, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code, stdout, stderr := command(t, flags...); code != 0 || stdout != "3 uploads, 0 faults\n" {
		t.Errorf("without --digests: got %d %s%s", code, stdout, stderr)
	}
	code, stdout, stderr := command(t, append(flags, "--digests")...)
	if code != 1 || stderr == "" {
		t.Errorf("got %d %s%s, want 1", code, stdout, stderr)
	}
	mention(t, "stdout", stdout, []string{"video: ", filepath.Base(rotten), "its digest is another", "left to a person",
		"3 uploads, 1 faults: --repair mends 0, 1 are left to a person"})
	if bytes.Contains([]byte(stdout), []byte(filepath.Base(good))) {
		t.Errorf("a good upload is named: %s", stdout)
	}
}
