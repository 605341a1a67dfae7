package e2e

import (
	"encoding/base64"
	"strings"
)

// What the protocol forbids.

var protocolRefusals = []refusal{
	{name: "POST without version", request: ask("POST /files/", "Upload-Length: 5", "Content-Length: 0"), status: 412, code: "unsupported_version"},
	{name: "PATCH without version", request: ask("PATCH {open}", chunkType, "Upload-Offset: 4", "Content-Length: 0"), status: 412, code: "unsupported_version"},
	{name: "DELETE without version", request: ask("DELETE {open}"), status: 412, code: "unsupported_version"},
	{name: "HEAD without version", request: ask("HEAD {open}"), status: 412, code: "unsupported_version"},
	{name: "POST of another version", request: ask("POST /files/", "Tus-Resumable: 0.2.2", "Upload-Length: 5", "Content-Length: 0"), status: 412, code: "unsupported_version"},
	{name: "HEAD of another version", request: ask("HEAD {open}", "Tus-Resumable: 2.0.0"), status: 412, code: "unsupported_version"},
	{name: "two versions", request: ask("DELETE {open}", protocol, "Tus-Resumable: 0.2.2"), status: 412, code: "unsupported_version"},
	{name: "empty version", request: ask("DELETE {open}", "Tus-Resumable:"), status: 412, code: "unsupported_version"},
	{name: "list of versions", request: ask("DELETE {open}", "Tus-Resumable: 1.0.0, 0.2.2"), status: 412, code: "unsupported_version"},
	{name: "PATCH without type", request: add("abcdef", "Upload-Offset: 4"), status: 415, code: "bad_content_type"},
	{name: "PATCH of another type", request: add("abcdef", "Upload-Offset: 4", "Content-Type: application/octet-stream"), status: 415, code: "bad_content_type"},
	{name: "PATCH of a longer type", request: add("abcdef", "Upload-Offset: 4", chunkType+"2"), status: 415, code: "bad_content_type"},
	{name: "PATCH of a form", request: add("a=b", "Upload-Offset: 4", "Content-Type: application/x-www-form-urlencoded"), status: 415, code: "bad_content_type"},
	{name: "POST of bytes without type", request: ask("POST /files/", protocol, "Upload-Length: 3", "Content-Length: 3") + "abc", status: 415, code: "bad_content_type"},
	{name: "POST of bytes of another type", request: ask("POST /files/", protocol, "Upload-Length: 3", "Content-Length: 3", "Content-Type: text/plain") + "abc", status: 415, code: "bad_content_type"},
}

// numbers are what 1*DIGIT excludes.
var numbers = []string{"+5", "-1", "1.5", "", "5 5", "5,5", "0x10", "1e3", "five", "5;", "\xd9\xa5", "\"5\""}

func lengthRefusals() []refusal {
	rows := []refusal{
		{name: "none", request: create(), status: 400, code: "missing_length"},
		{name: "two", request: create("Upload-Length: 5", "Upload-Length: 6"), status: 400, code: "repeated_header"},
		{name: "the same twice", request: create("Upload-Length: 5", "Upload-Length: 5"), status: 400, code: "repeated_header"},
		{name: "known and deferred", request: create("Upload-Length: 5", "Upload-Defer-Length: 1"), status: 400, code: "ambiguous_length"},
		{name: "deferred 0", request: create("Upload-Defer-Length: 0"), status: 400, code: "bad_length"},
		{name: "deferred 2", request: create("Upload-Defer-Length: 2"), status: 400, code: "bad_length"},
		{name: "deferred true", request: create("Upload-Defer-Length: true"), status: 400, code: "bad_length"},
		{name: "deferred twice", request: create("Upload-Defer-Length: 1", "Upload-Defer-Length: 1"), status: 400, code: "repeated_header"},
		{name: "over the limit by one", request: create("Upload-Length: 68719476737"), status: 413, code: "too_large"},
		{name: "beyond all numbers", request: create("Upload-Length: 99999999999999999999"), status: 413, code: "too_large"},
		{name: "the largest number", request: create("Upload-Length: 9223372036854775807"), status: 413, code: "too_large"},
		{name: "over the limit of an avatar", request: ask("POST /avatars/", protocol, "Upload-Length: 8388609", "Content-Length: 0"), status: 413, code: "too_large"},
		{name: "changed by PATCH", request: at("Upload-Offset: 4", "Upload-Length: 11"), status: 400, code: "bad_length"},
		{name: "twice in PATCH", request: at("Upload-Offset: 4", "Upload-Length: 10", "Upload-Length: 11"), status: 400, code: "repeated_header"},
		{name: "signed in PATCH", request: at("Upload-Offset: 4", "Upload-Length: +10"), status: 400, code: "bad_length"},
	}
	for _, number := range numbers {
		rows = append(rows, refusal{name: "[" + number + "]", request: create("Upload-Length: " + number), status: 400, code: "bad_length"})
	}
	return rows
}

