package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"iter"
	"math"
	"time"
)

// box is one of the boxes that an ISO base media file is made of (ISO/IEC 14496-12, 4.2), and QuickTime's, where they are
// called atoms.
type box struct {
	kind      string // four letters, as they stand there
	body, end int64  // offsets in the file
	cut       bool   // it says to be longer than what it is in, and ends with that
}

const boxHeader = 8 // length and kind; 8 more if the length is 1

// boxes goes from box to box from one offset up to another, and ends after an error. What is too short for a box at the end
// is QuickTime's way to end a list; it also ends, as in players, where a box says to be shorter than its own header.
func (h *headers) boxes(from, to int64) iter.Seq2[box, error] {
	return func(yield func(box, error) bool) {
		for at := from; to-at >= boxHeader; {
			b, err := h.box(at, to)
			if errors.Is(err, ErrMalformed) || !yield(b, err) || err != nil {
				return
			}
			at = b.end
		}
	}
}

// box reads the header of the box at an offset, of which at least 8 bytes are there. Its end is never beyond the given one
// and always beyond its beginning.
func (h *headers) box(at, end int64) (box, error) {
	head, err := h.read(at, boxHeader)
	if err != nil {
		return box{}, err
	}
	b := box{kind: string(head[4:]), body: at + boxHeader, end: end}
	length := uint64(binary.BigEndian.Uint32(head))
	switch length {
	case 0: // up to the end of what it is in
		return b, nil
	case 1:
		if length, err = h.longLength(b); err != nil {
			return box{}, err
		}
		b.body += 8
	}
	switch {
	case length < uint64(b.body-at):
		return box{}, fmt.Errorf("%w: box %q of %d bytes", ErrMalformed, b.kind, length)
	case length > uint64(end-at):
		b.cut = true
	default:
		b.end = at + int64(length)
	}
	return b, nil
}

func (h *headers) longLength(b box) (uint64, error) {
	field, err := h.fields(b, 8)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(field), nil
}

// fields reads the first bytes of a box.
func (h *headers) fields(b box, length int) ([]byte, error) {
	if b.end-b.body < int64(length) {
		return nil, fmt.Errorf("%w: box %q of %d bytes", ErrMalformed, b.kind, b.end-b.body)
	}
	return h.read(b.body, length)
}

// walkMP4 looks for the index, moov, and the beginning of the content, mdat, in whatever order they come, and reads the
// index. What follows both is not looked at: the fragments of a long film are more than a bound allows.
func walkMP4(h *headers, v *Video) error {
	var last, index, spare box
	content := false
	for b, err := range h.boxes(0, h.size) {
		if err != nil {
			return err
		}
		switch last = b; {
		case b.isContent():
			content = true
		case b.kind == "moov" && index.end == 0:
			index, v.FastStart = b, !content
		case b.kind == "free" || b.kind == "hoov":
			if hides, err := h.hidesIndex(b); err != nil {
				return err
			} else if hides {
				spare = b
			}
		}
		if content && index.end != 0 {
			break
		}
	}
	if index.end == 0 {
		index = spare
	}
	switch {
	case index.end == 0 && last.cut:
		return ErrCutShort
	case index.end == 0:
		return ErrNoIndex
	}
	content = content || h.size-last.end >= boxHeader // which its box does not say
	return readMovie(h, index, content, v)
}

func (b box) isContent() bool { return b.kind == "mdat" || b.kind == "imda" }

// hidesIndex tells an index that was not given its name: some recorders do that last. Players take it where there is no other.
func (h *headers) hidesIndex(b box) (bool, error) {
	if b.end-b.body < boxHeader {
		return false, nil
	}
	first, err := h.read(b.body, boxHeader)
	return err == nil && (string(first[4:]) == "mvhd" || string(first[4:]) == "cmov"), err
}

// movie is what the index says.
type movie struct {
	clock      clock
	turned     bool  // as a whole, on top of what its tracks say
	longest    clock // of its tracks
	fragmented bool  // the index does not list the content
	total      clock // of all fragments
	tracks     tracks
}

