package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// partial is a script that makes a partial upload of text at /files/, and calls it {name}.
func partial(name, text string) string { return partialOf("/files/", name, text, len(text)) }

// partialOf makes one anywhere, of which text is only the beginning if length is more.
func partialOf(path, name, text string, length int) string {
	return fmt.Sprintf("> POST %s\n> Upload-Concat: partial\n> Upload-Length: %d\n> %s\n> | %s\n< 201 {%s}\n",
		path, length, chunkType, text, name)
}

// helloWorld makes the two partial uploads that most scripts join.
var helloWorld = partial("a", "hello ") + partial("b", "world")

// join is a script that joins what list names, waits for it and calls it {whole}.
func join(list string) string {
	return "> POST /files/\n> Upload-Concat: final;" + list + "\n< 201 {whole}\n= {whole} ready\n"
}

// reads is a script that reads {whole}.
func reads(text string) string {
	return fmt.Sprintf("> GET {whole}\n< 200\n< Content-Length: %d\n", len(text)) + "< | " + text + "\n"
}

func concatenationRules() []rule {
	return slices.Concat(partialRules, finalRules, listRules(), finalLengthRules, modifyFinalRules, concatMetadataRules, partsOnlyRules)
}

var partialRules = []rule{
	{words: "the Server MUST add concatenation to Tus-Extension", script: `
		> OPTIONS /files/
		< 204
		< Tus-Extension ~ concatenation`},
	{words: "Upload-Concat: partial makes a partial upload, HEAD MUST have Upload-Concat as received", script: `
		> POST /files/
		> Upload-Concat: partial
		> Upload-Length: 10
		< 201
		> HEAD {it}
		< 200
		< Upload-Concat: partial
		< Upload-Offset: 0
		< Upload-Length: 10
		> PATCH {it}
		> Upload-Concat: partial
		> Upload-Offset: 0
		> | hello
		< 204
		< Upload-Offset: 5
		> HEAD {it}
		> Upload-Concat: partial
		< 200
		< Upload-Concat: partial
		< Upload-Offset: 5
		> PATCH {it}
		> Upload-Offset: 5
		> | world
		< 204
		< Upload-Offset: 10
		> HEAD {it}
		< 200
		< Upload-Concat: partial
		< Upload-Offset: 10
		< Upload-Length: 10`},
	{words: "a partial upload of unknown length", script: `
		> POST /files/
		> Upload-Concat: partial
		> Upload-Defer-Length: 1
		> Content-Type: application/offset+octet-stream
		> | hello
		< 201 {a}
		> HEAD {a}
		< 200
		< Upload-Concat: partial
		< Upload-Defer-Length: 1
		> PATCH {a}
		> Upload-Offset: 5
		> Upload-Length: 5
		> Content-Length: 0
		< 204` + "\n" + join("{a}") + reads("hello")},
	{words: "what is neither partial nor final is not Upload-Concat's", script: `
		> POST /files/
		> Upload-Length: 10
		< 201
		> HEAD {it}
		< 200
		< !Upload-Concat`},
	{words: "the Server MAY respond 413 to a partial upload that is too large", script: `
		> POST /avatars/
		> Upload-Concat: partial
		> Upload-Length: {over}
		< 413`},
	{words: "a value that is not of the protocol makes nothing", deed: func(t *testing.T, _ *server) {
		s := start(t)
		before := disk(t, s.data)
		for _, value := range []string{
			"", "Partial", "partial;", "partial,partial", "partial ;", "part", "1", "Final;/files/a", ";/files/a", "final", "finals;/files/a",
		} {
			r := s.do(t, "POST", "/files/", protocol, "Upload-Length: 5", "Upload-Concat: "+value)
			if r.status != http.StatusBadRequest {
				t.Errorf("%q: got %d %s, want 400", value, r.status, r.body)
			}
		}
		r := s.do(t, "POST", "/files/", protocol, "Upload-Length: 5", "Upload-Concat: partial", "Upload-Concat: partial")
		if r.status != http.StatusBadRequest {
			t.Errorf("twice: got %d %s, want 400", r.status, r.body)
		}
		if diff := cmp.Diff(before, disk(t, s.data)); diff != "" {
			t.Errorf("the disk is not as it was (-before +after):\n%s", diff)
		}
	}},
}

