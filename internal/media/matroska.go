package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// A walk of our own through EBML, since ebml-go (v0.19.0) makes room for what an element claims to have before it reads it:
// a WebM of 45 bytes ended the process. It also reads what it passes over, and refuses elements that it does not know.

// element is one of those that EBML is made of (RFC 8794, 6).
type element struct {
	id        uint32 // with the bits that tell its length
	body, end int64  // offsets in the file
	open      bool   // its size is not known: it ends with what it is in
	cut       bool   // it says to be longer than what it is in, and ends with that
}

// IDs of the elements that are read, and of Cluster, where content begins (RFC 8794, 11; RFC 9559, 5.1).
const (
	idEBML          = 0x1a45dfa3
	idMaxIDLength   = 0x42f2
	idMaxSizeLength = 0x42f3
	idDocType       = 0x4282

	idSegment      = 0x18538067
	idSeekHead     = 0x114d9b74
	idSeek         = 0x4dbb
	idSeekID       = 0x53ab
	idSeekPosition = 0x53ac
	idCluster      = 0x1f43b675

	idInfo           = 0x1549a966
	idTimestampScale = 0x2ad7b1
	idDuration       = 0x4489

	idTracks        = 0x1654ae6b
	idTrackEntry    = 0xae
	idTrackType     = 0x83
	idCodecID       = 0x86
	idVideo         = 0xe0
	idPixelWidth    = 0xb0
	idPixelHeight   = 0xba
	idDisplayWidth  = 0x54b0
	idDisplayHeight = 0x54ba
	idDisplayUnit   = 0x54b2
	idProjection    = 0x7670
	idPoseRoll      = 0x7675
)

// elements goes from element to element from one offset up to another, and ends after an error.
func (h *headers) elements(from, to int64) iter.Seq2[element, error] {
	return func(yield func(element, error) bool) {
		for at := from; at < to; {
			e, err := h.element(at, to)
			if !yield(e, err) || err != nil {
				return
			}
			at = e.end
		}
	}
}

// element reads the ID and the size of the element at an offset that is below end. Its end is never beyond the given one and
// always beyond its beginning. A size that is not known, as of what is sent live, goes on to the end of what it is in.
func (h *headers) element(at, end int64) (element, error) {
	const most = 4 + 8 // bytes of ID and size
	head, err := h.read(at, int(min(most, end-at)))
	if err != nil {
		return element{}, err
	}
	idLength := bits.LeadingZeros8(head[0]) + 1
	if idLength > 4 {
		return element{}, fmt.Errorf("%w: no element at %d", errLost, at)
	}
	if len(head) <= idLength {
		return element{}, h.noRoom(end)
	}
	e := element{id: uint32(bigEndian(head[:idLength])), end: end}
	sizeLength := bits.LeadingZeros8(head[idLength]) + 1
	if sizeLength > 8 {
		return element{}, fmt.Errorf("%w: element %#x with a size of more than 8 bytes", errLost, e.id)
	}
	if len(head) < idLength+sizeLength {
		return element{}, h.noRoom(end)
	}
	e.body = at + int64(idLength+sizeLength)
	ones := uint64(1)<<(7*sizeLength) - 1
	size := bigEndian(head[idLength:idLength+sizeLength]) & ones
	switch {
	case size == ones:
		if e.id != idSegment && e.id != idCluster {
			return element{}, fmt.Errorf("%w: element %#x of unknown size", errLost, e.id)
		}
		e.open = true
	case size > uint64(end-e.body):
		e.cut = true
	default:
		e.end = e.body + int64(size)
	}
	return e, nil
}

// noRoom is about an element whose ID and size do not fit below end.
func (h *headers) noRoom(end int64) error {
	if end == h.size {
		return ErrCutShort
	}
	return fmt.Errorf("%w: half an element before %d", errLost, end)
}

func bigEndian(data []byte) (n uint64) {
	for _, b := range data {
		n = n<<8 | uint64(b)
	}
	return n
}

// uint reads an element that is a number without a sign. One without bytes is 0.
func (h *headers) uint(e element) (uint64, error) {
	switch {
	case e.cut:
		return 0, h.noRoom(e.end)
	case e.end-e.body > 8:
		return 0, fmt.Errorf("%w: element %#x: a number of %d bytes", errLost, e.id, e.end-e.body)
	}
	data, err := h.read(e.body, int(e.end-e.body))
	return bigEndian(data), err
}

