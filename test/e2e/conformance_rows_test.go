package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// chapters are the protocol's sections, in its order.
func chapters() []chapter {
	return []chapter{
		{section: "Upload-Offset and Upload-Length", rules: numberRules()},
		{section: "Tus-Resumable", rules: append(versionRules(), resumableRules...)},
		{section: "Tus-Max-Size", rules: maxSizeRules},
		{section: "X-HTTP-Method-Override", rules: overrideRules},
		{section: "HEAD", rules: headRules},
		{section: "PATCH", rules: patchRules},
		{section: "PATCH, Upload-Offset that does not match", rules: conflictRules()},
		{section: "PATCH, Content-Type", rules: contentTypeRules},
		{section: "OPTIONS", rules: optionsRules},
		{section: "Creation", extension: "creation", rules: creationRules},
		{section: "Creation, Upload-Defer-Length", extension: "creation-defer-length", rules: append(deferRules, deferValueRules()...)},
		{section: "Creation, Upload-Metadata", extension: "creation", rules: metadataRules()},
		{section: "Creation With Upload", extension: "creation-with-upload", rules: creationWithUploadRules},
		{section: "Expiration", extension: "expiration", rules: expirationRules},
		{section: "Checksum", extension: "checksum", rules: checksumRules},
		{section: "Checksum, trailer", extension: "checksum-trailer", rules: checksumTrailerRules},
		{section: "Termination", extension: "termination", rules: terminationRules},
		{section: "Concatenation", extension: "concatenation", rules: concatenationRules()},
		{section: "Concatenation, unfinished", extension: "concatenation-unfinished", rules: unfinishedRules},
		{section: "Expect", rules: expectRules},       // RFC 9110, section 10.1.1
		{section: "HTTP", rules: httpRules},           // RFC 9110 and 9112
		{section: "Cross-origin", rules: originRules}, // Fetch, "CORS protocol"
	}
}

var allDigits = regexp.MustCompile(`^[0-9]+$`)

// numberRules: "The value MUST be a non-negative integer."
func numberRules() []rule {
	rules := []rule{
		{words: "leading zeros are digits", script: `
			> POST /files/
			> Upload-Length: 007
			< 201
			> PATCH {it}
			> Upload-Offset: 000
			> | hello
			< 204
			< Upload-Offset: 5
			> HEAD {it}
			< 200
			< Upload-Length: 7`},
		{words: "many leading zeros are digits", script: `
			> POST /files/
			> Upload-Length: 000000000000000000000000000000000005
			< 201
			> PATCH {it}
			> Upload-Offset: 000000000000000000000000000000000000
			> | hello
			< 204
			< Upload-Offset: 5`},
		{words: "space around a value is not part of it", script: `
			> POST /files/
			> Upload-Length: \s\t5\s\t
			< 201
			> PATCH {it}
			> Upload-Offset:0
			> | hello
			< 204`},
		{words: "an Upload-Length beyond 64 bits is a number: it exceeds the maximum, MUST be 413", script: `
			> POST /files/
			> Upload-Length: 99999999999999999999
			< 413`},
		{words: "an Upload-Length beyond 64 bits, told later, MUST be 413 too", script: `
			> POST /avatars/
			> Upload-Defer-Length: 1
			< 201
			> PATCH {it}
			> Upload-Offset: 0
			> Upload-Length: 99999999999999999999
			> | hello
			< 413`},
		{words: "an Upload-Offset beyond 64 bits is a number: it does not match, MUST be 409", script: `
			> POST /files/
			> Upload-Length: 5
			< 201
			> PATCH {it}
			> Upload-Offset: 99999999999999999999
			> | hello
			< 409`},
		{words: "two Upload-Length are no number", script: `
			> POST /files/
			> Upload-Length: 5
			> Upload-Length: 5
			< 400`},
		{words: "two Upload-Offset are no number", script: `
			> POST /files/
			> Upload-Length: 5
			< 201
			> PATCH {it}
			> Upload-Offset: 0
			> Upload-Offset: 0
			> | hello
			< 400
			> HEAD {it}
			< 200
			< Upload-Offset: 0`},
	}
	for _, number := range numbers {
		if allDigits.MatchString(number) {
			continue // too large, yet a number
		}
		fill := strings.NewReplacer("{number}", number).Replace
		rules = append(rules,
			rule{words: "Upload-Length [" + number + "] of POST", script: fill(`
				> POST /files/
				> Upload-Length: {number}
				< 400`)},
			rule{words: "Upload-Offset [" + number + "] of PATCH", script: fill(`
				> POST /files/
				> Upload-Length: 5
				< 201
				> PATCH {it}
				> Upload-Offset: {number}
				> | hello
				< 400
				> HEAD {it}
				< 200
				< Upload-Offset: 0`)},
			rule{words: "Upload-Length [" + number + "] of PATCH", script: fill(`
				> POST /files/
				> Upload-Defer-Length: 1
				< 201
				> PATCH {it}
				> Upload-Offset: 0
				> Upload-Length: {number}
				> | hello
				< 400
				> HEAD {it}
				< 200
				< Upload-Offset: 0
				< Upload-Defer-Length: 1`)})
	}
	return rules
}

// versionRules: an unsupported version MUST be answered with 412 and Tus-Version, and the request MUST NOT be processed.
func versionRules() (rules []rule) {
	for _, line := range []string{"-Tus-Resumable", "Tus-Resumable: 0.2.2", "Tus-Resumable: 1.0", "Tus-Resumable: 1.0.1", "Tus-Resumable: 2.0.0",
		"Tus-Resumable: v1.0.0", "Tus-Resumable: 1.0.0,0.2.2", "Tus-Resumable: *", "Tus-Resumable:"} {
		rules = append(rules, rule{words: "unsupported, MUST NOT be processed: " + line, script: strings.ReplaceAll(`
			> POST /files/
			> Upload-Length: 10
			< 201
			> PATCH {it}
			> Upload-Offset: 0
			> | hello
			< 204
			> POST /files/
			> {version}
			> Upload-Length: 10
			< 412
			> HEAD {it}
			> {version}
			< 412
			> PATCH {it}
			> {version}
			> Upload-Offset: 5
			> | world
			< 412
			> DELETE {it}
			> {version}
			< 412
			> POST {it}
			> {version}
			> X-HTTP-Method-Override: DELETE
			< 412
			> HEAD {it}
			< 200
			< Upload-Offset: 5`, "{version}", line)})
	}
	return rules
}

var resumableRules = []rule{
	{words: "unsupported is 412 whatever else is wrong with a POST", script: `
		> POST /files/
		> Tus-Resumable: 0.2.2
		< 412
		> POST /files/
		> Tus-Resumable: 0.2.2
		> Upload-Length: x
		< 412
		> POST /files/
		> Tus-Resumable: 0.2.2
		> Upload-Length: 5
		> Content-Type: text/plain
		> | hello
		< 412`},
	{words: "unsupported is 412 also for an unknown upload", script: `
		> HEAD /files/unknown
		> Tus-Resumable: 0.2.2
		< 412
		> PATCH /files/unknown
		> Tus-Resumable: 0.2.2
		> Upload-Offset: 0
		> | hello
		< 412
		> DELETE /files/unknown
		> Tus-Resumable: 0.2.2
		< 412`},
	{words: "unsupported is 412 also where no upload can be", script: `
		> HEAD /files/a.b
		> Tus-Resumable: 0.2.2
		< 412`},
	{words: "MUST be in the answer where no upload can be", script: `
		> HEAD /files/a.b
		< 404`},
	{words: "MUST be in the answer to a PATCH where no upload can be", script: `
		> PATCH /files/a.b
		> Upload-Offset: 0
		> | hello
		< 404`},
	{words: "MUST be in the answer to a DELETE where no upload can be", script: `
		> DELETE /files/a.b
		< 404`},
	{words: "MUST be in the answer to a method that an upload does not take", script: `
		> POST /files/
		> Upload-Length: 5
		< 201
		> POST {it}
		> Upload-Length: 5
		< 405`},
	{words: "MUST be in the answer to a method that the endpoint does not take", script: `
		> PATCH /files/
		> Upload-Offset: 0
		< 405`},
	{words: "MUST be in the answer to a method that nobody knows", script: `
		> POST /files/
		> X-HTTP-Method-Override: BREW
		< 400`},
	{words: "MUST be in errors", script: `
		> POST /files/
		< 400
		> POST /avatars/
		> Upload-Length: {over}
		< 413
		> PATCH /files/unknown
		> Upload-Offset: 0
		< 404
		> PATCH /files/unknown
		> Content-Type: text/plain
		> Upload-Offset: 0
		> | x
		< 415
		> DELETE /files/unknown
		< 404`},
}