var finalRules = []rule{
	{words: "the final upload is the concatenation of the partial ones, its length MUST be the sum of theirs", script: helloWorld + join("{a} {b}") + `
		> HEAD {whole}
		< 200
		< Upload-Offset: 11
		< Upload-Length: 11` + "\n" + reads("hello world")},
	{words: "MUST be concatenated in the order of the list", script: helloWorld + join("{b} {a}") + reads("worldhello ")},
	{words: "one alone", script: helloWorld + join("{b}") + reads("world")},
	{words: "the same twice", script: helloWorld + join("{b} {a} {b} {b}") + reads("worldhello worldworld")},
	{words: "more than two", script: helloWorld + partial("c", "!") + partial("d", " ") + join("{a} {b} {c} {d} {a} {c}") + reads("hello world! hello !")},
	{words: "an empty one between others", script: helloWorld + `
		> POST /files/
		> Upload-Concat: partial
		> Upload-Length: 0
		< 201 {empty}` + "\n" + join("{a} {empty} {b} {empty}") + reads("hello world")},
	{words: "nothing but empty ones", script: `
		> POST /files/
		> Upload-Concat: partial
		> Upload-Length: 0
		< 201 {empty}` + "\n" + join("{empty} {empty}") + `
		> HEAD {whole}
		< 200
		< Upload-Offset: 0
		< Upload-Length: 0
		> GET {whole}
		< 200
		< Content-Length: 0`},
	{words: "POST at the endpoint without its last slash", script: helloWorld + `
		> POST /files
		> Upload-Concat: final;{a} {b}
		< 201 {whole}
		= {whole} ready` + "\n" + reads("hello world")},
	{words: "POST by X-HTTP-Method-Override", script: helloWorld + `
		> PUT /files/
		> X-HTTP-Method-Override: POST
		> Upload-Concat: final;{a} {b}
		< 201 {whole}
		= {whole} ready` + "\n" + reads("hello world")},
	{words: "of another version MUST NOT be processed", script: helloWorld + `
		> POST /files/
		> Tus-Resumable: 0.2.2
		> Upload-Concat: final;{a} {b}
		< 412` + "\n" + join("{a} {b}") + reads("hello world")},
	{words: "a content type that describes nothing is no matter", script: helloWorld + `
		> POST /files/
		> Content-Type: application/offset+octet-stream
		> Content-Length: 0
		> Upload-Concat: final;{a} {b}
		< 201`},
	{words: "a page of another origin may send it, and see it", script: helloWorld + `
		> OPTIONS /files/
		> Origin: https://app.example
		> Access-Control-Request-Method: POST
		> Access-Control-Request-Headers: tus-resumable,upload-concat
		< 204|200
		< Access-Control-Allow-Headers ~ Upload-Concat
		> POST /files/
		> Origin: https://app.example
		> Upload-Concat: final;{a} {b}
		< 201
		< Access-Control-Allow-Origin: *
		< Access-Control-Expose-Headers ~ Location
		> HEAD {it}
		> Origin: https://app.example
		< 200
		< Access-Control-Expose-Headers ~ Upload-Concat`},
	{words: "is removed like any other upload", script: helloWorld + join("{a} {b}") + `
		> DELETE {whole}
		< 204
		> HEAD {whole}
		< 404
		> GET {whole}
		< 404`},
	{words: "asked for again after a lost answer it is the same", script: helloWorld + `
		> POST /files/
		> Upload-Concat: final;{a} {b}
		> Upload-Metadata: filename YS50eHQ=
		< 201 {whole}
		= {whole} ready
		> POST /files/
		> Upload-Concat: final;{a} {b}
		> Upload-Metadata: filename YS50eHQ=
		< 201
		< Location: {whole}
		> POST /files/
		> Upload-Concat: final;{b} {a}
		> Upload-Metadata: filename YS50eHQ=
		< 400
		> POST /files/
		> Upload-Concat: final;{a} {b}
		< 400` + "\n" + reads("hello world")},
}