func (h *headers) float(e element) (float64, error) {
	switch length := e.end - e.body; {
	case e.cut:
		return 0, h.noRoom(e.end)
	case length == 0:
		return 0, nil
	case length == 4:
		data, err := h.read(e.body, 4)
		if err != nil {
			return 0, err
		}
		return float64(math.Float32frombits(binary.BigEndian.Uint32(data))), nil
	case length == 8:
		data, err := h.read(e.body, 8)
		if err != nil {
			return 0, err
		}
		return math.Float64frombits(binary.BigEndian.Uint64(data)), nil
	default:
		return 0, fmt.Errorf("%w: element %#x: a number of %d bytes", errLost, e.id, length)
	}
}

// text reads an element that is text, which may be filled up with zeros; of a long one only what anybody would look at.
func (h *headers) text(e element) (string, error) {
	const most = 64
	data, err := h.read(e.body, int(min(e.end-e.body, most)))
	if err != nil {
		return "", err
	}
	data, _, _ = bytes.Cut(data, []byte{0})
	return string(data), nil
}

// walkMatroska reads the EBML header and goes through the first segment.
func walkMatroska(h *headers, v *Video) error {
	header, err := h.element(0, h.size)
	if err != nil {
		return err
	}
	if v.Container, err = readDocType(h, header); err != nil {
		return err
	}
	for e, err := range h.elements(header.end, h.size) {
		if err != nil {
			return err
		}
		if e.id == idSegment {
			m := matroska{h: h, segment: e, scale: 1_000_000}
			err := m.read()
			if err == nil || m.plays(err) {
				err = m.tell(v)
			}
			return h.unlessLost(err, e)
		}
	}
	return ErrCutShort // where nothing but the header is, or less
}

// unlessLost is err, unless it refuses a file that has all that it takes, where it was not expected.
func (h *headers) unlessLost(err error, segment element) error {
	if !errors.Is(err, ErrMalformed) {
		return err
	}
	const far = 64 << 10 // bytes; tracks and the first content of what people have lie within
	const overlap = 16   // bytes; an ID, and the one in a SeekHead that it belongs to
	missing := []uint32{idTracks, idCluster}
	for at := segment.body; len(missing) > 0 && at < min(h.size, segment.body+far); at += windowBytes - overlap {
		window, readErr := h.read(at, int(min(windowBytes, h.size-at)))
		if readErr != nil {
			return readErr
		}
		missing = slices.DeleteFunc(missing, func(id uint32) bool { return holdsElement(window, id) })
	}
	if len(missing) > 0 {
		return err
	}
	return fmt.Errorf("%w: tracks and content lie elsewhere", errLost)
}

// holdsElement tells that an ID of four bytes is in data, and not as what a SeekHead has the place of.
func holdsElement(data []byte, id uint32) bool {
	letters, seekID := binary.BigEndian.AppendUint32(nil, id), binary.BigEndian.AppendUint16(nil, idSeekID)
	for from := 0; ; {
		at := bytes.Index(data[from:], letters)
		if at < 0 {
			return false
		}
		at += from
		if !bytes.Contains(data[max(0, at-10):at], seekID) { // a size of up to 8 bytes lies between
			return true
		}
		from = at + len(letters)
	}
}

// readDocType reads what the file says to be. Lengths beyond those of Matroska are for it to refuse (RFC 9559, 5.1).
func readDocType(h *headers, header element) (docType string, err error) {
	for e, err := range h.elements(header.body, header.end) {
		if err != nil {
			return "", err
		}
		var n uint64
		most := uint64(math.MaxUint64)
		switch e.id {
		case idDocType:
			docType, err = h.text(e)
		case idMaxIDLength:
			n, err = h.uint(e)
			most = 4
		case idMaxSizeLength:
			n, err = h.uint(e)
			most = 8
		}
		if err != nil {
			return "", err
		}
		if n > most {
			return "", fmt.Errorf("%w: element %#x allows lengths of %d bytes", ErrUnsupported, e.id, n)
		}
	}
	if docType != "webm" && docType != "matroska" {
		return "", fmt.Errorf("%w: EBML document of another type", ErrUnsupported)
	}
	return docType, nil
}

