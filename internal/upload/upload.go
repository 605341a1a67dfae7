// Package upload is the vocabulary that the rest of the house shares: what an upload is, who owns it, in which state it is,
// how a kind of upload (a profile) is treated, and which errors have a meaning.
//
// It imports nothing of ours, touches no file and no socket. Its values are plain data: copy them freely, share them only
// for reading.
package upload

import (
	"crypto/rand"
	"encoding/hex"
	"io"
	"strconv"
	"time"
)

// Deferred is the Length of an upload whose client has not said yet how long it will be (tus 1.0.0, Upload-Defer-Length).
const Deferred int64 = -1

// ID names one upload within its profile. A valid one matches [A-Za-z0-9_-]{1,128}, so it is safe as a file name, in a URL
// and in a log line. Only [ParseID] and [NewID] make one.
type ID string

// maxIDLen keeps the longest file name derived from an id below the 255 bytes that file systems allow.
const maxIDLen = 128

// ParseID checks s against the alphabet of ids. It returns [ErrNotFound] for anything else: what cannot be an id names
// nothing, and a caller who probes learns no more than that.
func ParseID(s string) (ID, error) {
	if len(s) == 0 || len(s) > maxIDLen {
		return "", ErrNotFound
	}
	for i := range len(s) {
		if !idByte(s[i]) {
			return "", ErrNotFound
		}
	}
	return ID(s), nil
}

func idByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// NewID makes an id of 128 random bits in lower-case hex: not to be guessed, and distinct on file systems that fold case.
func NewID() ID {
	var b [16]byte
	rand.Read(b[:]) // never fails since Go 1.24
	return ID(hex.EncodeToString(b[:]))
}

// Owner is who an upload belongs to; "" is everybody, the only owner there is while authentication is off.
type Owner string

// State is where an upload stands. It moves only forward: receiving, received, then ready or rejected; terminated ends any.
type State string

const (
	// Receiving: bytes may still be added.
	Receiving State = "receiving"
	// Received: every byte is stored and nobody writes any more; processing is under way or due.
	Received State = "received"
	// Ready: the content may be read.
	Ready State = "ready"
	// Rejected: refused for its content, see [Record.Reason]; its bytes are removed, or kept for the operator alone, see
	// [Profile.KeepRejected].
	Rejected State = "rejected"
	// Expired: nobody added to it for so long, or it was kept for so long, as its profile says; its bytes are removed. The
	// record stays for a while, so that whoever comes back is told.
	Expired State = "expired"
	// Terminated: the client deleted it; what is left of it is being removed.
	Terminated State = "terminated"
)

// Complete tells whether every byte has arrived, so that nobody will write again and no lock is needed to look.
func (s State) Complete() bool { return s != Receiving && s != "" }

// Gone tells that there are no bytes for anybody to read, and only the record is left to say why.
func (s State) Gone() bool { return s == Rejected || s == Expired }

// Record is what is known about one upload. The store hands out copies.
type Record struct {
	ID       ID
	Profile  string // name of its row in the table of profiles
	Owner    Owner
	Length   int64  // bytes; Deferred while unknown, never changed once known
	Offset   int64  // bytes acknowledged: everything below is stored, in the sense of the store's durability
	Metadata string // Upload-Metadata exactly as the client sent it

	State     State
	Reason    *Rejection // why, while Rejected; else nil
	MediaType string     // by content, "" until enough bytes are stored to tell
	Variants  []Variant  // derived files, largest first, each before its other formats; only while Ready
	Video     *Video     // what its headers say, if it is one and was looked at; only while Ready, never changed
	Digest    string     // of the content, as RFC 9530 writes it, "" if there is none; only while Received or Ready

	Created time.Time
	Changed time.Time // of the last change of state

	// Tries is how often processing was begun anew after it had failed, or had ended the process; only while Received.
	Tries int

	// Damaged tells that bytes which had been acknowledged were found missing after a power cut. The upload can be
	// resumed from Offset.
	Damaged bool

	// Expires is when the upload is given up if nothing happens to it before; the zero time is never.
	Expires time.Time

	// Partial tells that the upload exists to become part of another (tus 1.0.0, "Concatenation"): it is neither judged,
	// processed nor served by itself.
	Partial bool
	// Final tells that the upload is made of others, its Parts, in their order; one may be there twice. While it is
	// Receiving it waits for them, or is being assembled: nobody writes to it, and its Offset is 0.
	Final bool
	Parts []ID
	// JoinedIn is the final that took over the bytes of this partial upload; "" if none did. It is Received still: every byte
	// has arrived.
	JoinedIn ID
	// Concat is Upload-Concat exactly as the client sent it.
	Concat string
}