// listRules: "The list of the partial uploads' URLs, separated by spaces. The URLs MAY be absolute or relative", and are echoed
// by HEAD "as received in the upload creation request".
func listRules() (rules []rule) {
	for _, list := range []string{
		`{a} {b}`, `{a}  {b}`, `{a}\t{b}`, `\s{a} {b}`, `{a}/ {b}/`, `{a}?token=1 {b}#end`, `{a.id} {b.id}`, `./{a.id} ../files/{b.id}`,
		`http://{host}{a} http://{host}{b}`, `https://uploads.example{a} HTTP://other.example:8080{b}`, `//uploads.example{a} {b}`,
		`https://user:word@uploads.example{a} {b}/`, `/%66iles/{a.id} {b}`, `/videos/../files/{a.id} {b}`,
	} {
		rules = append(rules, rule{words: "the list is taken, and echoed as received: [" + list + "]", script: helloWorld + join(list) + `
			> HEAD {whole}
			< 200
			< Upload-Concat: final;` + list + `
			< Upload-Offset: 11
			< Upload-Length: 11` + "\n" + reads("hello world")})
	}
	return append(rules,
		rule{words: "space around a header's value is not part of it", script: helloWorld + `
			> POST /files/
			> Upload-Concat: \s\tfinal;{a} {b}\t\s
			< 201 {whole}
			= {whole} ready
			> HEAD {whole}
			< 200
			< Upload-Concat: final;{a} {b}` + "\n" + reads("hello world")},
		rule{words: "a list of other things than partial uploads of this endpoint makes nothing", deed: refuseLists})
}

// refuseLists sends lists with something wrong in them.
func refuseLists(t *testing.T, _ *server) {
	s := start(t)
	names := listFixtures(t, s)
	for _, value := range []string{
		"final", "final;", "final; ", "final,{a}", "final {a}", "final;;{a}", "final;{a};{b}", "final;{a},{b}", "finals;{a}", "Final;{a}",
		"partial;{a}",
		"final;/files/unknown", "final;{a} /files/unknown", "final;/files/00000000000000000000000000000000 {a}", "final;unknown",
		"final;/files/", "final;/files", "final;/", "final;*", "final;.", "final;..", "final;/files/.", "final;/files/..", "final;/files/a.b",
		"final;/files/../{a.id}", "final;/{a.id}", "final;/files//{a.id}", "final;{a}//", "final;{a}/status", "final;{a}/..",
		"final;{a}.info", "final;{a} {a}x",
		"final;/files/..%2f..%2fetc%2fpasswd", "final;/files/%2e%2e%2ffile%2f{a.id}", "final;/files/%00", "final;{a}%00", "final;/files/%zz",
		`final;\files\{a.id}`, "final;/FILES/{a.id}", "final;/files/" + strings.Repeat("a", 129), "final;http://[/files/a", "final;mailto:{a.id}",
		"final;?{a.id}", "final;#{a.id}", "final;http://{a.id}", "final;http://uploads.example", "final;http://uploads.example/x{a}",
		"final;{plain}", "final;{a} {plain}", "final;{open}", "final;{whole}", "final;{pending}", "final;{a} {pending}",
		"final;{joined} {joined}", "final;{a} {joined}", "final;{gone}",
		"final;{film}", "final;{a} {film}", "final;/files/{film.id}", "final;/videos/{a.id}",
	} {
		t.Run(value, func(t *testing.T) {
			before := disk(t, s.data)
			r := s.do(t, "POST", "/files/", protocol, "Upload-Concat: "+names.Replace(value))
			if r.status != http.StatusBadRequest || r.problem().Code != "bad_concat" || r.header.Get("Location") != "" {
				t.Errorf("got %d %s, Location %q, want 400 bad_concat without", r.status, r.body, r.header.Get("Location"))
			}
			if diff := cmp.Diff(before, disk(t, s.data)); diff != "" {
				t.Errorf("the disk is not as it was (-before +after):\n%s", diff)
			}
		})
	}
}