// matroska is a segment, and what it says.
type matroska struct {
	h       *headers
	segment element

	infoAt, tracksAt   int64 // where the first SeekHead says that they are, 0 if it does not
	hasInfo, hasTracks bool
	swallowed          bool // the last cluster does not say where it ends, so that nothing behind it was looked at

	scale    uint64  // nanoseconds in a unit of time
	duration float64 // in these units
	tracks   tracks
}

// read goes through the segment until it has seen the two elements that matter. They come before the content, or else the
// SeekHead, which comes first, says where they are.
func (m *matroska) read() error {
	for e, err := range m.h.elements(m.segment.body, m.segment.end) {
		if err != nil {
			return err
		}
		if e.id == idCluster {
			m.swallowed = e.open
			err = m.jump()
		} else {
			err = m.take(e)
		}
		if err != nil || m.hasInfo && m.hasTracks {
			return err
		}
	}
	switch {
	case m.hasTracks: // its information is missed by nobody
		return nil
	case m.swallowed, m.segment.end < m.h.size:
		return fmt.Errorf("%w: no tracks found", ErrUnsupported)
	case m.segment.cut, m.segment.open:
		return ErrCutShort
	}
	return ErrNoTracks
}

// plays tells that a film whose headers could not be read to their end is one all the same.
func (m *matroska) plays(err error) bool {
	return m.hasTracks && (errors.Is(err, ErrMalformed) || errors.Is(err, ErrUnsupported))
}

func (m *matroska) take(e element) error {
	switch {
	case e.id == idSeekHead && m.infoAt == 0 && m.tracksAt == 0:
		return m.readSeekHead(e)
	case e.id == idInfo && !m.hasInfo:
		m.hasInfo = true
		return m.readInfo(e)
	case e.id == idTracks && !m.hasTracks:
		if e.cut && e.end == m.h.size {
			return ErrCutShort
		}
		err := m.readTracks(e)
		m.hasTracks = err == nil
		return err
	}
	return nil
}

// jump reads what the SeekHead has the place of, once. If something else is there, it is looked for on the way.
func (m *matroska) jump() error {
	places := [...]struct {
		at   int64
		seen bool
	}{{m.infoAt, m.hasInfo}, {m.tracksAt, m.hasTracks}}
	m.infoAt, m.tracksAt = -1, -1
	for _, place := range places {
		if place.seen || place.at < m.segment.body || place.at >= m.segment.end {
			continue
		}
		e, err := m.h.element(place.at, m.segment.end)
		if err != nil {
			return err
		}
		if err := m.take(e); err != nil { // whatever it is
			return err
		}
	}
	return nil
}

func (m *matroska) readSeekHead(head element) error {
	for e, err := range m.h.elements(head.body, head.end) {
		if err != nil {
			return err
		}
		if e.id != idSeek {
			continue
		}
		id, position, err := m.readSeek(e)
		if err != nil {
			return err
		}
		switch id { // a place that does not exist is found out when it is looked up
		case idInfo:
			m.infoAt = m.segment.body + int64(position)
		case idTracks:
			m.tracksAt = m.segment.body + int64(position)
		}
	}
	return nil
}