var maxSizeRules = []rule{
	{words: "SHOULD be set where there is a hard limit", script: `
		> OPTIONS /files/
		< 204
		< Tus-Max-Size: *
		> OPTIONS /videos/
		< 204
		< Tus-Max-Size: *
		> OPTIONS /avatars/
		< 204
		< Tus-Max-Size: *`},
	{words: "what is as large is allowed", script: `
		> POST /avatars/
		> Upload-Length: {max}
		< 201
		> HEAD {it}
		< 200
		< Upload-Length: {max}`},
	{words: "what is larger MUST be 413", script: `
		> POST /avatars/
		> Upload-Length: {over}
		< 413`},
	{words: "what is larger MUST be 413, with its first bytes", script: `
		> POST /avatars/
		> Upload-Length: {over}
		> Content-Type: application/offset+octet-stream
		> | hello
		< 413`},
	{words: "what turns out larger MUST be 413: a deferred length", script: `
		> POST /avatars/
		> Upload-Defer-Length: 1
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> Upload-Length: {over}
		> | hello
		< 413
		> HEAD {it}
		< 200
		< Upload-Offset: 0
		< Upload-Defer-Length: 1`},
	{words: "what turns out larger MUST be 413: bytes", deed: func(t *testing.T, s *server) {
		limit := int64(8 << 20)
		for _, length := range []int64{limit + 1, -1} { // announced, and in chunks
			location := s.create(t, "/avatars/", deferred)
			r := s.patch(t, location, 0, content{size: limit + 1}.part(0, limit+1), length)
			if r.status != http.StatusRequestEntityTooLarge {
				t.Errorf("%d bytes: got %d %s, want 413", limit+1, r.status, r.body)
			}
			if offset := s.offset(t, location); offset > limit {
				t.Errorf("%d bytes are stored where %d are allowed", offset, limit)
			}
		}
	}},
}

var overrideRules = []rule{
	{words: "POST by GET", script: `
		> GET /files/
		> X-HTTP-Method-Override: POST
		> Upload-Length: 5
		< 201
		> HEAD {it}
		< 200
		< Upload-Length: 5`},
	{words: "POST by DELETE", script: `
		> DELETE /files/
		> X-HTTP-Method-Override: POST
		> Upload-Length: 5
		< 201`},
	{words: "POST by OPTIONS", script: `
		> OPTIONS /files/
		> Tus-Resumable: 1.0.0
		> X-HTTP-Method-Override: POST
		> Upload-Length: 5
		< 201`},
	{words: "PATCH by POST", script: overridden("POST")},
	{words: "PATCH by PUT", script: overridden("PUT")},
	{words: "PATCH by GET, which has a body then", script: overridden("GET")},
	{words: "PATCH by DELETE: the method MUST be ignored", script: overridden("DELETE")},
	{words: "PATCH by HEAD", script: overridden("HEAD")},
	{words: "PATCH by a method that nobody knows", script: overridden("BREW")},
	{words: "HEAD by POST", script: `
		> POST /files/
		> Upload-Length: 5
		> Upload-Metadata: a YQ==
		< 201
		> POST {it}
		> X-HTTP-Method-Override: HEAD
		< 200
		< Upload-Offset: 0
		< Upload-Metadata: a YQ==`},
	{words: "HEAD by PATCH adds nothing", script: `
		> POST /files/
		> Upload-Length: 5
		< 201
		> PATCH {it}
		> X-HTTP-Method-Override: HEAD
		> Upload-Offset: 0
		> | hello
		< 200
		< Upload-Offset: 0
		> HEAD {it}
		< 200
		< Upload-Offset: 0`},
	{words: "HEAD by DELETE removes nothing", script: `
		> POST /files/
		> Upload-Length: 5
		< 201
		> DELETE {it}
		> X-HTTP-Method-Override: HEAD
		< 200
		> HEAD {it}
		< 200`},
	{words: "DELETE by POST", script: `
		> POST /files/
		> Upload-Length: 5
		< 201
		> POST {it}
		> X-HTTP-Method-Override: DELETE
		< 204
		> HEAD {it}
		< 404|410`},
	{words: "DELETE by HEAD", script: `
		> POST /files/
		> Upload-Length: 5
		< 201
		> HEAD {it}
		> X-HTTP-Method-Override: DELETE
		< 204
		> HEAD {it}
		< 404|410`},
	{words: "OPTIONS by POST makes nothing", script: `
		> POST /files/
		> X-HTTP-Method-Override: OPTIONS
		> Upload-Length: 5
		< 204
		< !Location
		< Tus-Extension: *`},
	{words: "GET by POST", script: `
		> POST /files/
		> Upload-Length: 5
		> Content-Type: application/offset+octet-stream
		> | hello
		< 201
		> POST {it}
		> X-HTTP-Method-Override: GET
		< 200
		< | hello`},
	{words: "the same method", script: `
		> POST /files/
		> X-HTTP-Method-Override: POST
		> Upload-Length: 5
		< 201
		> HEAD {it}
		> X-HTTP-Method-Override: HEAD
		< 200
		< Upload-Offset: 0`},
	{words: "a rule for PATCH holds too: offset", script: `
		> POST /files/
		> Upload-Length: 5
		< 201
		> POST {it}
		> X-HTTP-Method-Override: PATCH
		> Content-Type: application/offset+octet-stream
		> Upload-Offset: 1
		> | hello
		< 409`},
	{words: "a rule for PATCH holds too: type", script: `
		> POST /files/
		> Upload-Length: 5
		< 201
		> POST {it}
		> X-HTTP-Method-Override: PATCH
		> Upload-Offset: 0
		> | hello
		< 415`},
}

// overridden is a PATCH in the clothes of another method.
func overridden(method string) string {
	return strings.ReplaceAll(`
		> POST /files/
		> Upload-Length: 10
		< 201
		> {method} {it}
		> X-HTTP-Method-Override: PATCH
		> Content-Type: application/offset+octet-stream
		> Upload-Offset: 0
		> | hello
		< 204
		< Upload-Offset: 5
		> HEAD {it}
		< 200
		< Upload-Offset: 5`, "{method}", method)
}