// listFixtures makes the uploads that refuseLists names: {a} and {b} could be joined.
func listFixtures(t *testing.T, s *server) *strings.Replacer {
	t.Helper()
	file, part := content{size: 5, head: movie}, "Upload-Concat: partial"
	uploads := map[string]string{
		"plain": s.upload(t, "/files/", file), "open": s.create(t, "/files/", 5), "film": s.create(t, "/videos/", 5, part),
		"late": s.create(t, "/files/", 5, part),
	}
	for _, name := range []string{"a", "b", "joined", "gone"} {
		uploads[name] = s.create(t, "/files/", 5, part)
		s.send(t, uploads[name], file, 0, 5)
	}
	s.send(t, uploads["film"], file, 0, 5)
	s.do(t, "DELETE", uploads["gone"], protocol)
	uploads["whole"] = s.final(t, "/files/", uploads["joined"])
	s.awaitReady(t, uploads["whole"])
	await(t, "the part is joined", func() bool {
		return strings.Contains(string(s.do(t, "GET", uploads["joined"]+"/status").body), `"joinedIn":"`)
	})
	uploads["pending"] = s.final(t, "/files/", uploads["late"])
	var pairs []string
	for name, location := range uploads {
		pairs = append(pairs, "{"+name+"}", location, "{"+name+".id}", location[strings.LastIndex(location, "/")+1:])
	}
	return strings.NewReplacer(pairs...)
}

var finalLengthRules = []rule{
	{words: "the Client MUST NOT include Upload-Length in the creation of a final upload", script: refusedFinal("400", "bad_length", "Upload-Length: 11")},
	{words: "nor Upload-Defer-Length", script: refusedFinal("400", "bad_length", "Upload-Defer-Length: 1")},
	{words: "nor an empty one", script: refusedFinal("400", "bad_length", "Upload-Length:")},
	{words: "nor bytes", script: refusedFinal("403", "modify_final", chunkType, "| more")},
	{words: "nor bytes without a type", script: refusedFinal("403", "modify_final", "| more")},
	{words: "nor bytes in chunks of HTTP", script: refusedFinal("403", "modify_final", chunkType, "Transfer-Encoding: chunked", `| 4\r\nmore\r\n0\r\n\r\n`)},
	{words: "nor bytes that wait to be asked for", script: refusedFinal("403", "modify_final", chunkType, "Expect: 100-continue", "| more")},
	{words: "nor bad metadata", script: refusedFinal("400", "bad_metadata", "Upload-Metadata: a !!")},
	{words: "nor two lists", script: refusedFinal("400", "repeated_header", "Upload-Concat: final;{a} {b}")},
	{words: "larger than the maximum it MUST be 413", deed: func(t *testing.T, _ *server) {
		rule{script: partial("a", "sixsix") + partial("b", "five5") + `
			> POST /files/
			> Upload-Concat: final;{a} {b}
			< 413
			< |~ "code":"too_large"
			> HEAD {a}
			< 200` + "\n" + join("{b} {b}") + reads("five5five5")}.check(t, start(t, configured(t, profile("file", "maxBytes: 10"))))
	}},
}

// refusedFinal asks for a final upload with lines that it must not have, and then for one as it should be.
func refusedFinal(status, code string, lines ...string) string {
	script := helloWorld + "> POST /files/\n> Upload-Concat: final;{a} {b}\n"
	for _, line := range lines {
		script += "> " + line + "\n"
	}
	script += "< " + status + "\n< |~ \"code\":\"" + code + "\"\n> HEAD {a}\n< 200\n< Upload-Offset: 6\n"
	return script + join("{a} {b}") + reads("hello world")
}