func (m *matroska) readSeek(seek element) (id, position uint64, err error) {
	for e, err := range m.h.elements(seek.body, seek.end) {
		if err != nil {
			return 0, 0, err
		}
		switch e.id {
		case idSeekID:
			id, err = m.h.uint(e) // is binary data, but of four bytes
		case idSeekPosition:
			position, err = m.h.uint(e)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return id, position, nil
}

func (m *matroska) readInfo(info element) error {
	for e, err := range m.h.elements(info.body, info.end) {
		if err != nil {
			return err
		}
		switch e.id {
		case idTimestampScale:
			m.scale, err = m.h.uint(e)
		case idDuration:
			m.duration, err = m.h.float(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *matroska) readTracks(all element) error {
	for e, err := range m.h.elements(all.body, all.end) {
		if err != nil {
			return err
		}
		if e.id != idTrackEntry {
			continue
		}
		t, err := m.readTrack(e)
		if err != nil {
			return err
		}
		m.tracks.add(t)
	}
	return nil
}

func (m *matroska) readTrack(entry element) (t track, err error) {
	for e, err := range m.h.elements(entry.body, entry.end) {
		if err != nil {
			return track{}, err
		}
		switch e.id {
		case idTrackType:
			t.kind, err = m.readKind(e)
		case idCodecID:
			t.codec, err = m.h.text(e)
		case idVideo:
			t.width, t.height, err = m.readPicture(e)
		}
		if err != nil {
			return track{}, err
		}
	}
	t.codec = matroskaCodec(t.codec)
	return t, nil
}

func (m *matroska) readKind(e element) (trackKind, error) {
	n, err := m.h.uint(e)
	switch n {
	case 1:
		return pictureTrack, err
	case 2:
		return soundTrack, err
	}
	return otherTrack, err
}

// frame is what a track says of its pictures.
type frame struct {
	pixels, display extent
	unit            uint64  // of display
	roll            float64 // degrees by which they are to be turned
}

type extent struct{ width, height uint64 }

// The units of a display size (RFC 9559, 5.1.4.1.28.14).
const (
	unitPixel  = 0
	unitAspect = 3 // 1 and 2 are centimetres and inches: they tell the aspect too
)

func (m *matroska) readPicture(video element) (width, height int, err error) {
	var f frame
	if err := m.readFrame(video, &f); err != nil {
		return 0, 0, err
	}
	for _, e := range [...]extent{f.pixels, f.display} { // before they are multiplied
		if max(e.width, e.height) > maxSide {
			return 0, 0, nil // as if it were not told
		}
	}
	shown := f.shown()
	return int(shown.width), int(shown.height), nil
}

// shown is the size in pixels as high as wide, turned as it should be.
func (f *frame) shown() extent {
	size := f.pixels
	switch {
	case min(f.display.width, f.display.height) == 0 || f.unit > unitAspect:
	case f.unit == unitPixel:
		size = f.display
	default:
		size.width = size.height * f.display.width / f.display.height
	}
	if math.Mod(math.Abs(f.roll), 180) == 90 {
		size.width, size.height = size.height, size.width
	}
	return size
}

func (m *matroska) readFrame(parent element, f *frame) error {
	for e, err := range m.h.elements(parent.body, parent.end) {
		if err != nil {
			return err
		}
		switch e.id {
		case idPixelWidth:
			f.pixels.width, err = m.h.uint(e)
		case idPixelHeight:
			f.pixels.height, err = m.h.uint(e)
		case idDisplayWidth:
			f.display.width, err = m.h.uint(e)
		case idDisplayHeight:
			f.display.height, err = m.h.uint(e)
		case idDisplayUnit:
			f.unit, err = m.h.uint(e)
		case idPoseRoll:
			f.roll, err = m.h.float(e)
		case idProjection:
			if parent.id == idVideo { // once, so that no nesting makes it deeper
				err = m.readFrame(e, f)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tell writes into v what is known. A duration that cannot be is one that is not told.
func (m *matroska) tell(v *Video) error {
	const most = 1 << 62 // a float64 that an int64 holds for certain
	if d := m.duration * float64(m.scale); d > 0 && d < most {
		v.Duration = time.Duration(d)
	}
	return m.tracks.tell(v)
}

// matroskaCodec names a codec ID (RFC 9559 and the registry of "Matroska Codec Specifications").
func matroskaCodec(id string) string {
	id, _, _ = strings.Cut(id, " ")
	switch id {
	case "V_MPEG4/ISO/AVC":
		return "h264"
	case "V_MPEGH/ISO/HEVC":
		return "hevc"
	case "V_MPEGI/ISO/VVC":
		return "vvc"
	case "V_AV1", "V_VP8", "V_VP9", "V_THEORA", "V_PRORES", "V_FFV1", "V_MJPEG",
		"A_OPUS", "A_VORBIS", "A_FLAC", "A_ALAC", "A_TRUEHD":
		return strings.ToLower(id[len("V_"):])
	case "V_MPEG4/ISO/SP", "V_MPEG4/ISO/ASP", "V_MPEG4/ISO/AP":
		return "mpeg4"
	case "V_MPEG1":
		return "mpeg1video"
	case "V_MPEG2":
		return "mpeg2video"
	case "A_MPEG/L1":
		return "mp1"
	case "A_MPEG/L2":
		return "mp2"
	case "A_MPEG/L3":
		return "mp3"
	}
	family, _, _ := strings.Cut(id, "/") // what follows tells a profile or the order of bytes
	switch family {
	case "A_AAC", "A_AC3", "A_EAC3", "A_DTS", "A_PCM":
		return strings.ToLower(family[len("A_"):])
	}
	return id
}
