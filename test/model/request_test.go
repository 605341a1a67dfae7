package model

import (
	"fmt"
	"slices"
	"strings"
)

const (
	chunkType = "application/offset+octet-stream"
	version   = "Tus-Resumable: 1.0.0"
)

// place is what kind of address a request goes to.
type place int

const (
	collection place = iota // a profile's path
	single                  // an upload, or an address where one could be
	status                  // {id}/status
	below                   // {id}/ and another name
)

// request is one request, as it goes out and as the log shows it. Target and header may name uploads, {1} for the first: what
// stands for that is the path from the answer to the POST that made it.
type request struct {
	method string
	target string
	header []string // lines
	body   body

	place   place
	profile profile
	upload  *upload // nil where there never was one
}

// body is what follows the header, and the lines that announce it.
type body struct {
	bytes     []byte
	chunked   bool   // else with Content-Length, if there are bytes or nothing is left out
	none      bool   // no body is announced
	cut       bool   // the client goes away after bytes, before the end that it announced
	trailer   string // Upload-Checksum behind the last chunk, "" is none
	announced bool   // the header says that there will be that trailer
}

// values are those of a header, without the white space around them, which is not of them (RFC 9110, section 5.5).
func (r request) values(key string) (values []string) {
	for _, line := range r.header {
		if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, key) {
			values = append(values, strings.Trim(value, " \t"))
		}
	}
	return values
}

// one is the value of a header that is there at most once.
func (r request) one(key string) (value string, there bool) {
	values := r.values(key)
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}

// missing is how many bytes a cut body announces beyond those that it has.
const missing = 7

func (b body) header() []string {
	switch {
	case b.none:
		return nil
	case b.chunked && b.announced:
		return []string{"Transfer-Encoding: chunked", "Trailer: Upload-Checksum"}
	case b.chunked:
		return []string{"Transfer-Encoding: chunked"}
	}
	return []string{fmt.Sprintf("Content-Length: %d", b.declared())}
}

// declared is the Content-Length; of a body in chunks, which does not say, what it has.
func (b body) declared() int64 {
	n := int64(len(b.bytes))
	if b.cut && !b.chunked {
		n += missing
	}
	return n
}

// wire is the body in its transfer coding (RFC 9112, section 7.1), in two pieces so that there are boundaries.
func (b body) wire() string {
	if !b.chunked {
		return string(b.bytes)
	}
	var out strings.Builder
	half := len(b.bytes) / 2
	for _, piece := range [][]byte{b.bytes[:half], b.bytes[half:]} {
		if len(piece) > 0 {
			fmt.Fprintf(&out, "%x\r\n%s\r\n", len(piece), piece)
		}
	}
	if b.cut {
		fmt.Fprintf(&out, "%x\r\n", missing)
		return out.String()
	}
	out.WriteString("0\r\n")
	if b.trailer != "" {
		out.WriteString("Upload-Checksum: " + b.trailer + "\r\n")
	}
	return out.String() + "\r\n"
}

// GoString is the request in one line: rapid logs what is drawn so.
func (r request) GoString() string {
	out := r.method + " " + r.target
	for _, line := range r.header {
		switch line {
		case version, "Content-Type: " + chunkType: // as it should be
		default:
			out += ", " + short(line)
		}
	}
	if _, there := r.one("Tus-Resumable"); !there && r.method != "OPTIONS" && r.method != "GET" {
		out += ", no Tus-Resumable"
	}
	if _, there := r.one("Content-Type"); !there && !r.body.none {
		out += ", no Content-Type"
	}
	return out + r.body.String()
}

// String is the body in few words.
func (b body) String() string {
	if b.none {
		return ""
	}
	out := fmt.Sprintf(", %d bytes", len(b.bytes))
	if b.chunked {
		out += " in chunks"
	}
	if b.cut {
		out += ", then cut off"
	}
	if b.trailer != "" {
		out += ", trailer " + short(b.trailer)
		if !b.announced {
			out += " unannounced"
		}
	}
	return out
}

// short is text for a line of a log.
func short(text string) string {
	const longest = 80
	if len(text) <= longest {
		return text
	}
	return fmt.Sprintf("%s... (%d bytes)", text[:longest/2], len(text))
}

func (r request) without(key string) request {
	r.header = slices.DeleteFunc(slices.Clone(r.header), func(line string) bool { return strings.HasPrefix(line, key+":") })
	return r
}