// clock is a duration, and the units in a second that it is counted in.
type clock struct {
	scale uint32
	units uint64
}

func (c clock) duration() time.Duration { return durationOf(c.units, c.scale) }

// readMovie reads the index. If no content was found, it may be in it: an index that says to be too long takes it in.
func readMovie(h *headers, index box, content bool, v *Video) error {
	var m movie
	for b, err := range h.boxes(index.body, index.end) {
		if err != nil {
			return err
		}
		switch b.kind {
		case "mvhd":
			m.clock, m.turned, err = readMovieHeader(h, b)
		case "trak":
			err = m.readTrack(h, b, b.cut && index.cut)
		case "mvex":
			m.fragmented = true
			m.total.units, err = readFragments(h, b)
		case "cmov": // QuickTime of the nineties
			err = fmt.Errorf("%w: compressed index", ErrUnsupported)
		default:
			content = content || b.isContent()
		}
		if err = passOver(err); err != nil {
			return err
		}
	}
	err := m.tell(v)
	switch {
	case index.cut && (errors.Is(err, ErrNoTracks) || err == nil && !content):
		return ErrCutShort
	case err == nil && !content:
		return ErrNoContent
	}
	return err
}

func (m *movie) tell(v *Video) error {
	m.total.scale = m.clock.scale
	switch {
	case m.fragmented: // what the other clocks count ends with the index (8.8.2)
		v.Duration = m.total.duration()
	case m.clock.units != 0:
		v.Duration = m.clock.duration()
	default:
		v.Duration = m.longest.duration()
	}
	if m.turned {
		m.tracks.shown.turn()
	}
	return m.tracks.tell(v)
}

func (t *track) turn() { t.width, t.height = t.height, t.width }

func readMovieHeader(h *headers, b box) (c clock, turned bool, err error) {
	c, err = readClock(h, b)
	if err != nil {
		return clock{}, false, err
	}
	fields, err := h.versioned(b, 36+36, 48+36)
	if err != nil {
		return clock{}, false, err
	}
	return c, turns(fields[len(fields)-36:]), nil
}

// versioned reads the first bytes of a box whose times have 32 bits, or 64 in its version 1, and so as many bytes as that
// version is given.
func (h *headers) versioned(b box, short, long int) ([]byte, error) {
	version, err := h.fields(b, 1)
	if err != nil {
		return nil, err
	}
	if version[0] == 1 {
		return h.fields(b, long)
	}
	return h.fields(b, short)
}

// readClock reads what the headers of a movie (8.2.2) and of a medium (8.4.2) have in common: when it was made and changed,
// the units in a second, the duration. A duration of all ones is not known.
func readClock(h *headers, b box) (clock, error) {
	fields, err := h.versioned(b, 20, 32)
	if err != nil {
		return clock{}, err
	}
	c := clock{scale: binary.BigEndian.Uint32(fields[12:])}
	if len(fields) == 32 {
		c.scale = binary.BigEndian.Uint32(fields[20:])
		c.units = known64(binary.BigEndian.Uint64(fields[24:]))
		return c, nil
	}
	c.units = known32(binary.BigEndian.Uint32(fields[16:]))
	return c, nil
}

func known32(units uint32) uint64 {
	if units == math.MaxUint32 {
		return 0
	}
	return uint64(units)
}

func known64(units uint64) uint64 {
	if units == math.MaxUint64 {
		return 0
	}
	return units
}

// turns tells whether a matrix (8.2.2) turns what it is applied to by a quarter, to the left or the right.
func turns(matrix []byte) bool {
	at := func(n int) uint32 { return binary.BigEndian.Uint32(matrix[4*n:]) }
	return at(0) == 0 && at(4) == 0 && at(1) != 0 && at(3) != 0
}