var headRules = []rule{
	{words: "MUST include Upload-Offset even if 0, and Upload-Length", script: `
		> POST /files/
		> Upload-Length: 10
		< 201
		> HEAD {it}
		< 200|204
		< Upload-Offset: 0
		< Upload-Length: 10
		< Cache-Control: no-store
		< !Upload-Defer-Length
		< !Upload-Metadata`},
	{words: "tells how far a part of it is", script: `
		> POST /files/
		> Upload-Length: 10
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> | hello
		< 204
		> HEAD {it}
		< 200|204
		< Upload-Offset: 5
		< Upload-Length: 10`},
	{words: "MUST include Upload-Offset when complete", script: `
		> POST /files/
		> Upload-Length: 5
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> | hello
		< 204
		> HEAD {it}
		< 200|204
		< Upload-Offset: 5
		< Upload-Length: 5`},
	{words: "MUST include Upload-Offset when complete and empty", script: `
		> POST /files/
		> Upload-Length: 0
		< 201
		> HEAD {it}
		< 200|204
		< Upload-Offset: 0
		< Upload-Length: 0`},
	{words: "has no Upload-Length while it is not known", script: `
		> POST /files/
		> Upload-Defer-Length: 1
		< 201
		> HEAD {it}
		< 200|204
		< Upload-Offset: 0
		< Upload-Defer-Length: 1
		< !Upload-Length`},
	{words: "not found SHOULD be 404, 410 or 403 without Upload-Offset", script: `
		> HEAD /files/unknown
		< 404|410|403
		< !Upload-Offset
		< !Upload-Length
		< Cache-Control: no-store`},
	{words: "not found: where no upload can be", script: `
		> HEAD /files/a.b
		< 404|410|403
		< !Upload-Offset`},
	{words: "not found: in another profile", script: `
		> POST /files/
		> Upload-Length: 5
		< 201
		> HEAD /avatars/{id}
		< 404|410|403`},
	{words: "not found: an upload that was refused for its content", deed: func(t *testing.T, s *server) {
		location := s.create(t, "/videos/", 10)
		s.patch(t, location, 0, strings.NewReader("not a film"), 10)
		rule{script: "> HEAD " + location + "\n< 404|410|403\n< !Upload-Offset"}.check(t, s)
	}},
	{words: "changes nothing, however often", script: `
		> POST /files/
		> Upload-Length: 10
		< 201
		> HEAD {it}
		> HEAD {it}
		> HEAD {it}
		< 200
		< 200
		< 200
		> PATCH {it}
		> Upload-Offset: 0
		> | helloworld
		< 204
		< Upload-Offset: 10`},
	{words: "at every profile", script: `
		> POST /avatars/
		> Upload-Length: 10
		< 201
		> HEAD {it}
		< 200
		< Upload-Offset: 0
		> POST /videos/
		> Upload-Length: 10
		< 201
		> HEAD {it}
		< 200
		< Upload-Offset: 0`},
}

var patchRules = []rule{
	{words: "MUST be 204 with the new Upload-Offset: all at once", script: `
		> POST /files/
		> Upload-Length: 5
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> | hello
		< 204
		< Upload-Offset: 5
		> GET {it}
		< 200
		< | hello`},
	{words: "MAY be small requests, applied at their offsets", script: `
		> POST /files/
		> Upload-Length: 11
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> | h
		< 204
		< Upload-Offset: 1
		> PATCH {it}
		> Upload-Offset: 1
		> | ello w
		< 204
		< Upload-Offset: 7
		> PATCH {it}
		> Upload-Offset: 7
		> | orld
		< 204
		< Upload-Offset: 11
		> GET {it}
		< 200
		< | hello world`},
	{words: "in chunks of HTTP", script: `
		> POST /files/
		> Upload-Length: 11
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> Transfer-Encoding: chunked
		> | 5\r\nhello\r\n1\r\n \r\n0\r\n\r\n
		< 204
		< Upload-Offset: 6
		> PATCH {it}
		> Upload-Offset: 6
		> Transfer-Encoding: chunked
		> | 5;a=b\r\nworld\r\n0\r\nX-Trailer: c\r\n\r\n
		< 204
		< Upload-Offset: 11
		> GET {it}
		< 200
		< | hello world`},
	{words: "of no bytes", script: `
		> POST /files/
		> Upload-Length: 5
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> Content-Length: 0
		< 204
		< Upload-Offset: 0
		> PATCH {it}
		> Upload-Offset: 0
		< 204
		< Upload-Offset: 0
		> PATCH {it}
		> Upload-Offset: 0
		> Transfer-Encoding: chunked
		> | 0\r\n\r\n
		< 204
		< Upload-Offset: 0
		> HEAD {it}
		< 200
		< Upload-Offset: 0`},
	{words: "of no bytes in the middle", script: `
		> POST /files/
		> Upload-Length: 10
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> | hello
		< 204
		> PATCH {it}
		> Upload-Offset: 5
		> Content-Length: 0
		< 204
		< Upload-Offset: 5`},
	{words: "of no bytes at the end of a complete upload", script: `
		> POST /files/
		> Upload-Length: 5
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> | hello
		< 204
		> PATCH {it}
		> Upload-Offset: 5
		> Content-Length: 0
		< 204
		< Upload-Offset: 5`},
	{words: "of no bytes to an empty upload", script: `
		> POST /files/
		> Upload-Length: 0
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> Content-Length: 0
		< 204
		< Upload-Offset: 0`},
	{words: "SHOULD be accepted at any upload", script: `
		> POST /avatars/
		> Upload-Length: 10
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> | hello
		< 204
		< Upload-Offset: 5
		> POST /videos/
		> Upload-Length: 100000
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> | hello
		< 204
		< Upload-Offset: 5`},
	{words: "a non-existent upload SHOULD be 404", script: `
		> PATCH /files/unknown
		> Upload-Offset: 0
		> | hello
		< 404
		< !Upload-Offset`},
	{words: "without Upload-Offset nothing is stored", script: `
		> POST /files/
		> Upload-Length: 5
		< 201
		> PATCH {it}
		> | hello
		< 400
		> HEAD {it}
		< 200
		< Upload-Offset: 0`},
	{words: "SHOULD store as much as was received", deed: func(t *testing.T, s *server) {
		location := s.create(t, "/files/", 10)
		l := s.dial(t)
		l.begin(location, 0, 10, []byte("hello"))
		l.drain(t)
		l.conn.Close()
		await(t, "what came before the cut is stored", func() bool { return s.offset(t, location) == 5 })
		s.send(t, location, content{size: 10}, 5, 10)
	}},
	{words: "a timeout SHOULD close the connection", deed: func(t *testing.T, _ *server) {
		s := start(t, "--idle-timeout", "500ms")
		location := s.create(t, "/files/", 10)
		l := s.dial(t)
		l.begin(location, 0, 10, []byte("hello"))
		if err := l.closed(); err != nil {
			t.Error(err)
		}
		if offset := s.offset(t, location); offset != 5 {
			t.Errorf("got offset %d, want 5", offset)
		}
	}},
}

// conflictRules: "If the offsets do not match, the Server MUST respond with 409 without modifying the upload."
func conflictRules() (rules []rule) {
	for _, at := range []struct{ offset, words string }{
		{"0", "at the beginning again"}, {"4", "one too few"}, {"6", "one too many"}, {"10", "at the length"}, {"11", "beyond the length"},
		{"9223372036854775807", "far beyond"},
	} {
		for _, body := range []string{"> | hello", "> Content-Length: 0", `> Transfer-Encoding: chunked` + "\n" + `> | 5\r\nhello\r\n0\r\n\r\n`} {
			kind, _, _ := strings.Cut(body[2:], ":")
			rules = append(rules, rule{words: at.words + ", " + strings.Trim(kind, "| "), script: strings.NewReplacer("{offset}", at.offset, "{body}", body).Replace(`
				> POST /files/
				> Upload-Length: 10
				< 201
				> PATCH {it}
				> Upload-Offset: 0
				> | HELLO
				< 204
				> PATCH {it}
				> Upload-Offset: {offset}
				{body}
				< 409
				< Upload-Offset: 5
				> HEAD {it}
				< 200
				< Upload-Offset: 5
				> PATCH {it}
				> Upload-Offset: 5
				> | WORLD
				< 204
				> GET {it}
				< 200
				< | HELLOWORLD`)})
		}
	}
	for _, offset := range []string{"0", "4", "6"} {
		rules = append(rules, rule{words: "of a complete upload, " + offset, script: strings.ReplaceAll(`
			> POST /files/
			> Upload-Length: 5
			< 201
			> PATCH {it}
			> Upload-Offset: 0
			> | HELLO
			< 204
			> PATCH {it}
			> Upload-Offset: {offset}
			> | hello
			< 409
			> PATCH {it}
			> Upload-Offset: {offset}
			< 409
			> GET {it}
			< 200
			< | HELLO`, "{offset}", offset)})
	}
	return append(rules, rule{words: "with a length for a deferred one: that is not set either", script: `
		> POST /files/
		> Upload-Defer-Length: 1
		< 201
		> PATCH {it}
		> Upload-Offset: 3
		> Upload-Length: 8
		> | hello
		< 409
		> HEAD {it}
		< 200
		< Upload-Offset: 0
		< Upload-Defer-Length: 1`})
}

