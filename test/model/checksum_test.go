package model

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strings"
)

// algorithm is one of those that the README names.
type algorithm struct {
	name string
	of   func([]byte) []byte
}

func algorithms() []algorithm {
	return []algorithm{
		{"sha1", func(b []byte) []byte { sum := sha1.Sum(b); return sum[:] }},
		{"sha256", func(b []byte) []byte { sum := sha256.Sum256(b); return sum[:] }},
		{"crc32c", func(b []byte) []byte { return crc(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))) }},
		{"sha512", func(b []byte) []byte { sum := sha512.Sum512(b); return sum[:] }},
		{"md5", func(b []byte) []byte { sum := md5.Sum(b); return sum[:] }},
		{"crc32", func(b []byte) []byte { return crc(crc32.ChecksumIEEE(b)) }},
	}
}

func crc(sum uint32) []byte { return binary.BigEndian.AppendUint32(nil, sum) }

func algorithmNames() (names []string) {
	for _, a := range algorithms() {
		names = append(names, a.name)
	}
	return names
}

// checksum is what a chunk must come to.
type checksum struct {
	algorithm
	want []byte
}

// parseChecksum: "The Upload-Checksum request header ... MUST consist of the name of the used checksum algorithm and the Base64
// encoded checksum separated by a space." code is the fault.
func parseChecksum(text string) (c checksum, code string) {
	if text == "" {
		return checksum{}, "bad_checksum|unknown_checksum_algorithm"
	}
	name, encoded, _ := strings.Cut(text, " ")
	for _, a := range algorithms() {
		if a.name != name {
			continue
		}
		want, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(want) != len(a.of(nil)) {
			return checksum{}, "bad_checksum"
		}
		return checksum{a, want}, ""
	}
	return checksum{}, "unknown_checksum_algorithm"
}

// sum is an Upload-Checksum that says what b is.
func (a algorithm) sum(b []byte) string {
	return a.name + " " + base64.StdEncoding.EncodeToString(a.of(b))
}
