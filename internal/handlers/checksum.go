package handlers

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"slices"
	"strings"

	"sluice/internal/upload"
)

// The protocol's "Checksum" extension: a client says what a chunk must be, in a header or a trailer, and a chunk that is
// something else is not kept.

// algorithms is the table of what can be asked for, sha1 first since every server must have it. They find accidents on the
// way, not attackers: whoever sends the bytes sends the checksum.
var algorithms = []struct {
	name string
	make func() hash.Hash
}{
	{"sha1", sha1.New},
	{"sha256", sha256.New},
	{"crc32c", func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }},
	{"sha512", sha512.New},
	{"md5", md5.New},
	{"crc32", func() hash.Hash { return crc32.NewIEEE() }},
}

// algorithmNames is the Tus-Checksum-Algorithm header.
func algorithmNames() string {
	names := make([]string, 0, len(algorithms))
	for _, a := range algorithms {
		names = append(names, a.name)
	}
	return strings.Join(names, ",")
}

// checksum is what a chunk must come to.
type checksum struct {
	hash hash.Hash // of what has been read so far
	want []byte
}

// parseChecksum reads an Upload-Checksum: the algorithm's name, a space, the digest in base64.
func parseChecksum(value string) (*checksum, error) {
	name, encoded, _ := strings.Cut(value, " ")
	for _, a := range algorithms {
		if a.name != name {
			continue
		}
		c := &checksum{hash: a.make()}
		var err error
		if c.want, err = base64.StdEncoding.DecodeString(encoded); err != nil || len(c.want) != c.hash.Size() {
			return nil, badRequest("bad_checksum", "Upload-Checksum must be an algorithm, a space, and its digest in base64.")
		}
		return c, nil
	}
	return nil, badRequest("unknown_checksum_algorithm", "Upload-Checksum names no algorithm of this server: "+algorithmNames()+".")
}

// verdict compares.
func (c *checksum) verdict() error {
	if bytes.Equal(c.hash.Sum(nil), c.want) {
		return nil
	}
	return upload.ErrChecksumMismatch
}

const checksumKey = "Upload-Checksum"

// takeChecksum reads the checksum in r's header, if there is one.
func (r *request) takeChecksum(from *http.Request) error {
	if _, given := from.Header[checksumKey]; !given {
		return nil
	}
	value, err := one(from.Header, checksumKey)
	if err != nil {
		return err
	}
	r.checksum, err = parseChecksum(value)
	return err
}

// check is what the store is to find out about the request's chunk. A checksum in the header is computed as the bytes flow.
// One in the trailer says only at the end by which algorithm, so the chunk is read again then. A trailer that was not
// announced counts too; but nobody knew of it while the bytes flowed, so a crash meanwhile keeps them, as it keeps any.
func (r *request) check() upload.Check {
	if r.checksum != nil {
		return upload.Check{Announced: true, Declared: r.declared, Whole: true, Verify: func(chunk io.Reader) error {
			return errors.Join(r.checksum.verdict(), r.checkTrailer(chunk))
		}}
	}
	if r.body.length >= 0 {
		return upload.Check{Declared: r.declared, Whole: true} // a body of known length has no trailer in HTTP/1.1
	}
	return upload.Check{Announced: slices.Contains(r.trailers, checksumKey), Quiet: true, Declared: r.declared, Whole: true, Verify: r.checkTrailer}
}

// checkTrailer compares chunk with the checksum in the trailer, if there is one.
func (r *request) checkTrailer(chunk io.Reader) error {
	if len(r.outer.Trailer[checksumKey]) == 0 { // one that was announced and did not come is a nil
		return nil
	}
	value, err := one(r.outer.Trailer, checksumKey)
	if err != nil {
		return err
	}
	c, err := parseChecksum(value)
	if err != nil {
		return err
	}
	if _, err := io.Copy(c.hash, chunk); err != nil {
		return err
	}
	return c.verdict()
}