// contentTypeRules: PATCH "MUST use application/offset+octet-stream, otherwise SHOULD be 415". What that is, is told by RFC
// 9110, section 8.3.1: no case, and parameters are not part of it.
var contentTypeRules = []rule{
	{words: "none", script: contentType("-Content-Type", "415", "0")},
	{words: "empty", script: contentType("Content-Type:", "415", "0")},
	{words: "another", script: contentType("Content-Type: application/octet-stream", "415", "0")},
	{words: "a longer one", script: contentType("Content-Type: application/offset+octet-streams", "415", "0")},
	{words: "a shorter one", script: contentType("Content-Type: application/offset", "415", "0")},
	{words: "that of the newer draft", script: contentType("Content-Type: application/partial-upload", "415", "0")},
	{words: "in a list", script: contentType("Content-Type: application/offset+octet-stream, text/plain", "415", "0")},
	{words: "in a parameter", script: contentType("Content-Type: text/plain; a=application/offset+octet-stream", "415", "0")},
	{words: "in capitals", script: contentType("Content-Type: APPLICATION/OFFSET+OCTET-STREAM", "204", "5")},
	{words: "in mixed case", script: contentType("Content-Type: Application/Offset+Octet-Stream", "204", "5")},
	{words: "with a parameter", script: contentType("Content-Type: application/offset+octet-stream; charset=utf-8", "204", "5")},
	{words: "with a parameter without space", script: contentType("Content-Type: application/offset+octet-stream;charset=utf-8", "204", "5")},
	{words: "with a quoted parameter", script: contentType(`Content-Type: application/offset+octet-stream; a="b; c"`, "204", "5")},
	{words: "with a semicolon at its end", script: contentType("Content-Type: application/offset+octet-stream;", "204", "5")},
	{words: "with space around", script: contentType(`Content-Type: \tapplication/offset+octet-stream\s\s`, "204", "5")},
	{words: "with a length for a deferred upload: that is not set", script: `
		> POST /files/
		> Upload-Defer-Length: 1
		< 201
		> PATCH {it}
		> Content-Type: text/plain
		> Upload-Offset: 0
		> Upload-Length: 5
		> | hello
		< 415
		> HEAD {it}
		< 200
		< Upload-Defer-Length: 1`},
}

func contentType(line, status, offset string) string {
	return strings.NewReplacer("{line}", line, "{status}", status, "{offset}", offset).Replace(`
		> POST /files/
		> Upload-Length: 5
		< 201
		> PATCH {it}
		> {line}
		> Upload-Offset: 0
		> | hello
		< {status}
		> HEAD {it}
		< 200
		< Upload-Offset: {offset}`)
}

var optionsRules = []rule{
	{words: "success is 204 or 200 and MUST contain Tus-Version", script: `
		> OPTIONS /files/
		< 204|200
		< Tus-Version: *
		< Tus-Extension: *`},
	{words: "at every endpoint, with and without its last slash", script: `
		> OPTIONS /files
		< 204|200
		> OPTIONS /avatars/
		< 204|200
		> OPTIONS /videos/
		< 204|200`},
	{words: "at an upload", script: `
		> POST /files/
		> Upload-Length: 5
		< 201
		> OPTIONS {it}
		< 204|200
		< Tus-Version: *`},
	{words: "Tus-Resumable MUST be ignored", script: `
		> OPTIONS /files/
		> Tus-Resumable: 1.0.0
		< 204|200
		> OPTIONS /files/
		> Tus-Resumable: 0.2.2
		< 204|200
		> OPTIONS /files/
		> Tus-Resumable: nonsense
		< 204|200
		> OPTIONS /files/
		> Tus-Resumable: 0.2.2
		> Tus-Resumable: 3.0.0
		< 204|200`},
	{words: "what this server has MUST be announced", script: `
		> OPTIONS /files/
		< 204
		< Tus-Extension ~ creation, creation-with-upload, creation-defer-length, termination
		> OPTIONS /avatars/
		< 204
		< Tus-Extension ~ creation, creation-with-upload, creation-defer-length, termination
		> OPTIONS /videos/
		< 204
		< Tus-Extension ~ creation, creation-with-upload, creation-defer-length, termination`},
}

var creationRules = []rule{
	{words: "success MUST be 201 with the Location of a new upload", script: `
		> POST /files/
		> Content-Length: 0
		> Upload-Length: 100
		> Upload-Metadata: filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential
		< 201
		< Location: *
		> HEAD {it}
		< 200
		< Upload-Offset: 0
		< Upload-Length: 100
		< Upload-Metadata: filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential`},
	{words: "at every endpoint, with and without its last slash", script: `
		> POST /files
		> Upload-Length: 5
		< 201
		> HEAD {it}
		< 200
		> POST /avatars/
		> Upload-Length: 5
		< 201
		> HEAD {it}
		< 200
		> POST /videos
		> Upload-Length: 5
		< 201
		> HEAD {it}
		< 200`},
	{words: "each has a URL of its own", deed: func(t *testing.T, s *server) {
		first, second := s.create(t, "/files/", 5), s.create(t, "/files/", 5)
		if first == second {
			t.Errorf("both are %s", first)
		}
		s.send(t, first, content{size: 5}, 0, 5)
		if offset := s.offset(t, second); offset != 0 {
			t.Errorf("the other one has %d bytes", offset)
		}
	}},
	{words: "MUST include Upload-Length or Upload-Defer-Length", script: `
		> POST /files/
		< 400`},
	{words: "one of them, not both", script: `
		> POST /files/
		> Upload-Length: 5
		> Upload-Defer-Length: 1
		< 400`},
	{words: "Upload-Length: 0 is complete at once", script: `
		> POST /files/
		> Upload-Length: 0
		< 201
		> HEAD {it}
		< 200
		< Upload-Offset: 0
		< Upload-Length: 0
		> GET {it}
		< 200
		< Content-Length: 0`},
	{words: "the length MUST NOT be changed", script: `
		> POST /files/
		> Upload-Length: 10
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> Upload-Length: 5
		> | hello
		< 400
		> PATCH {it}
		> Upload-Offset: 0
		> Upload-Length: 11
		> | hello
		< 400
		> HEAD {it}
		< 200
		< Upload-Offset: 0
		< Upload-Length: 10`},
	{words: "a content type that describes nothing is no matter", script: `
		> POST /files/
		> Content-Length: 0
		> Content-Type: application/json
		> Upload-Length: 5
		< 201`},
}

