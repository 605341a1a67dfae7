package handlers

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"sluice/internal/upload"
)

// content serves the file itself: ranges, conditions, any number of readers, no lock, sent by the kernel.
func (e *endpoint) content(req *request, r *http.Request) {
	if r.Method == http.MethodGet {
		e.count(http.MethodGet)
	}
	file, rec, err := e.store.Open(req.upload)
	if err == nil && rec.State != upload.Ready {
		file.Close()
		err = upload.ErrNotReady
	}
	setState(req.w.Header(), rec)
	if err != nil {
		switch {
		case rec.State.Gone():
			err = goneFor(rec)
		case rec.Partial:
			err = errPartial
		}
		req.fail(err)
		return
	}
	defer file.Close()
	h := req.w.Header()
	setContentHeader(h, rec.MediaType, rec.Filename())
	h.Set("ETag", `"`+string(rec.ID)+`"`)       // an id's content never changes
	h.Set("Cache-Control", "private, no-cache") // it may be deleted
	setDigest(req, rec)
	serveContent(req, r, rec, file)
}

// setDigest tells the digest of the whole content, also with a part of it (RFC 9530, section 3). An error is a representation
// of its own, and an answer without one repeats nothing that does not serve a cache (RFC 9110, section 15.4.5).
func setDigest(req *request, rec upload.Record) {
	if rec.Digest == "" {
		return
	}
	req.w.finish = func(status int, h http.Header) {
		if status == http.StatusOK || status == http.StatusPartialContent {
			h.Set("Repr-Digest", rec.Digest)
		}
	}
}

// rangeSpec is one range of a Range header (RFC 9110, section 14.1.1).
var rangeSpec = regexp.MustCompile(`^(?:([0-9]+)-([0-9]*)|-([0-9]+))$`)

// beyond is a range that no content has: what is malformed is answered like it.
const beyond = "bytes=9223372036854775807-"

// maxRanges bounds what one request asks for; more are answered with the whole.
const maxRanges = 64

// plainRanges is a Range header as http.ServeContent reads it well: without signs and spaces, numbers within 63 bits, and no
// range that asks for nothing. "" is none that has to be honoured; beyond is one that no content satisfies.
func plainRanges(asked string, size int64) string {
	set, found := strings.CutPrefix(asked, "bytes=")
	if !found {
		return ""
	}
	var kept []string
	some := false
	for item := range strings.SplitSeq(set, ",") {
		if item = strings.Trim(item, " \t"); item == "" {
			continue
		}
		spec := rangeSpec.FindStringSubmatch(item)
		if spec == nil {
			return beyond
		}
		some = true
		first, last, suffix := bounded(spec[1]), spec[2], spec[3]
		switch {
		case last != "" && bounded(last) < first:
			return beyond
		case suffix != "" && (bounded(suffix) == 0 || size == 0), suffix == "" && first >= size:
		case suffix != "":
			kept = append(kept, "-"+strconv.FormatInt(bounded(suffix), 10))
		case last == "":
			kept = append(kept, strconv.FormatInt(first, 10)+"-")
		default:
			kept = append(kept, strconv.FormatInt(first, 10)+"-"+strconv.FormatInt(bounded(last), 10))
		}
	}
	switch {
	case !some || len(kept) > maxRanges:
		return ""
	case len(kept) == 0:
		return beyond
	}
	return "bytes=" + strings.Join(kept, ",")
}

// bounded is the number that digits say, or the largest.
func bounded(digits string) int64 {
	n, _ := strconv.ParseInt(digits, 10, 64)
	return n
}

// serveContent is http.ServeContent for what RFC 9110, section 14.2, has otherwise: a unit that we do not know is no range.
func serveContent(req *request, r *http.Request, rec upload.Record, file io.ReadSeeker) {
	size, err := file.Seek(0, io.SeekEnd)
	if _, back := file.Seek(0, io.SeekStart); err != nil || back != nil {
		req.fail(errors.Join(err, back))
		return
	}
	if r.Method != http.MethodGet {
		r.Header.Del("Range") // RFC 9110, section 14.2: defined for GET alone
	}
	if ranges := plainRanges(r.Header.Get("Range"), size); ranges == "" {
		r.Header.Del("Range")
	} else {
		r.Header.Set("Range", ranges)
	}
	http.ServeContent(req.w, r, "", rec.Changed, file)
}

// inline are the types that a browser shows by itself and that can run nothing. Everything else is handed over as a file.
var inline = map[string]bool{
	"image/jpeg": true, "image/png": true, "image/gif": true, "image/webp": true, "image/avif": true, "image/bmp": true,
	"video/mp4": true, "video/webm": true, "video/ogg": true, "video/quicktime": true, "video/x-matroska": true,
	"audio/mpeg": true, "audio/mp4": true, "audio/ogg": true, "audio/wav": true, "audio/webm": true, "audio/flac": true,
	"text/plain": true,
}

// active are types that a browser might run in the name of this origin if it were ever told them.
func active(mediaType string) bool {
	return strings.Contains(mediaType, "html") || strings.Contains(mediaType, "xml") || strings.Contains(mediaType, "script") || mediaType == ""
}

// setContentHeader makes content that anybody may have uploaded harmless: typed by what it is, never by its name, not to be
// guessed at, in no one's name, shown only if of a known harmless type.
func setContentHeader(h http.Header, mediaType, filename string) {
	if active(mediaType) {
		mediaType = "application/octet-stream"
	}
	disposition := "attachment"
	if inline[mediaType] {
		disposition = "inline"
	}
	if mediaType == "text/plain" {
		mediaType += "; charset=utf-8"
	}
	h.Set("Content-Type", mediaType)
	h.Set("Content-Disposition", contentDisposition(disposition, filename))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
}

// maxFilename bounds a file name in a header, in bytes; file systems allow no more.
const maxFilename = 255

// contentDisposition says how to treat content and under what name to keep it (RFC 6266): in plain ASCII for old programs,
// and exactly (RFC 8187) if that is not the same.
func contentDisposition(disposition, filename string) string {
	filename = cleanFilename(filename)
	if filename == "" {
		return disposition
	}
	ascii := strings.Map(func(c rune) rune {
		if c > '~' || c == '"' || c == '\\' || c == '%' {
			return '_'
		}
		return c
	}, filename)
	value := mime.FormatMediaType(disposition, map[string]string{"filename": ascii})
	if ascii != filename {
		value += "; filename*=UTF-8''" + strings.ReplaceAll(url.QueryEscape(filename), "+", "%20")
	}
	return value
}

// cleanFilename keeps the last element of a client's name for its file, without what could break a header or a path.
func cleanFilename(name string) string {
	name = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 || c == 0x2028 || c == 0x2029 || unicode.Is(unicode.Bidi_Control, c) {
			return -1 // controls, and those that turn the reading direction or end a line
		}
		return c
	}, strings.ToValidUTF8(name, "_"))
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	if name == "." || name == ".." || name == "/" {
		return ""
	}
	for len(name) > maxFilename {
		runes := []rune(name)
		name = string(runes[:len(runes)-1])
	}
	return name
}
