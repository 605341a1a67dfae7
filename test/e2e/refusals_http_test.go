package e2e

import (
	"fmt"
	"strings"
)

// What uploads in their state, ranges, and HTTP itself forbid.

// chunked is the line of a body that comes in chunks.
const chunked = "Transfer-Encoding: chunked"

// inChunks is a PATCH of path at offset, in chunks.
func inChunks(path string, offset int, body string, header ...string) string {
	header = append([]string{protocol, chunkType, fmt.Sprintf("Upload-Offset: %d", offset), chunked}, header...)
	return ask("PATCH "+path, header...) + body
}

var bodyRefusals = []refusal{
	{name: "PATCH longer than the upload", request: add("abcdefg", chunkType, "Upload-Offset: 4"), status: 413, code: "too_large"},
	{name: "PATCH in chunks longer than the upload", request: inChunks("{open}", 4, "7\r\nabcdefg\r\n0\r\n\r\n"), status: 413, code: "too_large"},
	{name: "PATCH in many chunks longer than the upload", request: inChunks("{open}", 4, strings.Repeat("1\r\na\r\n", 7)+"0\r\n\r\n"), status: 413, code: "too_large"},
	{name: "PATCH that promises a terabyte", request: ask("PATCH {open}", protocol, chunkType, "Upload-Offset: 4", "Content-Length: 1099511627776"), status: 413, code: "too_large", closes: true},
	{name: "POST longer than its upload", request: ask("POST /files/", protocol, chunkType, "Upload-Length: 4", "Content-Length: 5") + "abcde", status: 413, code: "too_large"},
	{name: "POST in chunks longer than its upload", request: ask("POST /files/", protocol, chunkType, "Upload-Length: 4", chunked) + "5\r\nabcde\r\n0\r\n\r\n", status: 413, code: "too_large",
		keeps: "how long the body is shows only when the upload is there; the answer says where, so that the client can go on"},
	{name: "chunk of no length", request: inChunks("{open}", 4, "zz\r\nabc\r\n0\r\n\r\n"), status: 400, code: "incomplete_body", closes: true},
	{name: "chunk of a length beyond numbers", request: inChunks("{open}", 4, "fffffffffffffffff\r\nabc\r\n0\r\n\r\n"), status: 400, code: "incomplete_body", closes: true},
	{name: "chunk of a negative length", request: inChunks("{open}", 4, "-1\r\nabc\r\n0\r\n\r\n"), status: 400, code: "incomplete_body", closes: true},
}

var stateRefusals = []refusal{
	{name: "PATCH of unknown", request: ask("PATCH /files/unknown", protocol, chunkType, "Upload-Offset: 0", "Content-Length: 3") + "abc", status: 404, code: "not_found"},
	{name: "HEAD of unknown", request: ask("HEAD /files/unknown", protocol), status: 404, code: "not_found"},
	{name: "GET of unknown", request: ask("GET /files/unknown"), status: 404, code: "not_found"},
	{name: "status of unknown", request: ask("GET /files/unknown/status"), status: 404, code: "not_found"},
	{name: "variant of unknown", request: ask("GET /avatars/unknown/512"), status: 404, code: "not_found"},
	{name: "DELETE of unknown", request: ask("DELETE /files/unknown", protocol), status: 404, code: "not_found"},
	{name: "DELETE again", request: ask("DELETE {gone}", protocol), status: 404, code: "not_found"},
	{name: "PATCH after DELETE", request: ask("PATCH {gone}", protocol, chunkType, "Upload-Offset: 0", "Content-Length: 3") + "abc", status: 404, code: "not_found"},
	{name: "unknown variant", request: ask("GET {done}/512"), status: 404, code: "not_found"},
	{name: "unknown page", request: ask("GET /unknown"), status: 404, code: "not_found"},
	{name: "GET of unfinished", request: ask("GET {open}"), status: 409, code: "not_ready"},
	{name: "PATCH beyond complete", request: ask("PATCH {done}", protocol, chunkType, "Upload-Offset: 10", "Content-Length: 1") + "x", status: 413, code: "too_large"},
	{name: "PATCH in chunks beyond complete", request: inChunks("{done}", 10, "1\r\nx\r\n0\r\n\r\n"), status: 413, code: "too_large"},
	{name: "PATCH inside complete", request: ask("PATCH {done}", protocol, chunkType, "Upload-Offset: 4", "Content-Length: 6") + "abcdef", status: 409, code: "offset_mismatch"},
	{name: "PATCH of rejected", request: ask("PATCH {rejected}", protocol, chunkType, "Upload-Offset: 0", "Content-Length: 3") + "abc", status: 410, code: "unsupported_media_type"},
	{name: "HEAD of rejected", request: ask("HEAD {rejected}", protocol), status: 410, code: "unsupported_media_type"},
	{name: "GET of rejected", request: ask("GET {rejected}"), status: 410, code: "unsupported_media_type"},
}