var deferRules = []rule{
	{words: "HEAD MUST say it as long as the length is not known", script: `
		> POST /files/
		> Upload-Defer-Length: 1
		< 201
		> HEAD {it}
		< 200
		< Upload-Defer-Length: 1
		< !Upload-Length
		> PATCH {it}
		> Upload-Offset: 0
		> | hello
		< 204
		< Upload-Offset: 5
		> HEAD {it}
		< 200
		< Upload-Offset: 5
		< Upload-Defer-Length: 1
		< !Upload-Length`},
	{words: "set with the first bytes, MUST be omitted from then on", script: `
		> POST /files/
		> Upload-Defer-Length: 1
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> Upload-Length: 10
		> | hello
		< 204
		< Upload-Offset: 5
		> HEAD {it}
		< 200
		< Upload-Length: 10
		< !Upload-Defer-Length`},
	{words: "set with the last bytes", script: `
		> POST /files/
		> Upload-Defer-Length: 1
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> | hello
		< 204
		> PATCH {it}
		> Upload-Offset: 5
		> Upload-Length: 10
		> | world
		< 204
		< Upload-Offset: 10
		> HEAD {it}
		< 200
		< Upload-Length: 10
		< !Upload-Defer-Length
		> GET {it}
		< 200
		< | helloworld`},
	{words: "set after the last bytes: complete", script: `
		> POST /files/
		> Upload-Defer-Length: 1
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> | hello
		< 204
		> PATCH {it}
		> Upload-Offset: 5
		> Upload-Length: 5
		> Content-Length: 0
		< 204
		< Upload-Offset: 5
		> GET {it}
		< 200
		< | hello`},
	{words: "set before any bytes", script: `
		> POST /files/
		> Upload-Defer-Length: 1
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> Upload-Length: 5
		> Content-Length: 0
		< 204
		< Upload-Offset: 0
		> HEAD {it}
		< 200
		< Upload-Length: 5
		> PATCH {it}
		> Upload-Offset: 0
		> | hello
		< 204
		> GET {it}
		< 200
		< | hello`},
	{words: "set to 0", script: `
		> POST /files/
		> Upload-Defer-Length: 1
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> Upload-Length: 0
		< 204
		< Upload-Offset: 0
		> HEAD {it}
		< 200
		< Upload-Length: 0
		> GET {it}
		< 200
		< Content-Length: 0`},
	{words: "once set it MUST NOT be changed", script: `
		> POST /files/
		> Upload-Defer-Length: 1
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> Upload-Length: 10
		> | hello
		< 204
		> PATCH {it}
		> Upload-Offset: 5
		> Upload-Length: 11
		> | world
		< 400
		> PATCH {it}
		> Upload-Offset: 5
		> Upload-Length: 5
		< 400
		> HEAD {it}
		< 200
		< Upload-Offset: 5
		< Upload-Length: 10`},
	{words: "said again it is not changed: the first answer may be lost", script: `
		> POST /files/
		> Upload-Defer-Length: 1
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> Upload-Length: 10
		> | hello
		< 204
		> PATCH {it}
		> Upload-Offset: 5
		> Upload-Length: 10
		> | world
		< 204
		< Upload-Offset: 10`},
	{words: "not less than what is there", script: `
		> POST /files/
		> Upload-Defer-Length: 1
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> | hello
		< 204
		> PATCH {it}
		> Upload-Offset: 5
		> Upload-Length: 4
		< 400|413
		> HEAD {it}
		< 200
		< Upload-Offset: 5
		< Upload-Defer-Length: 1`},
	{words: "with metadata", script: `
		> POST /files/
		> Upload-Defer-Length: 1
		> Upload-Metadata: a YQ==
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> Upload-Length: 10
		> | hello
		< 204
		> HEAD {it}
		< 200
		< Upload-Metadata: a YQ==`},
}

// deferValueRules: "If the Upload-Defer-Length header contains any other value than 1 the server should return 400."
func deferValueRules() (rules []rule) {
	for _, value := range []string{"0", "2", "01", "+1", "-1", "1.0", "1, 1", "true", "yes", ""} {
		rules = append(rules, rule{words: "MUST be 1, not [" + value + "]", script: strings.ReplaceAll(`
			> POST /files/
			> Upload-Defer-Length: {value}
			< 400
			> POST /files/
			> Upload-Length: 5
			> Upload-Defer-Length: {value}
			< 400`, "{value}", value)})
	}
	return rules
}

// metadataRules: "responses to HEAD requests MUST include the Upload-Metadata header and its value as specified by the Client".
func metadataRules() (rules []rule) {
	verbatim := []struct{ words, value string }{
		{"a pair", "filename YS50eHQ="},
		{"no value, no space", "is_confidential"},
		{"no value, with its space", "a ,b YQ=="},
		{"keys without values around", "a,filename YS50eHQ=,b"},
		{"only keys", "a,b,c"},
		{"not in the order of the alphabet", "z MQ==,y Mg==,x Mw==,a NA=="},
		{"case of keys", "FileName YQ==,filename Yg==,FILENAME Yw=="},
		{"a space after the comma", "a YQ==, b Yg=="},
		{"spaces around the comma", "a YQ== , b Yg=="},
		{"a tab after the comma", `a YQ==,\tb Yg==`},
		{"two spaces before the value", "a  YQ=="},
		{"signs in keys", "!#$%&'()*+-./:;<=>?@[]^_`{|}~\" YQ=="},
		{"a key that looks like a value", "YQ== YQ=="},
		{"every byte", "a " + base64.StdEncoding.EncodeToString(everyByte())},
		{"a long value", "a " + strings.Repeat("QUFB", 2500)},
		{"many keys", manyKeys(500)},
	}
	for _, row := range verbatim {
		rules = append(rules, rule{words: "verbatim: " + row.words, script: strings.ReplaceAll(`
			> POST /files/
			> Upload-Length: 10
			> Upload-Metadata: {value}
			< 201
			> HEAD {it}
			< 200
			< Upload-Metadata: {value}
			> PATCH {it}
			> Upload-Offset: 0
			> | hello
			< 204
			> HEAD {it}
			< 200
			< Upload-Metadata: {value}
			> PATCH {it}
			> Upload-Offset: 5
			> | world
			< 204
			> HEAD {it}
			< 200
			< Upload-Metadata: {value}`, "{value}", row.value)})
	}
	for _, row := range []struct{ words, value string }{
		{"a key is empty", ",a YQ=="}, {"the last key is empty", "a YQ==,"}, {"a key comes twice", "a YQ==,a Yg=="},
		{"a key comes twice, without values", "a,a"}, {"a key has a space", "my file YQ=="}, {"a value is no base64", "a !!"},
		{"a value is cut", "a YQ="}, {"a value lacks its padding", "a YQ"}, {"a value is base64 for URLs", "a _-8="}, {"a comma alone", ","},
	} {
		rules = append(rules, rule{words: "what MUST NOT be: " + row.words, script: "> POST /files/\n> Upload-Length: 5\n> Upload-Metadata: " + row.value + "\n< 400"})
	}
	return append(rules,
		rule{words: "an empty header is no metadata", script: `
			> POST /files/
			> Upload-Length: 5
			> Upload-Metadata:
			< 201
			> HEAD {it}
			< 200
			< !Upload-Metadata`},
		rule{words: "a header of spaces is no metadata", script: `
			> POST /files/
			> Upload-Length: 5
			> Upload-Metadata: \s\t\s
			< 201
			> HEAD {it}
			< 200
			< !Upload-Metadata`},
		rule{words: "values SHOULD be sanitised before they are headers", script: strings.ReplaceAll(`
			> POST /files/
			> Upload-Length: 5
			> Content-Type: application/offset+octet-stream
			> Upload-Metadata: filename {evil},filetype {evil},name {evil},type {evil}
			> | hello
			< 201
			< !X-Evil
			> HEAD {it}
			< 200
			< !X-Evil
			> GET {it}
			< 200
			< !X-Evil
			< | hello`, "{evil}", base64.StdEncoding.EncodeToString([]byte("a\r\nX-Evil: 1\r\n\r\nb")))})
}

func everyByte() []byte {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return all
}

