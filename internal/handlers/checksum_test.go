package handlers

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// sum is the Upload-Checksum of content by the named algorithm.
func sum(t *testing.T, name, content string) string {
	t.Helper()
	for _, a := range algorithms {
		if a.name == name {
			h := a.make()
			io.WriteString(h, content)
			return name + " " + base64.StdEncoding.EncodeToString(h.Sum(nil))
		}
	}
	t.Fatalf("no algorithm %s", name)
	return ""
}

func TestChecksumsAreWhatOthersCompute(t *testing.T) {
	// Digests of "hello world" as their specifications' own tools give them.
	for name, want := range map[string]string{
		"sha1":   "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
		"md5":    "md5 XrY7u+Ae7tCTyyK7j1rNww==",
		"crc32":  "crc32 DUoRhQ==",
		"crc32c": "crc32c yZRlqg==",
		"sha256": "sha256 uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=",
	} {
		if got := sum(t, name, "hello world"); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestChecksumDecidesWhetherAChunkIsKept(t *testing.T) {
	s := start(t, nil)
	s.do(http.MethodOptions, "/files/", nil, nil).want(t, has("Tus-Checksum-Algorithm", "sha1,sha256,crc32c,sha512,md5,crc32"))
	for _, a := range algorithms {
		t.Run(a.name, func(t *testing.T) {
			path := s.create("/files/", "Upload-Length", "11")
			wrong := s.patch(path, "0", strings.NewReader("hellO "), "Upload-Checksum", sum(t, a.name, "hello "))
			wrong.want(t, statusIs(460), code("checksum_mismatch"))
			s.do(http.MethodHead, path, tus, nil).want(t, has("Upload-Offset", "0"))
			s.patch(path, "0", strings.NewReader("hello "), "Upload-Checksum", sum(t, a.name, "hello ")).want(t, statusIs(204), has("Upload-Offset", "6"))
			s.patch(path, "6", dropLength("world"), "Upload-Checksum", sum(t, a.name, "world")).want(t, statusIs(204), has("Sluice-State", "ready"))
			s.do(http.MethodGet, path, nil, nil).want(t, bodyIs("hello world"))
		})
	}
}

func TestMalformedChecksumIsRefusedBeforeTheBody(t *testing.T) {
	s := start(t, nil)
	path := s.create("/files/", "Upload-Length", "5")
	digest := base64.StdEncoding.EncodeToString(make([]byte, sha1.Size))
	for value, want := range map[string]string{
		"sha0 " + digest:       "unknown_checksum_algorithm",
		"SHA1 " + digest:       "unknown_checksum_algorithm",
		"sha1":                 "bad_checksum",
		"sha1 !!!":             "bad_checksum",
		"sha1 AAAA":            "bad_checksum",
		"sha1  " + digest:      "bad_checksum",
		"sha1 " + digest + " ": "", // white space around a header's value is not of it
	} {
		a := s.patch(path, "0", strings.NewReader("hello"), "Upload-Checksum", value)
		if want == "" {
			a.want(t, statusIs(460))
			continue
		}
		a.want(t, statusIs(400), code(want))
	}
	s.do(http.MethodHead, path, tus, nil).want(t, has("Upload-Offset", "0"))
}

func TestChecksumHoldsForCreationWithUpload(t *testing.T) {
	s := start(t, nil)
	h := append(tus, "Upload-Length", "11", "Content-Type", chunkType, "Upload-Checksum", sum(t, "sha1", "hello "))
	s.do(http.MethodPost, "/files/", h, strings.NewReader("hello ")).want(t, statusIs(201), has("Upload-Offset", "6"))
	wrong := s.do(http.MethodPost, "/files/", h, strings.NewReader("HELLO "))
	wrong.want(t, statusIs(460), code("checksum_mismatch"))
	s.do(http.MethodHead, wrong.Header.Get("Location"), tus, nil).want(t, statusIs(200), has("Upload-Offset", "0"))
}

// trailer sends a chunked PATCH of content at offset 0 with a checksum behind it.
func (s *testServer) trailer(path, content, checksum string, declared bool) answer {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	declaration := ""
	if declared {
		declaration = "Trailer: Upload-Checksum\r\n"
	}
	fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: test\r\nTus-Resumable: 1.0.0\r\nContent-Type: %s\r\nUpload-Offset: 0\r\n%sTransfer-Encoding: chunked\r\n\r\n"+
		"%x\r\n%s\r\n0\r\nUpload-Checksum: %s\r\n\r\n", path, chunkType, declaration, len(content), content, checksum)
	return s.readAnswer(conn)
}

func TestChecksumMayComeInTheTrailer(t *testing.T) {
	s := start(t, nil)
	for _, declared := range []bool{true, false} {
		t.Run(fmt.Sprintf("declared %t", declared), func(t *testing.T) {
			path := s.create("/files/", "Upload-Length", "5")
			s.trailer(path, "hellO", sum(t, "sha256", "hello"), declared).want(t, statusIs(460), code("checksum_mismatch"))
			s.trailer(path, "hello", "nonsense", declared).want(t, statusIs(400), code("unknown_checksum_algorithm"))
			s.do(http.MethodHead, path, tus, nil).want(t, has("Upload-Offset", "0"), hasNo("Sluice-State"))
			s.trailer(path, "hello", sum(t, "sha256", "hello"), declared).want(t, statusIs(204), has("Sluice-State", "ready"))
			s.do(http.MethodGet, path, nil, nil).want(t, bodyIs("hello"))
		})
	}
}

func TestCutBodyWithAChecksumKeepsNothing(t *testing.T) {
	s := start(t, nil)
	path := s.create("/files/", "Upload-Length", "11")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: test\r\nTus-Resumable: 1.0.0\r\nContent-Type: %s\r\nUpload-Offset: 0\r\nUpload-Checksum: %s\r\n"+
		"Content-Length: 11\r\n\r\nhello", path, chunkType, sum(t, "sha1", "hello world"))
	conn.(*net.TCPConn).CloseWrite()
	s.readAnswer(conn).want(t, statusIs(400), code("incomplete_body"))
	conn.Close()
	s.do(http.MethodHead, path, tus, nil).want(t, has("Upload-Offset", "0"))
}

func FuzzParseChecksum(f *testing.F) {
	f.Add("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=")
	f.Add("sha1")
	f.Add(" ")
	f.Add("crc32 DUoRhQ")
	f.Fuzz(func(t *testing.T, value string) {
		c, err := parseChecksum(value)
		if err == nil && len(c.want) != c.hash.Size() {
			t.Errorf("%q gives a digest of %d bytes", value, len(c.want))
		}
	})
}