func offsetRefusals() []refusal {
	rows := []refusal{
		{name: "none", request: at(), status: 400, code: "bad_offset"},
		{name: "two", request: at("Upload-Offset: 4", "Upload-Offset: 4"), status: 400, code: "repeated_header"},
		{name: "beyond all numbers", request: at("Upload-Offset: 9223372036854775808"), status: 409, code: "offset_mismatch"},
		{name: "one too low", request: at("Upload-Offset: 3"), status: 409, code: "offset_mismatch"},
		{name: "one too high", request: at("Upload-Offset: 5"), status: 409, code: "offset_mismatch"},
		{name: "at the end", request: at("Upload-Offset: 10"), status: 409, code: "offset_mismatch"},
		{name: "beyond all numbers", request: create("Upload-Length: 99999999999999999999"), status: 413, code: "too_large"},
		{name: "the largest number", request: at("Upload-Offset: 9223372036854775807"), status: 409, code: "offset_mismatch"},
	}
	for _, number := range numbers {
		rows = append(rows, refusal{name: "[" + number + "]", request: at("Upload-Offset: " + number), status: 400, code: "bad_offset"})
	}
	return rows
}

var metadataRefusals = []refusal{
	{name: "no base64", request: create("Upload-Length: 5", "Upload-Metadata: filename ???"), status: 400, code: "bad_metadata"},
	{name: "base64 cut short", request: create("Upload-Length: 5", "Upload-Metadata: filename YQ="), status: 400, code: "bad_metadata"},
	{name: "base64 for URLs", request: create("Upload-Length: 5", "Upload-Metadata: filename _-8="), status: 400, code: "bad_metadata"},
	{name: "a key twice", request: create("Upload-Length: 5", "Upload-Metadata: a YQ==,a Yg=="), status: 400, code: "bad_metadata"},
	{name: "an empty pair", request: create("Upload-Length: 5", "Upload-Metadata: a YQ==,,b Yg=="), status: 400, code: "bad_metadata"},
	{name: "a comma at the end", request: create("Upload-Length: 5", "Upload-Metadata: a YQ==,"), status: 400, code: "bad_metadata"},
	{name: "a key beyond ASCII", request: create("Upload-Length: 5", "Upload-Metadata: n\xc3\xa4me YQ=="), status: 400, code: "bad_metadata"},
	{name: "two values", request: create("Upload-Length: 5", "Upload-Metadata: a YQ== Yg=="), status: 400, code: "bad_metadata"},
	{name: "17 KiB", request: create("Upload-Length: 5", "Upload-Metadata: a "+base64.StdEncoding.EncodeToString(make([]byte, 13056))), status: 400, code: "bad_metadata"},
	{name: "two headers", request: create("Upload-Length: 5", "Upload-Metadata: a YQ==", "Upload-Metadata: b Yg=="), status: 400, code: "repeated_header"},
}

// idRefusals asks in every way for what is no id. Some are taken for an address that is spelled in another way than its own:
// the answer is that address, below our own root.
func idRefusals() (rows []refusal) {
	for _, path := range []string{
		"/files/..%2f..%2fetc%2fpasswd", "/files/%2e%2e%2fpasswd", "/files/%2e%2e", "/files/%2fetc%2fpasswd", "/files/a%00b", "{open}%00",
		"{open}.info", "{open}%2einfo", "/files/.sluice", "/files/.sluice%2flock", "/files/a%20b", "/files/a%5cb", "/files/a\\b",
		"/files/\xc3\xa9", "/files/%C3%A9", "/files/%ff", "/files/%E2%80%AE", "/files/...", "/files/a.b", "/files/~", "/files/a%0d%0aX:%20y",
		"/files/" + strings.Repeat("a", 129), "/files/" + strings.Repeat("a", 9000), "/avatars/..%2ffiles%2fx",
	} {
		for _, method := range []string{"HEAD", "GET", "PATCH", "DELETE"} {
			request := ask(method+" "+path, protocol, chunkType, "Upload-Offset: 0", "Content-Length: 0")
			rows = append(rows, refusal{name: method + " " + path[:min(40, len(path))], request: request, status: 404, code: "not_found"})
		}
	}
	for _, path := range []string{"/files/..", "/files/../../etc/passwd", "/files/.", "/files//etc/passwd", "//files/x", "/files/x/../y"} {
		rows = append(rows, refusal{name: "GET " + path, request: ask("GET "+path, protocol), status: 307})
	}
	rows = append(rows,
		refusal{name: "POST to a hidden id", request: ask("POST /files/%2f..%2fx", protocol, "Upload-Length: 5", "Content-Length: 0"), status: 404, code: "not_found"},
		refusal{name: "GET status of a hidden id", request: ask("GET /files/%2fstatus"), status: 404, code: "not_found"},
		refusal{name: "broken escape", request: ask("GET /files/%zz"), status: 400, closes: true},
		refusal{name: "space in the path", request: ask("GET /files/a b"), status: 400, closes: true})
	return rows
}