func manyKeys(n int) string {
	pairs := make([]string, n)
	for i := range pairs {
		pairs[i] = fmt.Sprintf("key%d YQ==", i)
	}
	return strings.Join(pairs, ",")
}

var creationWithUploadRules = []rule{
	{words: "a chunk: MUST include Upload-Offset after it", script: `
		> POST /files/
		> Upload-Length: 11
		> Content-Type: application/offset+octet-stream
		> | hello
		< 201
		< Upload-Offset: 5
		> HEAD {it}
		< 200
		< Upload-Offset: 5
		< Upload-Length: 11
		> PATCH {it}
		> Upload-Offset: 5
		> |  world
		< 204
		< Upload-Offset: 11
		> GET {it}
		< 200
		< | hello world`},
	{words: "the entirety", script: `
		> POST /files/
		> Upload-Length: 5
		> Upload-Metadata: filename YS50eHQ=
		> Content-Type: application/offset+octet-stream
		> | hello
		< 201
		< Upload-Offset: 5
		> HEAD {it}
		< 200
		< Upload-Offset: 5
		< Upload-Metadata: filename YS50eHQ=
		> GET {it}
		< 200
		< | hello`},
	{words: "in chunks of HTTP", script: `
		> POST /files/
		> Upload-Length: 10
		> Content-Type: application/offset+octet-stream
		> Transfer-Encoding: chunked
		> | 2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n
		< 201
		< Upload-Offset: 5
		> HEAD {it}
		< 200
		< Upload-Offset: 5`},
	{words: "no bytes", script: `
		> POST /files/
		> Upload-Length: 5
		> Content-Type: application/offset+octet-stream
		> Content-Length: 0
		< 201
		< Upload-Offset: 0`},
	{words: "no bytes in chunks of HTTP", script: `
		> POST /files/
		> Upload-Length: 5
		> Content-Type: application/offset+octet-stream
		> Transfer-Encoding: chunked
		> | 0\r\n\r\n
		< 201
		< Upload-Offset: 0`},
	{words: "no bytes of an empty upload", script: `
		> POST /files/
		> Upload-Length: 0
		> Content-Type: application/offset+octet-stream
		> Content-Length: 0
		< 201
		< Upload-Offset: 0
		> GET {it}
		< 200
		< Content-Length: 0`},
	{words: "with a deferred length", script: `
		> POST /files/
		> Upload-Defer-Length: 1
		> Content-Type: application/offset+octet-stream
		> | hello
		< 201
		< Upload-Offset: 5
		> HEAD {it}
		< 200
		< Upload-Offset: 5
		< Upload-Defer-Length: 1
		> PATCH {it}
		> Upload-Offset: 5
		> Upload-Length: 5
		< 204
		> GET {it}
		< 200
		< | hello`},
	{words: "MUST include the Content-Type: none", script: `
		> POST /files/
		> Upload-Length: 5
		> | hello
		< 415`},
	{words: "MUST include the Content-Type: another", script: `
		> POST /files/
		> Upload-Length: 5
		> Content-Type: application/octet-stream
		> | hello
		< 415`},
	{words: "MUST include the Content-Type: another, in chunks of HTTP", script: `
		> POST /files/
		> Upload-Length: 5
		> Content-Type: text/plain
		> Transfer-Encoding: chunked
		> | 5\r\nhello\r\n0\r\n\r\n
		< 415`},
	{words: "the Content-Type in another case, with a parameter", script: `
		> POST /files/
		> Upload-Length: 5
		> Content-Type: Application/Offset+Octet-Stream; charset=binary
		> | hello
		< 201
		< Upload-Offset: 5`},
	{words: "by X-HTTP-Method-Override", script: `
		> PUT /files/
		> X-HTTP-Method-Override: POST
		> Upload-Length: 5
		> Content-Type: application/offset+octet-stream
		> | hello
		< 201
		< Upload-Offset: 5`},
	{words: "is offered only together with creation", script: `
		> OPTIONS /files/
		< 204
		< Tus-Extension ~ creation, creation-with-upload`},
}