var modifyFinalRules = []rule{
	{words: "PATCH against a final upload MUST be 403 and MUST NOT modify it", script: helloWorld + join("{a} {b}") + strings.Repeat(`
		> PATCH {whole}
		> Upload-Offset: 11
		> | more
		< 403
		< |~ "code":"modify_final"
		> PATCH {whole}
		> Upload-Offset: 11
		> Content-Length: 0
		< 403
		> PATCH {whole}
		> Upload-Offset: 0
		> Upload-Length: 15
		> | hello again
		< 403
		> POST {whole}
		> X-HTTP-Method-Override: PATCH
		> Content-Type: application/offset+octet-stream
		> Upload-Offset: 5
		> | more
		< 403
		> HEAD {whole}
		< 200
		< Upload-Offset: 11
		< Upload-Length: 11
		< Upload-Concat: final;{a} {b}`+"\n"+reads("hello world"), 2)},
	{words: "PATCH against a final upload MUST be 403, whatever else is wrong with it", script: helloWorld + join("{a} {b}") + `
		> PATCH {whole}
		> Content-Type: text/plain
		> Upload-Offset: 0
		> | more
		< 403
		> PATCH {whole}
		> Upload-Offset: x
		> | more
		< 403
		> PATCH {whole}
		> | more
		< 403` + "\n" + reads("hello world")},
}

var concatMetadataRules = []rule{
	{words: "metadata of partial uploads SHALL NOT be transferred to the final upload", script: `
		> POST /files/
		> Upload-Concat: partial
		> Upload-Length: 5
		> Upload-Metadata: filename YS50eHQ=,secret
		> Content-Type: application/offset+octet-stream
		> | hello
		< 201 {a}
		> HEAD {a}
		< 200
		< Upload-Metadata: filename YS50eHQ=,secret` + "\n" + join("{a}") + `
		> HEAD {whole}
		< 200
		< !Upload-Metadata
		> GET {whole}
		< 200
		< Content-Disposition: inline
		< | hello`},
	{words: "it has its own, as specified by the Client", script: `
		> POST /files/
		> Upload-Concat: partial
		> Upload-Length: 5
		> Upload-Metadata: filename YS50eHQ=
		> Content-Type: application/offset+octet-stream
		> | hello
		< 201 {a}
		> POST /files/
		> Upload-Concat: final;{a} {a}
		> Upload-Metadata: z , filename Yi50eHQ=,a
		< 201 {whole}
		= {whole} ready
		> HEAD {whole}
		< 200
		< Upload-Metadata: z , filename Yi50eHQ=,a
		> GET {whole}
		< 200
		< Content-Disposition: inline; filename=b.txt
		< | hellohello`},
}

var partsOnlyRules = []rule{
	{words: "partial uploads SHOULD NOT be processed: they are not served", script: partialOf("/files/", "half", "hello", 10) + partial("a", "hello") + `
		> GET {half}
		< 403|409
		> GET {a}
		< 403
		< |~ "code":"partial_upload"
		> GET {a}
		> Range: bytes=0-1
		< 403
		> HEAD {a}
		> -Tus-Resumable
		< 412
		> GET {a}/status
		< 200
		< |~ "state":"received"
		> GET {a}/status
		< 200
		< |~ "concat":"partial"`},
	{words: "partial uploads SHOULD NOT be processed: pictures, but the final SHOULD be", deed: joinPicture},
	{words: "partial uploads SHOULD NOT be processed: films, but the final SHOULD be", deed: joinFilm},
	{words: "the final SHOULD be processed: what is no film is refused", script: partialOf("/videos/", "a", "this is no film", 15) + `
		> POST /videos/
		> Upload-Concat: final;{a} {a}
		< 201
		= {it} rejected
		> GET {it}/status
		< 200
		< |~ "code":"unsupported_media_type"
		> HEAD {it}
		< 410
		> GET {it}
		< 410
		< |~ "code":"unsupported_media_type"
		> DELETE {it}
		< 204`},
	{words: "the Server MAY delete the partial uploads after the concatenation: their clients need not know", script: helloWorld + join("{a} {b}") + `
		> HEAD {a}
		< 200
		< Upload-Offset: 6
		< Upload-Length: 6
		< Upload-Concat: partial
		> PATCH {a}
		> Upload-Offset: 6
		> Content-Length: 0
		< 204
		< Upload-Offset: 6
		> GET {b}
		< 403
		< |~ "code":"partial_upload"
		> DELETE {b}
		< 204
		> HEAD {b}
		< 404` + "\n" + reads("hello world")},
	{words: "partial uploads MAY be used several times to form a final: where they are kept", deed: func(t *testing.T, _ *server) {
		again := join("{a} {b}") + reads("hello world") + join("{b} {a}") + reads("worldhello ") + join("{a}") + reads("hello ")
		rule{script: helloWorld + again + `
			> HEAD {a}
			< 200
			< Upload-Concat: partial
			< Upload-Offset: 6`}.check(t, start(t, configured(t, profile("file", "keepParts: true"))))
	}},
}

