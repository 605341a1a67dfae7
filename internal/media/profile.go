package media

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"io"
)

// embedded is where in a file its colour profile lies, for [toSRGB]. Nothing of it is copied or inflated until it is read.
type embedded struct {
	parts    [][]byte // nil for those not seen yet
	deflated bool     // there is one part, and it is compressed
}

const (
	// jpegProfile is what its segments begin with (ICC.1, annex B.4), before their number and how many there are.
	jpegProfile  = "ICC_PROFILE\x00"
	maxInflation = 1032 // bytes that a byte of deflate becomes at most
)

// takeSegment notes an APP2 segment of a JPEG. Parts may come in any order; where two say they are the same, or do not agree
// on how many there are, there is no profile.
func (e *embedded) takeSegment(body []byte) {
	rest, found := bytes.CutPrefix(body, []byte(jpegProfile))
	if !found || len(rest) < 2 {
		return
	}
	number, count, part := int(rest[0]), int(rest[1]), rest[2:]
	if e.parts == nil {
		e.parts = make([][]byte, count)
	}
	if count != len(e.parts) || number < 1 || number > count || e.parts[number-1] != nil {
		e.parts = make([][]byte, 0)
		return
	}
	e.parts[number-1] = part
}

// takePNG notes an iCCP chunk: a name, a zero, the method of compression, which is always 0, and the profile.
func (e *embedded) takePNG(body []byte) {
	_, rest, found := bytes.Cut(body, []byte{0})
	if e.parts == nil && found && len(rest) > 1 && rest[0] == 0 {
		e.parts, e.deflated = [][]byte{rest[1:]}, true
	}
}

// takeWhole notes a profile that lies there as it is.
func (e *embedded) takeWhole(body []byte) {
	if e.parts == nil {
		e.parts = [][]byte{body}
	}
}

// size is how many bytes it has in the file; 0 where a part is missing.
func (e embedded) size() int {
	size := 0
	for _, part := range e.parts {
		if part == nil {
			return 0
		}
		size += len(part)
	}
	return size
}

// bytes is what reading it allocates.
func (e embedded) bytes() int64 {
	size := int64(e.size())
	switch {
	case e.deflated:
		const inflater = 45 << 10
		return min(size*maxInflation, maxProfile) + inflater
	case size > maxProfile || len(e.parts) < 2:
		return 0
	}
	return size
}

// read puts the profile together; nil where that cannot be done, or there is none.
func (e embedded) read() []byte {
	switch size := e.size(); {
	case size == 0 || size > maxProfile:
		return nil
	case e.deflated:
		return inflateProfile(e.parts[0])
	case len(e.parts) == 1:
		return e.parts[0]
	}
	return bytes.Join(e.parts, nil)
}

// inflateProfile inflates as much as the profile says that it has, in its first four bytes, and no more than it may have.
func inflateProfile(deflated []byte) []byte {
	inflater, err := zlib.NewReader(bytes.NewReader(deflated))
	if err != nil {
		return nil
	}
	defer inflater.Close() // bytes in memory
	var head [4]byte
	if _, err := io.ReadFull(inflater, head[:]); err != nil {
		return nil
	}
	size := int64(binary.BigEndian.Uint32(head[:]))
	if size < int64(len(head)) || size > min(maxProfile, int64(len(deflated))*maxInflation) {
		return nil
	}
	profile := make([]byte, size)
	copy(profile, head[:])
	if _, err := io.ReadFull(inflater, profile[len(head):]); err != nil {
		return nil
	}
	return profile
}