// readFragments reads how long all fragments are together, where that is told (8.8.2).
func readFragments(h *headers, extends box) (units uint64, err error) {
	for b, err := range h.boxes(extends.body, extends.end) {
		if err != nil {
			return 0, err
		}
		if b.kind != "mehd" {
			continue
		}
		fields, err := h.versioned(b, 8, 12)
		if err != nil {
			return 0, err
		}
		if len(fields) == 12 {
			return known64(binary.BigEndian.Uint64(fields[4:])), nil
		}
		return known32(binary.BigEndian.Uint32(fields[4:])), nil
	}
	return 0, nil
}

// readTrack reads a track; of one that is cut off with the file, only if all its tables are there.
func (m *movie) readTrack(h *headers, trak box, cut bool) error {
	var t mp4Track
	if err := t.read(h, trak); err != nil || cut && !t.placed {
		return err
	}
	if t.clock.duration() > m.longest.duration() {
		m.longest = t.clock
	}
	if !t.described { // nothing in it can be played
		return nil
	}
	if min(t.width, t.height) == 0 {
		t.width, t.height = t.coded.X, t.coded.Y
	}
	if t.turned {
		t.turn()
	}
	m.tracks.add(t.track)
	return nil
}

type mp4Track struct {
	track
	clock     clock
	turned    bool
	described bool
	placed    bool        // the table of where its samples are, which comes last, is whole
	coded     image.Point // the size of the pictures as they are stored
}

// read goes down the one way to what a track says, so that no nesting makes it deeper.
func (t *mp4Track) read(h *headers, parent box) error {
	for b, err := range h.boxes(parent.body, parent.end) {
		if err != nil {
			return err
		}
		switch parent.kind + "/" + b.kind {
		case "trak/mdia", "mdia/minf", "minf/stbl":
			err = t.read(h, b)
		case "trak/tkhd":
			err = t.readHeader(h, b)
		case "mdia/mdhd":
			t.clock, err = readClock(h, b)
		case "mdia/hdlr":
			err = t.readHandler(h, b)
		case "stbl/stsd":
			err = t.readDescription(h, b)
		case "stbl/stco", "stbl/co64":
			t.placed = !b.cut
		}
		if err = passOver(err); err != nil {
			return err
		}
	}
	return nil
}

// readHeader reads whether a track is to be shown, how, and how large (8.3.2).
func (t *mp4Track) readHeader(h *headers, b box) error {
	const enabled = 1
	fields, err := h.versioned(b, 84, 96)
	if err != nil {
		return err
	}
	t.hidden = fields[3]&enabled == 0
	last := fields[len(fields)-44:] // matrix, width, height: both in 65,536ths
	t.turned = turns(last)
	t.width, t.height = int(binary.BigEndian.Uint16(last[36:])), int(binary.BigEndian.Uint16(last[40:]))
	return nil
}

func (t *mp4Track) readHandler(h *headers, b box) error {
	fields, err := h.fields(b, 12)
	if err != nil {
		return err
	}
	switch string(fields[8:]) {
	case "vide":
		t.kind = pictureTrack
	case "soun":
		t.kind = soundTrack
	}
	return nil
}

// readDescription reads the first of the descriptions of what the samples are (8.5.2); a second one is of the same codec.
func (t *mp4Track) readDescription(h *headers, b box) error {
	const head = 8 // version, flags, how many
	for entry, err := range h.boxes(b.body+head, b.end) {
		if err != nil {
			return err
		}
		t.described = true
		t.codec = mp4Codec(entry.kind)
		return t.readEntry(h, entry)
	}
	return nil
}

// readEntry reads on where the four letters leave things open: the size of pictures for a track that does not tell it, and
// which codec it is where MPEG-4 has one kind for many.
func (t *mp4Track) readEntry(h *headers, entry box) error {
	const most = 512 // bytes; what matters comes in the first hundred
	fields, err := h.read(entry.body, int(min(entry.end-entry.body, most)))
	if err != nil {
		return err
	}
	if t.kind == pictureTrack && len(fields) >= 28 {
		t.coded = image.Pt(int(binary.BigEndian.Uint16(fields[24:])), int(binary.BigEndian.Uint16(fields[26:])))
	}
	if entry.kind == "mp4a" || entry.kind == "mp4v" {
		t.codec = mpeg4Codec(objectType(fields), t.codec)
	}
	return nil
}