// final asks for an upload that is made of parts, and returns its location.
func (s *server) final(t *testing.T, path string, parts ...string) string {
	t.Helper()
	r := s.do(t, "POST", path, protocol, "Upload-Concat: final;"+strings.Join(parts, " "))
	if r.status != http.StatusCreated {
		t.Fatalf("POST %s of a final: got %d %s, want 201", path, r.status, r.body)
	}
	return r.header.Get("Location")
}

// awaitReady waits until an upload can be read.
func (s *server) awaitReady(t *testing.T, location string) {
	t.Helper()
	await(t, location+" is ready", func() bool { return s.standing(t, location).State == "ready" })
}

// parts sends a file in partial uploads that end where at says, and checks that nothing happens to them.
func (s *server) parts(t *testing.T, path string, file content, at ...int64) (locations []string) {
	t.Helper()
	from := int64(0)
	for _, end := range append(at, file.size) {
		location := s.create(t, path, end-from, "Upload-Concat: partial")
		if r := s.patch(t, location, 0, file.part(from, end), end-from); r.status != http.StatusNoContent {
			t.Fatalf("part from %d to %d: got %d %s, want 204", from, end, r.status, r.body)
		}
		if found := s.standing(t, location); found.State != "received" || len(found.Variants) > 0 {
			t.Errorf("part from %d to %d: got %+v, want received and no more", from, end, found)
		}
		locations, from = append(locations, location), end
	}
	return locations
}

// joinPicture sends a picture in two parts, neither of which is one.
func joinPicture(t *testing.T, _ *server) {
	s := start(t)
	picture := gradient(t, 640, 480)
	length := int64(len(picture))
	parts := s.parts(t, "/avatars/", content{size: length, head: picture}, length/2)
	for range 3 {
		for _, part := range parts {
			s.offset(t, part) // who asks for an upload that is received has it processed, but not for a part
			if found := s.standing(t, part); found.State != "received" {
				t.Fatalf("the part is %s, want received", found.State)
			}
		}
	}
	avatar := s.final(t, "/avatars/", parts...)
	s.awaitReady(t, avatar)
	s.checkVariants(t, avatar)
	if n := s.metric(t, "sluice_finish_seconds_count"); n != 1 {
		t.Errorf("%.0f uploads were processed, want the final alone", n)
	}
	if r := s.do(t, "GET", avatar); !bytes.Equal(r.body, picture) {
		t.Errorf("the avatar has %d bytes, want the %d that were sent", len(r.body), length)
	}
}

// joinFilm sends a film in three parts of which only the first begins like one.
func joinFilm(t *testing.T, s *server) {
	film := content{size: 100_000, head: movie}
	parts := s.parts(t, "/videos/", film, 10, 50_000)
	location := s.final(t, "/videos/", parts...)
	s.awaitReady(t, location)
	s.checkContent(t, location, film)
	if r := s.do(t, "GET", location+"/status"); !strings.Contains(string(r.body), `"mediaType":"video/mp4"`) {
		t.Errorf("the status does not say that it is a film: %s", r.body)
	}
}

// helloLater makes two partial uploads of which {b} lacks its last bytes, and a final one that waits for it.
var helloLater = partial("a", "hello ") + partialOf("/files/", "b", "wor", 5) + `
	> POST /files/
	> Upload-Concat: final;{a} {b}
	< 201 {whole}
	< !Upload-Offset
`

// worldAtLast sends what {b} lacks.
const worldAtLast = `
	> PATCH {b}
	> Upload-Offset: 3
	> | ld
	< 204
	< Upload-Offset: 5
	= {whole} ready
`

