package media

import (
	"bytes"
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

const (
	unknownType = "application/octet-stream"

	// sniffBytes is how much of a file is looked at: the library's default too, so neither sees what the other does not.
	sniffBytes = 4096
)

// Sniff names the media type of a file by its content: head is its first 4,096 bytes, or the whole of a shorter file; more
// is not looked at. The answer is lower-case and without parameters, "application/octet-stream" where the bytes say
// nothing, as of an empty file. Markup is recognised behind whitespace, byte order marks and comments, since a browser
// would run it.
//
// An MP4, Matroska or Ogg with sound only is audio where its first bytes say so: by an MP4's brand, which many recorders
// leave at that of a video; which tracks it has stands in headers further on.
func Sniff(head []byte) string {
	head = head[:min(len(head), sniffBytes)]
	if len(head) == 0 {
		return unknownType
	}
	if picture, known := formatOf(head); known { // the same answer as Inspect's, whatever the library finds
		return picture.mediaType
	}
	if t := sniffMarkup(head); t != "" {
		return t
	}
	if isTransportStream(head) {
		return "video/mp2t"
	}
	found, _, _ := strings.Cut(mimetype.Detect(head).String(), ";")
	return refine(strings.ToLower(found), head)
}

// refine corrects the library where it is content with less than the bytes say, or has another name than everybody else.
func refine(found string, head []byte) string {
	switch {
	case found == "video/matroska":
		return "video/x-matroska"
	case found == "audio/ogg" && bytes.Contains(head, []byte("\x80theora")): // the sound's header came first
		return "video/ogg"
	case len(head) >= 12 && string(head[4:8]) == "ftyp":
		return refineBrand(found, head)
	}
	return found
}

// refineBrand looks at the brands of an ISO base media file (ISO/IEC 14496-12, 4.3): the major one, which is all that the
// library sees, and the compatible ones.
func refineBrand(found string, head []byte) string {
	switch string(head[8:12]) {
	case "MSNV": // Sony's cameras
		return "video/mp4"
	case "mif1", "msf1": // a still picture, or several, of any codec
		if has := brands(head); has("avif") || has("avis") {
			return "image/avif"
		} else if has("heic") || has("heix") {
			return "image/heic"
		}
	}
	return found
}

// brands returns whether a compatible brand is in the box of type at the beginning of head.
func brands(head []byte) func(string) bool {
	length := int(head[2])<<8 | int(head[3]) // no such box has 64 KB
	list := head[min(16, len(head)):min(max(length, 16), len(head))]
	return func(brand string) bool {
		for b := list; len(b) >= 4; b = b[4:] {
			if string(b[:4]) == brand {
				return true
			}
		}
		return false
	}
}

// isTransportStream looks for MPEG-TS: packets of 188 bytes that begin with 0x47, each after a time stamp of 4 bytes in
// the files of cameras. Five in a row do not happen by chance.
func isTransportStream(head []byte) bool {
	return everyPacket(head, 0, 188) || everyPacket(head, 4, 192)
}

func everyPacket(head []byte, offset, length int) bool {
	const packets = 5
	if len(head) <= offset+(packets-1)*length {
		return false
	}
	for at := offset; at < len(head); at += length {
		if head[at] != 0x47 {
			return false
		}
	}
	return true
}

// sniffMarkup finds out which language a text that begins with a tag is in, "" if it is none that browsers run. It goes by
// the first element, past everything that may stand before it, and rather says HTML of what only looks like it.
func sniffMarkup(head []byte) string {
	rest := bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	page, commented := "text/html", false
	for {
		rest = bytes.TrimLeft(rest, " \t\r\n\f")
		closed := false
		switch {
		case hasPrefixFold(rest, "<!--"):
			commented = true
			_, rest, closed = bytes.Cut(rest, []byte("-->"))
		case hasPrefixFold(rest, "<?xml"), page != "text/html" && hasPrefixFold(rest, "<?"):
			page = "application/xhtml+xml"
			_, rest, closed = bytes.Cut(rest, []byte("?>"))
		case hasPrefixFold(rest, "<!doctype html"), hasPrefixFold(rest, "<!doctype svg"):
			return elementType(rest[len("<!doctype "):], page)
		case hasPrefixFold(rest, "<!"):
			rest, closed = pastDeclaration(rest)
		case hasPrefixFold(rest, "<"):
			if t := elementType(rest[1:], page); t != "" {
				return t
			}
		}
		if !closed { // no prologue, or one that goes on beyond what we see and may be followed by a page
			if commented && page == "text/html" {
				return page
			}
			return ""
		}
	}
}

// pastDeclaration skips a declaration, with the ones in brackets that it may hold.
func pastDeclaration(text []byte) (rest []byte, closed bool) {
	declaration, rest, closed := bytes.Cut(text, []byte(">"))
	if bytes.IndexByte(declaration, '[') < 0 {
		return rest, closed
	}
	if _, rest, closed = bytes.Cut(text, []byte("]")); closed {
		_, rest, closed = bytes.Cut(rest, []byte(">"))
	}
	return rest, closed
}

// elementType knows the elements that a document begins with which a browser runs. The library knows more of HTML's, but
// not after a comment or with a slash behind the name.
func elementType(name []byte, page string) string {
	if end := bytes.IndexAny(name, " \t\r\n\f/>["); end >= 0 {
		name = name[:end]
	}
	if colon := bytes.IndexByte(name, ':'); colon >= 0 {
		name = name[colon+1:]
	}
	switch strings.ToLower(string(name)) {
	case "svg":
		return "image/svg+xml"
	case "html":
		return page
	case "head", "body", "script", "style", "title", "iframe", "meta", "link", "base", "img", "video", "form":
		if page == "text/html" {
			return page
		}
	}
	return ""
}

func hasPrefixFold(s []byte, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(string(s[:len(prefix)]), prefix)
}