var rangeRefusals = []refusal{
	{name: "beyond the end", request: ask("GET {done}", "Range: bytes=10-"), status: 416, code: "range_not_satisfiable"},
	{name: "far beyond the end", request: ask("GET {done}", "Range: bytes=9223372036854775807-"), status: 416, code: "range_not_satisfiable"},
	{name: "letters", request: ask("GET {done}", "Range: bytes=abc"), status: 416, code: "range_not_satisfiable"},
	{name: "backwards", request: ask("GET {done}", "Range: bytes=5-2"), status: 416, code: "range_not_satisfiable"},
	{name: "negative", request: ask("GET {done}", "Range: bytes=--5"), status: 416, code: "range_not_satisfiable"},
	{name: "beyond numbers", request: ask("GET {done}", "Range: bytes=99999999999999999999-"), status: 416, code: "range_not_satisfiable"},
	{name: "the last none", request: ask("GET {done}", "Range: bytes=-0"), status: 416, code: "range_not_satisfiable"},
	{name: "of another unit", request: ask("GET {done}", "Range: rows=1-2"), status: 200}, // RFC 9110, 14.2: to be ignored
	{name: "a thousand", request: ask("GET {done}", "Range: bytes="+strings.Repeat("0-,", 999)+"0-"), status: 200},
	{name: "of unfinished", request: ask("GET {open}", "Range: bytes=0-1"), status: 409, code: "not_ready"},
}

// httpRefusals are mostly refused by net/http itself. Both shapes of a smuggled request carry a DELETE behind what one reader
// takes for the body and another for the next request.
var httpRefusals = []refusal{
	{name: "two lengths", request: ask("PATCH {open}", protocol, chunkType, "Upload-Offset: 4", "Content-Length: 1", "Content-Length: 0") + ask("DELETE {open}", protocol), status: 400, closes: true},
	{name: "signed length", request: ask("PATCH {open}", protocol, chunkType, "Upload-Offset: 4", "Content-Length: +1") + "x", status: 400, closes: true},
	{name: "negative length", request: ask("PATCH {open}", protocol, chunkType, "Upload-Offset: 4", "Content-Length: -1"), status: 400, closes: true},
	{name: "list of lengths", request: ask("PATCH {open}", protocol, chunkType, "Upload-Offset: 4", "Content-Length: 1, 0") + "x", status: 400, closes: true},
	{name: "two codings", request: inChunks("{open}", 4, "0\r\n\r\n", "Transfer-Encoding: identity"), status: 501, closes: true},
	{name: "list of codings", request: ask("PATCH {open}", protocol, chunkType, "Upload-Offset: 4", "Transfer-Encoding: gzip, chunked") + "0\r\n\r\n", status: 501, closes: true},
	{name: "unknown coding", request: ask("PATCH {open}", protocol, chunkType, "Upload-Offset: 4", "Transfer-Encoding: xchunked", "Content-Length: 0") + "0\r\n\r\n", status: 501, closes: true},
	{name: "space before the colon", request: ask("PATCH {open}", protocol, chunkType, "Upload-Offset: 4", "Transfer-Encoding : chunked") + "0\r\n\r\n", status: 400, closes: true},
	{name: "chunks in HTTP/1.0", request: strings.Replace(inChunks("{open}", 4, "0\r\n\r\n"+ask("DELETE {open}", protocol)), "HTTP/1.1", "HTTP/1.0", 1), status: 204, closes: true}, // RFC 9112, 6.1
	{name: "HTTP/1.0", request: strings.Replace(ask("HEAD {open}", protocol), "HTTP/1.1", "HTTP/1.0", 1), status: 200, closes: true},
	{name: "HTTP/2.0", request: strings.Replace(ask("GET {done}"), "HTTP/1.1", "HTTP/2.0", 1), status: 505, closes: true},
	{name: "HTTP/9.9", request: strings.Replace(ask("GET {done}"), "HTTP/1.1", "HTTP/9.9", 1), status: 505, closes: true},
	{name: "no host", request: "GET /files/x HTTP/1.1\r\n\r\n", status: 400, closes: true},
	{name: "two hosts", request: ask("GET /files/x", "Host: other"), status: 400, closes: true},
	{name: "zero in a header", request: ask("DELETE {open}", protocol, "X-A: a\x00b"), status: 400, closes: true},
	{name: "return in a header", request: ask("DELETE {open}", protocol, "X-A: a\rb"), status: 400, closes: true},
	{name: "length on a folded line", request: create("Upload-Length: 5", " 5"), status: 400, code: "bad_length"},
	{name: "flood of headers", request: ask("DELETE {open}", append([]string{protocol}, strings.Split(strings.Repeat("X-A: "+strings.Repeat("a", 100)+"\n", 999), "\n")[:999]...)...), status: 431, closes: true},
	{name: "one endless header", request: ask("DELETE {open}", protocol, "X-A: "+strings.Repeat("a", 100_000)), status: 431, closes: true},
	{name: "endless path", request: ask("GET /files/" + strings.Repeat("a", 100_000)), status: 431, closes: true},
	{name: "TLS", request: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("x", 100) + "\r\n\r\n", status: 400, closes: true},
	{name: "another expectation", request: add("abcdef", chunkType, "Upload-Offset: 4", "Expect: 200-maybe"), status: 417, closes: true},
	{name: "length and chunks", request: inChunks("{open}", 4, "0\r\n\r\n"+ask("DELETE {open}", protocol), "Content-Length: 5"), status: 204, closes: true}, // RFC 9112, 6.1: close, whatever is answered
}