// Full tells whether every byte of a known length is there. Such an upload is complete, or about to be.
func (r Record) Full() bool { return r.Length != Deferred && r.Offset == r.Length }

// Variant is a file derived from an upload: for an avatar, a smaller square picture.
type Variant struct {
	Name      string `json:"name"` // last element of its URL
	MediaType string `json:"mediaType"`
	Width     int    `json:"width"`
	Height    int    `json:"height"`
	Bytes     int64  `json:"bytes"`
	// Of is the name of the variant of which this is another format, for who understands it; "" for the one that everybody
	// does. Uploads that were processed before there were other formats have none of them.
	Of string `json:"of,omitempty"`
}

// VariantName is the name of the square of so many pixels, "512", or of its other format for who understands that,
// "512-webp". Format is what stands behind the dash, "" for the square itself.
func VariantName(edge int, format string) string {
	if format == "" {
		return strconv.Itoa(edge)
	}
	return strconv.Itoa(edge) + "-" + format
}

// Check decides whether a chunk counts, when all of it is stored. The zero Check lets every chunk count as it flows.
type Check struct {
	// Announced tells that a verdict is due. Then no byte of the chunk counts before it, not even after a crash.
	Announced bool
	// Quiet tells that the chunk may turn out too long, or not be passed, when it has ended. Its bytes count after a crash, but
	// no offset is told before the end that might be taken back.
	Quiet bool
	// Verify is called when the chunk has ended well, with what is stored of it. An error takes the chunk back. nil checks
	// nothing.
	Verify func(chunk io.Reader) error
	// Declared tells that the length was declared with the chunk. If the chunk is taken back, so is the length.
	Declared bool
	// Whole lets the store complete the upload with the chunk, if that brings all its bytes at once: they become durable with the
	// state that says so.
	Whole bool
}

// Video is what the headers of a video say; nobody has looked at its content. What they do not tell is zero.
type Video struct {
	Container string   `json:"container"`          // "mp4", "quicktime", "webm", "matroska" or another
	Duration  float64  `json:"duration,omitempty"` // seconds, to the millisecond
	Width     int      `json:"width,omitempty"`    // pixels, as it is shown
	Height    int      `json:"height,omitempty"`
	Codecs    []string `json:"codecs,omitempty"` // "h264", "aac", ..., pictures first
	// FastStart tells, of mp4 and quicktime, whether the index lies before the content, so that it plays while it is loaded.
	FastStart *bool `json:"fastStart,omitempty"`
}

// Outcome is what processing made of an upload that is taken.
type Outcome struct {
	MediaType string // by content; counts if none was found before
	Variants  []VariantFile
	Video     *Video
	Digest    string // of the content, see [Record]; counts if none was found before
}

// VariantFile is a variant with its content, on its way to the store.
type VariantFile struct {
	Variant
	Data []byte
}

// Filename is the client's name for the file, from metadata "filename" or "name", as it came: never a path of ours, and
// sanitised by whoever puts it into a header.
func (r Record) Filename() string {
	m, err := ParseMetadata(r.Metadata)
	if err != nil {
		return ""
	}
	if name := m["filename"]; name != "" {
		return name
	}
	return m["name"]
}