var unfinishedRules = []rule{
	{words: "the Server MUST announce that it takes unfinished partial uploads", script: `
		> OPTIONS /files/
		< 204
		< Tus-Extension ~ concatenation, concatenation-unfinished`},
	{words: "a final MAY be created before its partial uploads are finished", script: helloLater + worldAtLast + `
		> HEAD {whole}
		< 200
		< Upload-Offset: 11
		< Upload-Length: 11
		< Upload-Concat: final;{a} {b}` + "\n" + reads("hello world")},
	{words: "before any has a byte", script: `
		> POST /files/
		> Upload-Concat: partial
		> Upload-Length: 6
		< 201 {a}
		> POST /files/
		> Upload-Concat: partial
		> Upload-Length: 5
		< 201 {b}
		> POST /files/
		> Upload-Concat: final;{a} {b}
		< 201 {whole}
		> PATCH {b}
		> Upload-Offset: 0
		> | world
		< 204
		> HEAD {whole}
		< 200
		< !Upload-Offset
		> PATCH {a}
		> Upload-Offset: 0
		> | hello\s
		< 204
		= {whole} ready` + "\n" + reads("hello world")},
	{words: "HEAD of a final SHOULD NOT have Upload-Offset until it is done; Upload-Length MUST be there if it can be computed", script: helloLater + `
		> HEAD {whole}
		< 200
		< !Upload-Offset
		< !Upload-Expires
		< Upload-Length: 11
		< Upload-Concat: final;{a} {b}
		> GET {whole}/status
		< 200
		< |~ "state":"receiving"
		> GET {whole}/status
		< 200
		< |~ "length":11
		> GET {whole}
		< 409
		< |~ "code":"not_ready"` + worldAtLast + `
		> HEAD {whole}
		< 200
		< Upload-Offset: 11
		< Upload-Length: 11`},
	{words: "HEAD of a final whose length cannot be computed", script: partial("a", "hello ") + `
		> POST /files/
		> Upload-Concat: partial
		> Upload-Defer-Length: 1
		< 201 {b}
		> POST /files/
		> Upload-Concat: final;{b} {a} {b}
		< 201 {whole}
		> HEAD {whole}
		< 200
		< !Upload-Offset
		< !Upload-Length
		< !Upload-Defer-Length
		< Upload-Concat: final;{b} {a} {b}
		> GET {whole}/status
		< 200
		< |~ "length":null
		> PATCH {b}
		> Upload-Offset: 0
		> Upload-Length: 5
		> | wor
		< 204
		> HEAD {whole}
		< 200
		< !Upload-Offset
		< Upload-Length: 16
		> GET {whole}/status
		< 200
		< |~ "length":16` + worldAtLast + `
		> HEAD {whole}
		< 200
		< Upload-Offset: 16
		< Upload-Length: 16` + "\n" + reads("worldhello world")},
	{words: "the length of a partial upload that is told last", script: partial("a", "hello ") + `
		> POST /files/
		> Upload-Concat: partial
		> Upload-Defer-Length: 1
		> Content-Type: application/offset+octet-stream
		> | world
		< 201 {b}
		> POST /files/
		> Upload-Concat: final;{a} {b}
		< 201 {whole}
		> PATCH {b}
		> Upload-Offset: 5
		> Upload-Length: 5
		> Content-Length: 0
		< 204
		= {whole} ready` + "\n" + reads("hello world")},
	{words: "PATCH against a final that waits MUST be 403, and MUST NOT modify it or its partial uploads", script: helloLater + `
		> PATCH {whole}
		> Upload-Offset: 0
		> | more
		< 403
		< |~ "code":"modify_final"
		> PATCH {whole}
		> Upload-Offset: 9
		> | ld
		< 403
		> PATCH {whole}
		> Upload-Offset: 0
		> Upload-Length: 5
		> Content-Length: 0
		< 403
		> HEAD {whole}
		< 200
		< Upload-Length: 11
		> HEAD {b}
		< 200
		< Upload-Offset: 3` + worldAtLast + reads("hello world")},
	{words: "its metadata is there from the beginning", script: partialOf("/files/", "a", "hello", 10) + `
		> POST /files/
		> Upload-Concat: final;{a}
		> Upload-Metadata: filename YS50eHQ=,b
		< 201
		> HEAD {it}
		< 200
		< Upload-Metadata: filename YS50eHQ=,b`},
	{words: "asked for again after a lost answer it is the same", script: helloLater + `
		> POST /files/
		> Upload-Concat: final;{a} {b}
		< 201
		< Location: {whole}
		> POST /files/
		> Upload-Concat: final;{a} {b}
		> Upload-Metadata: a YQ==
		< 201 {other}
		> POST /files/
		> Upload-Concat: final;{b} {a}
		< 201 {turned}
		> POST /files/
		> Upload-Concat: final;http://{host}{b}/ {a}
		< 201
		< Location: {turned}` + worldAtLast + `
		= {other} ready
		= {turned} ready
		> GET {turned}
		< 200
		< | worldhello\s
		> DELETE {whole}
		< 204
		> GET {other}
		< 200
		< | hello world`},
	{words: "a partial upload that is deleted meanwhile ends it", script: helloLater + `
		> DELETE {b}
		< 204
		= {whole} rejected
		> GET {whole}/status
		< 200
		< |~ "code":"parts_missing"
		> HEAD {whole}
		< 410
		> GET {whole}
		< 410
		< |~ "code":"parts_missing"
		> PATCH {whole}
		> Upload-Offset: 0
		> | hello
		< 410
		> DELETE {whole}
		< 204
		> HEAD {whole}
		< 404`},
	{words: "a partial upload that is deleted though it is complete ends it too", script: helloLater + `
		> DELETE {a}
		< 204
		= {whole} rejected
		> GET {whole}/status
		< 200
		< |~ "code":"parts_missing"`},
	{words: "a final that waits can be deleted; its partial uploads stay", script: helloLater + `
		> DELETE {whole}
		< 204
		> HEAD {whole}
		< 404
		> DELETE {whole}
		< 404
		> HEAD {a}
		< 200
		< Upload-Offset: 6
		> PATCH {b}
		> Upload-Offset: 3
		> | ld
		< 204
		> HEAD {b}
		< 200
		< Upload-Offset: 5` + "\n" + join("{a} {b}") + reads("hello world")},
	{words: "a partial upload that is not taken ends nothing but itself", script: helloLater + `
		> PATCH {b}
		> Upload-Offset: 3
		> | ld and more
		< 413
		> PATCH {b}
		> Upload-Offset: 3
		> Upload-Checksum: sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00=
		> | ld
		< 460
		> HEAD {whole}
		< 200
		< !Upload-Offset` + worldAtLast + reads("hello world")},
	{words: "what turns out larger than the maximum is refused", deed: func(t *testing.T, _ *server) {
		rule{script: partial("a", "sixsix") + `
			> POST /files/
			> Upload-Concat: partial
			> Upload-Defer-Length: 1
			< 201 {b}
			> POST /files/
			> Upload-Concat: final;{a} {b}
			< 201 {whole}
			> PATCH {b}
			> Upload-Offset: 0
			> Upload-Length: 5
			> | five5
			< 204
			= {whole} rejected
			> GET {whole}/status
			< 200
			< |~ "code":"too_large"
			> GET {whole}
			< 410
			< |~ "code":"too_large"`}.check(t, start(t, configured(t, profile("file", "maxBytes: 10"))))
	}},
	{words: "a partial upload that expires unfinished ends it", deed: func(t *testing.T, _ *server) {
		s := start(t, shortLived(t), "--sweep-interval", "50ms")
		done, late := s.create(t, "/files/", 5, "Upload-Concat: partial"), s.create(t, "/files/", 5, "Upload-Concat: partial")
		s.send(t, done, content{size: 5}, 0, 5)
		location := s.final(t, "/files/", done, late)
		await(t, "the final is rejected", func() bool { return s.standing(t, location).State == "rejected" })
		if r := s.do(t, "GET", location); r.status != http.StatusGone || r.problem().Code != "parts_missing" {
			t.Errorf("got %d %s, want 410 parts_missing", r.status, r.body)
		}
		s.checkExpired(t, late)
	}},
}
