package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"testing"
)

// TestCrashBeforeTheVerdictKeepsNothing kills the server when most of a chunk with a checksum is on disk.
func TestCrashBeforeTheVerdictKeepsNothing(t *testing.T) {
	const size, known, sent = 20 << 20, 1 << 20, 15 << 20
	for _, durability := range []string{"always", "none"} {
		t.Run(durability, func(t *testing.T) {
			s := start(t, "--durability", durability)
			film, wrong := content{size: size, head: movie}, content{size: size, head: movie, seed: 1}
			location := s.create(t, "/videos/", size)
			s.send(t, location, film, 0, known)

			digest := sha256.Sum256(film.bytes(known, size))
			l := s.dial(t)
			l.write(fmt.Appendf(nil, "PATCH %s HTTP/1.1\r\nHost: test\r\n%s\r\n%s\r\nUpload-Offset: %d\r\nContent-Length: %d\r\nUpload-Checksum: sha256 %s\r\n\r\n",
				location, protocol, chunkType, known, size-known, base64.StdEncoding.EncodeToString(digest[:])))
			l.write(wrong.bytes(known, sent))
			l.drain(t)
			s.kill()
			s.run(t)
			if got := s.offset(t, location); got != known {
				t.Fatalf("offset is %d after the crash, want %d", got, known)
			}
			s.send(t, location, film, known, size)
			s.checkContent(t, location, film)
		})
	}
}