// checksumRules: sha1 of hello is qvTGHdzF6KLavt4PO0gs2a6pQ00=.
var checksumRules = []rule{
	{words: "sha1 MUST be among Tus-Checksum-Algorithm", script: `
		> OPTIONS /files/
		< 204
		< Tus-Checksum-Algorithm ~ sha1`},
	{words: "one that matches", script: checksum("Upload-Checksum: sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00=", "204", "5")},
	{words: "one that does not match MUST be 460, the chunk discarded", script: checksum("Upload-Checksum: sha1 qvTGHdzF6KLavt4PO0gs2a6pQ04=", "460", "0")},
	{words: "one of other bytes MUST be 460, the chunk discarded", script: checksum("Upload-Checksum: sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "460", "0")},
	{words: "an unknown algorithm MUST be 400", script: checksum("Upload-Checksum: crc0 qvTGHdzF6KLavt4PO0gs2a6pQ00=", "400", "0")},
}

func checksum(line, status, offset string) string {
	return contentType("Content-Type: application/offset+octet-stream\n> "+line, status, offset)
}

var checksumTrailerRules = []rule{
	{words: "one that matches", script: checksumTrailer("qvTGHdzF6KLavt4PO0gs2a6pQ00=", "204", "5")},
	{words: "one of other bytes MUST be 460, the chunk discarded", script: checksumTrailer("2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "460", "0")},
}

func checksumTrailer(sum, status, offset string) string {
	return strings.NewReplacer("{sum}", sum, "{status}", status, "{offset}", offset).Replace(`
		> POST /files/
		> Upload-Length: 5
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> Trailer: Upload-Checksum
		> Transfer-Encoding: chunked
		> | 5\r\nhello\r\n0\r\nUpload-Checksum: sha1 {sum}\r\n\r\n
		< {status}
		> HEAD {it}
		< 200
		< Upload-Offset: {offset}`)
}

var terminationRules = []rule{
	{words: "MUST be 204: new", script: terminated(`
		> POST /files/
		> Upload-Length: 5
		< 201`)},
	{words: "MUST be 204: with a part of its bytes", script: terminated(`
		> POST /files/
		> Upload-Length: 10
		> Content-Type: application/offset+octet-stream
		> | hello
		< 201`)},
	{words: "MUST be 204: of unknown length", script: terminated(`
		> POST /files/
		> Upload-Defer-Length: 1
		< 201`)},
	{words: "MUST be 204: complete", script: terminated(`
		> POST /files/
		> Upload-Length: 5
		> Content-Type: application/offset+octet-stream
		> | hello
		< 201`)},
	{words: "MUST be 204: empty", script: terminated(`
		> POST /files/
		> Upload-Length: 0
		< 201`)},
	{words: "MUST be 204: an avatar, a video", script: terminated(`
		> POST /avatars/
		> Upload-Length: 5
		< 201`) + terminated(`
		> POST /videos/
		> Upload-Length: 5
		< 201`)},
	{words: "what never was is not found", script: `
		> DELETE /files/unknown
		< 404|410`},
	{words: "SHOULD free what the upload holds", deed: func(t *testing.T, s *server) {
		before := disk(t, s.data)
		open := s.create(t, "/files/", 10)
		s.send(t, open, content{size: 10}, 0, 5)
		for _, location := range []string{open, s.upload(t, "/files/", content{size: 10})} {
			if r := s.do(t, "DELETE", location, protocol); r.status != http.StatusNoContent {
				t.Errorf("DELETE %s: got %d %s, want 204", location, r.status, r.body)
			}
		}
		if diff := cmp.Diff(before, disk(t, s.data)); diff != "" {
			t.Errorf("the disk is not as it was (-before +after):\n%s", diff)
		}
	}},
	{words: "while bytes arrive", deed: func(t *testing.T, s *server) {
		location := s.create(t, "/files/", 10)
		l := s.dial(t)
		l.begin(location, 0, 10, []byte("hello"))
		l.drain(t)
		if r := s.do(t, "DELETE", location, protocol); r.status != http.StatusNoContent {
			t.Fatalf("got %d %s, want 204", r.status, r.body)
		}
		if r := s.do(t, "HEAD", location, protocol); r.status != http.StatusNotFound && r.status != http.StatusGone {
			t.Errorf("HEAD afterwards: got %d, want 404 or 410", r.status)
		}
	}},
}

// terminated ends the upload that a script makes: all later requests SHOULD be 404 or 410.
func terminated(script string) string {
	return script + `
		> DELETE {it}
		< 204
		> HEAD {it}
		< 404|410
		> PATCH {it}
		> Upload-Offset: 0
		> | hello
		< 404|410
		> GET {it}
		< 404|410
		> GET {it}/status
		< 404|410
		> DELETE {it}
		< 404|410
`
}

var expectRules = []rule{
	{words: "POST that is taken: its body is asked for", script: `
		> POST /files/
		> Upload-Length: 5
		> Content-Type: application/offset+octet-stream
		> Expect: 100-continue
		> | hello
		< 100
		< 201
		< Upload-Offset: 5`},
	{words: "PATCH that is taken: its body is asked for", script: `
		> POST /files/
		> Upload-Length: 5
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> Expect: 100-continue
		> | hello
		< 100
		< 204
		< Upload-Offset: 5`},
	{words: "in another case", script: `
		> POST /files/
		> Upload-Length: 5
		< 201
		> PATCH {it}
		> Upload-Offset: 0
		> expect: 100-Continue
		> | hello
		< 100
		< 204
		< Upload-Offset: 5`},
	{words: "POST without a length: refused before its body", script: expected("POST /files/", "400")},
	{words: "POST too large: refused before its body", script: expected("POST /avatars/", "413", "Upload-Length: {over}")},
	{words: "POST of another type: refused before its body", script: expected("POST /files/", "415", "Upload-Length: 5", "Content-Type: text/plain")},
	{words: "POST of another version: refused before its body", script: expected("POST /files/", "412", "Upload-Length: 5", "Tus-Resumable: 0.2.2")},
	{words: "POST with bad metadata: refused before its body", script: expected("POST /files/", "400", "Upload-Length: 5", "Upload-Metadata: a !!")},
	{words: "POST of more than its length: refused before its body", script: expected("POST /files/", "413", "Upload-Length: 4")},
	{words: "PATCH of unknown: refused before its body", script: expected("PATCH /files/unknown", "404", "Upload-Offset: 0")},
	{words: "PATCH at another offset: refused before its body", script: expected("PATCH {it}", "409", "Upload-Offset: 3")},
	{words: "PATCH of no offset: refused before its body", script: expected("PATCH {it}", "400")},
	{words: "PATCH of another type: refused before its body", script: expected("PATCH {it}", "415", "Upload-Offset: 0", "Content-Type: text/plain")},
	{words: "PATCH of another version: refused before its body", script: expected("PATCH {it}", "412", "Upload-Offset: 0", "Tus-Resumable: 0.2.2")},
	{words: "PATCH with another length: refused before its body", script: expected("PATCH {it}", "400", "Upload-Offset: 0", "Upload-Length: 6")},
	{words: "PATCH by POST at another offset: refused before its body", script: expected("POST {it}", "409", "X-HTTP-Method-Override: PATCH", "Upload-Offset: 3")},
	{words: "refused with Connection: close: the server ends it, whether the body comes or not", deed: func(t *testing.T, s *server) {
		location := s.create(t, "/files/", 5)
		l := s.dial(t)
		l.within(t, 5*time.Second)
		l.write([]byte(ask("PATCH "+location, protocol, chunkType, "Upload-Offset: 3", "Content-Length: 5", "Expect: 100-continue")))
		r, err := l.answer("PATCH")
		if err != nil || r.status != http.StatusConflict {
			t.Fatalf("got %d %v, want 409", r.status, err)
		}
		if !r.close {
			return // then it waits for the body
		}
		if err := l.closed(); err != nil {
			t.Errorf("after Connection: close: %v", err) // RFC 9112, section 9.6
		}
	}},
	{words: "a body of no bytes is not asked for", script: `
		> POST /files/
		> Upload-Length: 5
		> Expect: 100-continue
		> Content-Length: 0
		< 201`},
}

// expected is a request that is refused by its header, of which the body never comes or comes unasked.
func expected(first, status string, header ...string) string {
	text := "> POST /files/\n> Upload-Length: 5\n< 201\n> " + first + "\n> Expect: 100-continue\n> | hello\n"
	if !slices.ContainsFunc(header, func(line string) bool { return strings.HasPrefix(line, "Content-Type:") }) {
		text += "> " + chunkType + "\n"
	}
	for _, line := range header {
		text += "> " + line + "\n"
	}
	return text + "< " + status + "\n> HEAD {it}\n< 200\n< Upload-Offset: 0\n"
}

var httpRules = []rule{
	{words: "a target in absolute form", script: `
		> POST http://{host}/files/
		> Upload-Length: 5
		< 201
		> PATCH http://{host}{it}
		> Upload-Offset: 0
		> | hello
		< 204
		< Upload-Offset: 5
		> HEAD http://{host}{it}
		< 200
		< Upload-Offset: 5
		> OPTIONS http://{host}/files/
		< 204
		> DELETE http://{host}{it}
		< 204`},
	{words: "a target in absolute form, of another host than Host", script: `
		> POST http://uploads.example/files/
		> Upload-Length: 5
		< 201
		> HEAD https://uploads.example{it}
		> Host: other.example
		< 200
		< Upload-Offset: 0`},
	{words: "HTTP/1.0", script: `
		> POST /files/ HTTP/1.0
		> Upload-Length: 10
		< 201
		> HEAD {it} HTTP/1.0
		< 200
		< Upload-Offset: 0
		< Upload-Length: 10
		> PATCH {it} HTTP/1.0
		> Upload-Offset: 0
		> | hello
		< 204
		< Upload-Offset: 5
		> HEAD {it} HTTP/1.0
		< 200
		< Upload-Offset: 5
		> HEAD /files/unknown HTTP/1.0
		< 404
		> DELETE {it} HTTP/1.0
		< 204`},
	{words: "HTTP/1.0 that wishes to go on", script: `
		> POST /files/ HTTP/1.0
		> Connection: keep-alive
		> Upload-Length: 5
		< 201
		> HEAD {it} HTTP/1.0
		> Connection: keep-alive
		< 200
		< Upload-Offset: 0`},
	{words: "a client that wishes to end", script: `
		> POST /files/
		> Upload-Length: 5
		> Connection: close
		< 201
		< Connection: close
		> HEAD {it}
		> Connection: close
		< 200
		< Upload-Offset: 0`},
	{words: "requests that do not wait for answers", script: `
		> POST /files/
		> Upload-Length: 10
		< 201
		> HEAD {it}
		> PATCH {it}
		> Upload-Offset: 0
		> | hello
		> HEAD {it}
		> PATCH {it}
		> Upload-Offset: 5
		> | world
		> GET {it}
		> DELETE {it}
		> HEAD {it}
		< 200
		< Upload-Offset: 0
		< 204
		< Upload-Offset: 5
		< 200
		< Upload-Offset: 5
		< 204
		< Upload-Offset: 10
		< 200
		< | helloworld
		< 204
		< 404|410`},
	{words: "refused requests that do not wait for answers", script: `
		> POST /files/
		> Upload-Length: 10
		< 201
		> HEAD /files/unknown
		> PATCH /files/unknown
		> Upload-Offset: 0
		> Content-Length: 0
		> POST /files/
		> DELETE /files/unknown
		> HEAD {it}
		< 404
		< 404
		< 400
		< 404
		< 200
		< Upload-Offset: 0`},
	{words: "names of headers in small letters", script: `
		> POST /files/
		> host: {host}
		> tus-resumable: 1.0.0
		> upload-length: 10
		> upload-metadata: a YQ==
		< 201
		> POST {it}
		> x-http-method-override: PATCH
		> tus-resumable: 1.0.0
		> content-type: application/offset+octet-stream
		> upload-offset: 0
		> content-length: 5
		> | hello
		< 204
		< Upload-Offset: 5
		> HEAD {it}
		> tus-resumable: 1.0.0
		< 200
		< Upload-Metadata: a YQ==`},
	{words: "names of headers in capitals", script: `
		> POST /files/
		> HOST: {host}
		> TUS-RESUMABLE: 1.0.0
		> UPLOAD-DEFER-LENGTH: 1
		> UPLOAD-METADATA: a YQ==
		< 201
		> PATCH {it}
		> TUS-RESUMABLE: 1.0.0
		> CONTENT-TYPE: application/offset+octet-stream
		> UPLOAD-OFFSET: 0
		> UPLOAD-LENGTH: 5
		> TRANSFER-ENCODING: chunked
		> | 5\r\nhello\r\n0\r\n\r\n
		< 204
		< Upload-Offset: 5
		> HEAD {it}
		< 200
		< Upload-Metadata: a YQ==`},
	{words: "values right after the colon", script: `
		> POST /files/
		> Tus-Resumable:1.0.0
		> Upload-Length:5
		> Upload-Metadata:a YQ==
		< 201
		> PATCH {it}
		> Tus-Resumable:1.0.0
		> Content-Type:application/offset+octet-stream
		> Upload-Offset:0
		> | hello
		< 204`},
	{words: "a query is no part of an upload's name", script: `
		> POST /files/?a=b
		> Upload-Length: 5
		< 201
		> PATCH {it}?token=1
		> Upload-Offset: 0
		> | hello
		< 204
		> HEAD {it}?token=2
		< 200
		< Upload-Offset: 5`},
	{words: "an octet spelled in percent is the same address", script: `
		> POST /%66iles/
		> Upload-Length: 5
		< 201
		> HEAD {it}
		< 200`},
	{words: "lines that end in a line feed alone", deed: func(t *testing.T, s *server) {
		location := s.create(t, "/files/", 5)
		l := s.dial(t)
		l.within(t, 10*time.Second)
		l.write([]byte(strings.ReplaceAll(ask("HEAD "+location, protocol), "\r\n", "\n")))
		if r, err := l.answer("HEAD"); err != nil || r.status != http.StatusOK {
			t.Errorf("got %d %v, want 200", r.status, err)
		}
	}},
}

// originRules: what a page of another origin may send and may see. The list of headers is what clients of the protocol use.
var originRules = []rule{
	{words: "a preflight allows the protocol", script: `
		> OPTIONS /files/
		> Origin: https://app.example
		> Access-Control-Request-Method: POST
		> Access-Control-Request-Headers: tus-resumable,upload-length,upload-metadata
		< 204|200
		< Access-Control-Allow-Origin: *
		< Access-Control-Allow-Methods ~ POST, HEAD, PATCH, DELETE, GET
		< Access-Control-Allow-Headers ~ Tus-Resumable, Upload-Length, Upload-Offset, Upload-Metadata, Upload-Defer-Length, Upload-Checksum, Content-Type, X-HTTP-Method-Override, X-Requested-With, X-Request-ID, Authorization
		< Access-Control-Max-Age: *
		< Tus-Version: *`},
	{words: "a preflight at an upload, at every profile", script: `
		> POST /avatars/
		> Upload-Length: 5
		< 201
		> OPTIONS {it}
		> Origin: https://app.example
		> Access-Control-Request-Method: PATCH
		> Access-Control-Request-Headers: content-type,tus-resumable,upload-offset
		< 204|200
		< Access-Control-Allow-Origin: *
		< Access-Control-Allow-Methods ~ HEAD, PATCH, DELETE
		< Access-Control-Allow-Headers ~ Tus-Resumable, Upload-Offset, Content-Type
		> OPTIONS /videos/unknown
		> Origin: https://app.example
		> Access-Control-Request-Method: HEAD
		< 204|200
		< Access-Control-Allow-Origin: *`},
	{words: "every answer can be read", script: `
		> POST /files/
		> Origin: https://app.example
		> Upload-Length: 10
		< 201
		< Access-Control-Allow-Origin: *
		< Access-Control-Expose-Headers ~ Location, Upload-Offset, Tus-Resumable, Upload-Expires
		> PATCH {it}
		> Origin: https://app.example
		> Upload-Offset: 0
		> | hello
		< 204
		< Access-Control-Allow-Origin: *
		< Access-Control-Expose-Headers ~ Upload-Offset, Tus-Resumable, Upload-Expires
		> HEAD {it}
		> Origin: https://app.example
		< 200
		< Access-Control-Allow-Origin: *
		< Access-Control-Expose-Headers ~ Upload-Offset, Upload-Length, Upload-Defer-Length, Upload-Metadata, Tus-Resumable
		> POST {it}
		> Origin: https://app.example
		> X-HTTP-Method-Override: DELETE
		< 204
		< Access-Control-Allow-Origin: *`},
	{words: "every error can be read", script: `
		> POST /files/
		> Origin: https://app.example
		< 400
		< Access-Control-Allow-Origin: *
		> POST /avatars/
		> Origin: https://app.example
		> Upload-Length: {over}
		< 413
		< Access-Control-Allow-Origin: *
		> HEAD /files/unknown
		> Origin: https://app.example
		< 404
		< Access-Control-Allow-Origin: *
		> POST /files/
		> Origin: https://app.example
		> Tus-Resumable: 0.2.2
		> Upload-Length: 5
		< 412
		< Access-Control-Allow-Origin: *
		< Access-Control-Expose-Headers ~ Tus-Version, Tus-Extension, Tus-Max-Size
		> POST /files/
		> Upload-Length: 10
		< 201
		> PATCH {it}
		> Origin: https://app.example
		> Upload-Offset: 3
		< 409
		< Access-Control-Allow-Origin: *
		< Access-Control-Expose-Headers ~ Upload-Offset
		> PATCH {it}
		> Origin: https://app.example
		> Content-Type: text/plain
		> Upload-Offset: 0
		> | hello
		< 415
		< Access-Control-Allow-Origin: *`},
	{words: "an error before the method is known can be read", script: `
		> POST /files/
		> Origin: https://app.example
		> X-HTTP-Method-Override: BREW
		< 400
		< Access-Control-Allow-Origin: *`},
	{words: "who is of no other origin is told nothing of it", script: `
		> OPTIONS /files/
		< 204
		< !Access-Control-Allow-Origin
		> POST /files/
		> Upload-Length: 5
		< 201
		< !Access-Control-Allow-Origin`},
	{words: "only origins that are allowed", deed: func(t *testing.T, _ *server) {
		rule{script: `
			> OPTIONS /files/
			> Origin: https://app.example
			> Access-Control-Request-Method: POST
			< 204
			< Access-Control-Allow-Origin: https://app.example
			< Vary ~ Origin
			> OPTIONS /files/
			> Origin: https://other.example
			> Access-Control-Request-Method: POST
			< 204
			< !Access-Control-Allow-Origin
			< Vary ~ Origin
			> POST /files/
			> Origin: https://app.example
			> Upload-Length: 5
			< 201
			< Access-Control-Allow-Origin: https://app.example
			< Vary ~ Origin
			> HEAD {it}
			> Origin: https://other.example
			< 200
			< !Access-Control-Allow-Origin`}.check(t, start(t, "--cors-origin", "https://app.example"))
	}},
}