// objectType finds the descriptor of an MPEG-4 stream in a description, and in it what codec it is (ISO/IEC 14496-1, 7.2.6.5
// and 7.2.6.6): 0 where that is not to be found. Looked for by its name, since what stands before it has lengths that differ
// between ISO's and QuickTime's three versions, and is not worth a rejection.
func objectType(description []byte) byte {
	_, rest, found := bytes.Cut(description, []byte("esds"))
	if !found || len(rest) < 4 {
		return 0
	}
	stream := descriptor(rest[4:], 3)
	if len(stream) < 3 {
		return 0
	}
	flags, stream := stream[2], stream[3:]
	if flags&0x80 != 0 { // the stream that this one depends on
		stream = stream[min(2, len(stream)):]
	}
	if flags&0x40 != 0 && len(stream) > 0 { // an address
		stream = stream[min(1+int(stream[0]), len(stream)):]
	}
	if flags&0x20 != 0 { // the stream with the clock
		stream = stream[min(2, len(stream)):]
	}
	if config := descriptor(stream, 4); len(config) > 0 {
		return config[0]
	}
	return 0
}

// descriptor returns what follows the tag and the length of a descriptor (ISO/IEC 14496-1, 8.3.3), nil if it is another one.
func descriptor(data []byte, tag byte) []byte {
	if len(data) == 0 || data[0] != tag {
		return nil
	}
	for n := 1; n < min(len(data), 5); n++ { // length: 7 bits a byte, the highest says that another follows
		if data[n]&0x80 == 0 {
			return data[n+1:]
		}
	}
	return nil
}

// mpeg4Codec names an object type (mp4ra.org, "Object types"), or keeps the name that it has.
func mpeg4Codec(objectType byte, name string) string {
	switch objectType {
	case 0x40, 0x66, 0x67, 0x68:
		return "aac"
	case 0x60, 0x61, 0x62, 0x63, 0x64, 0x65:
		return "mpeg2video"
	case 0x69, 0x6b:
		return "mp3"
	case 0x6a:
		return "mpeg1video"
	case 0x6c:
		return "mjpeg"
	case 0xa5:
		return "ac3"
	case 0xa6:
		return "eac3"
	case 0xa9:
		return "dts"
	case 0xad:
		return "opus"
	case 0xdd:
		return "vorbis"
	}
	return name
}

// mp4Codec names the four letters of a description (mp4ra.org, "Sample entries"; QuickTime File Format).
func mp4Codec(letters string) string {
	switch letters {
	case "avc1", "avc2", "avc3", "avc4", "dva1", "dvav":
		return "h264"
	case "hvc1", "hvc2", "hvc3", "hev1", "hev2", "hev3", "dvh1", "dvhe":
		return "hevc"
	case "vvc1", "vvi1":
		return "vvc"
	case "av01", "dav1":
		return "av1"
	case "vp08":
		return "vp8"
	case "vp09":
		return "vp9"
	case "mp4v":
		return "mpeg4"
	case "s263", "h263", "H263":
		return "h263"
	case "jpeg", "mjpa", "mjpb":
		return "mjpeg"
	case "apco", "apcs", "apcn", "apch", "ap4h", "ap4x":
		return "prores"
	case "mp4a":
		return "aac"
	case "Opus":
		return "opus"
	case "fLaC":
		return "flac"
	case ".mp3":
		return "mp3"
	case "ac-3":
		return "ac3"
	case "ec-3":
		return "eac3"
	case "ac-4":
		return "ac4"
	case "dtsc", "dtse", "dtsh", "dtsl", "dtsx":
		return "dts"
	case "samr":
		return "amr_nb"
	case "sawb":
		return "amr_wb"
	case "lpcm", "ipcm", "fpcm", "sowt", "twos", "raw ", "in24", "in32", "fl32", "fl64":
		return "pcm"
	}
	return letters // alac among them
}