var methodRefusals = []refusal{
	{name: "PUT", request: ask("PUT {open}", protocol, "Content-Length: 3") + "abc", status: 405, code: "method_not_allowed"},
	{name: "TRACE", request: ask("TRACE {open}", protocol), status: 405, code: "method_not_allowed"},
	{name: "CONNECT", request: ask("CONNECT /files/", protocol), status: 405, code: "method_not_allowed"},
	{name: "unknown", request: ask("BREW {open}", protocol), status: 405, code: "method_not_allowed"},
	{name: "lower case", request: ask("delete {open}", protocol), status: 405, code: "method_not_allowed"},
	{name: "GET of all", request: ask("GET /files/"), status: 405, code: "method_not_allowed"},
	{name: "DELETE of all", request: ask("DELETE /files/", protocol), status: 405, code: "method_not_allowed"},
	{name: "PATCH of all", request: ask("PATCH /files", protocol, chunkType, "Upload-Offset: 0", "Content-Length: 0"), status: 405, code: "method_not_allowed"},
	{name: "POST to an upload", request: ask("POST {open}", protocol, "Upload-Length: 5", "Content-Length: 0"), status: 405, code: "method_not_allowed"},
	{name: "DELETE of a status", request: ask("DELETE {open}/status", protocol), status: 405, code: "method_not_allowed"},
	{name: "PATCH of a variant", request: ask("PATCH {open}/512", protocol, chunkType, "Upload-Offset: 4", "Content-Length: 0"), status: 405, code: "method_not_allowed"},
	{name: "PUT of the page", request: ask("PUT /", "Content-Length: 0"), status: 405, code: "method_not_allowed"},
	{name: "override without version", request: ask("POST {open}", "X-HTTP-Method-Override: DELETE", "Content-Length: 0"), status: 412, code: "unsupported_version"},
	{name: "override in lower case without version", request: ask("POST {open}", "x-http-method-override: delete", "Content-Length: 0"), status: 412, code: "unsupported_version"},
	{name: "override of nothing", request: ask("POST {open}", protocol, "X-HTTP-Method-Override:", "Content-Length: 0"), status: 405, code: "method_not_allowed"},
	{name: "override by garbage", request: ask("POST {open}", protocol, "X-HTTP-Method-Override: DEL\tETE", "Content-Length: 0"), status: 400, code: "bad_method_override"},
	{name: "override by PUT", request: ask("POST {open}", protocol, "X-HTTP-Method-Override: PUT", "Content-Length: 0"), status: 400, code: "bad_method_override"},
	{name: "override by CONNECT", request: ask("POST {open}", protocol, "X-HTTP-Method-Override: CONNECT", "Content-Length: 0"), status: 400, code: "bad_method_override"},
	{name: "two overrides", request: ask("POST {open}", protocol, "X-HTTP-Method-Override: HEAD", "X-HTTP-Method-Override: DELETE", "Content-Length: 0"), status: 400, code: "bad_method_override"},
	{name: "list of overrides", request: ask("POST {open}", protocol, "X-HTTP-Method-Override: HEAD, DELETE", "Content-Length: 0"), status: 400, code: "bad_method_override"},
	{name: "override of a DELETE by HEAD", request: ask("DELETE {open}", protocol, "X-HTTP-Method-Override: HEAD"), status: 200},
	{name: "override of a POST by HEAD", request: ask("POST {open}", protocol, "X-HTTP-Method-Override: HEAD", "Content-Length: 0"), status: 200},
	{name: "override by HEAD of unknown", request: ask("POST /files/unknown", protocol, "X-HTTP-Method-Override: HEAD", "Content-Length: 0"), status: 404, code: "not_found"},
	{name: "override by HEAD of content", request: ask("POST {done}", "X-HTTP-Method-Override: HEAD", "Content-Length: 0"), status: 200},
	{name: "override by HEAD of a status", request: ask("POST {done}/status", "X-HTTP-Method-Override: HEAD", "Content-Length: 0"), status: 200},
	{name: "override of a HEAD by DELETE of unknown", request: ask("HEAD /files/unknown", protocol, "X-HTTP-Method-Override: DELETE"), status: 404, code: "not_found"},
}
