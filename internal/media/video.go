package media

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"
)

const (
	// windowBytes is how much is read at once: the headers of a track fit, and the rest of a page is not missed.
	windowBytes = 1024
	// maxReads makes a little less than 1 MiB of a whole file, its first [sniffBytes] among them. What people have takes
	// five to ten; a recorder that writes its index last and content in many boxes takes one for each.
	maxReads = 1000
	// maxSteps is for those who pack headers tightly: a megabyte holds half a million of two bytes.
	maxSteps = 20_000

	maxCodecs    = 8  // of pictures, and of sounds
	maxCodecName = 32 // bytes; the longest in use has 25
)

// errTooFar ends a walk that goes on for longer than a header is worth.
var errTooFar = fmt.Errorf("%w: headers lie too far apart", ErrUnsupported)

// Video is what the headers of a video say. Nobody has looked at the content.
type Video struct {
	// Container is "mp4", "quicktime", "webm" or "matroska"; or one that is told by its first bytes alone, and of which
	// nothing else is known: "mpegts", "mpeg", "avi", "ogg", "flv", "asf".
	Container string
	// Duration is 0 where it is not told: of a live stream, of an mp4 in fragments whose writer did not know.
	Duration time.Duration
	// Width and Height are of the picture as it is shown: pixels as wide as high, rotation applied. Both are 0 for sound
	// alone, and where they are not told.
	Width, Height int
	// Codecs are named as ffmpeg names them ("h264", "hevc", "av1", "vp9", "aac", "opus"; "pcm" for all of its kinds), and
	// others by their four letters or codec ID, of which only letters, digits and "._-/" are kept. Each is there once,
	// pictures first, at most 16 of 32 bytes. Subtitles and other tracks are left out.
	Codecs []string
	// FastStart: the index of an mp4 or QuickTime file lies before its content, so that it plays while it is loaded.
	FastStart bool
}

// InspectVideo reads the headers of a video of size bytes, each at its offset: a few kilobytes of what people have, however
// large it is, and at most 1 MiB in 1,000 reads of what others make. It reads no content, and keeps a few kilobytes.
//
// It returns [ErrMalformed], as one of [ErrCutShort], [ErrNoIndex], [ErrNoContent] and [ErrNoTracks], if no player can play
// it. It returns [ErrUnsupported] for what is no video, or has headers that are not found within the bound, that are
// compressed, or among which it lost its way: of these nothing bad is known. Containers whose headers are not read at all are
// no error, see [Video.Container]. An error of content itself, which has then not been judged, comes back as neither. With
// an error the Video is empty.
func InspectVideo(content io.ReaderAt, size int64) (Video, error) {
	h := &headers{content: content, size: max(size, 0)}
	head, err := h.read(0, int(min(h.size, sniffBytes)))
	if err != nil {
		return Video{}, fmt.Errorf("media: inspect video: %w", err)
	}
	container, walk := containerOf(head)
	switch {
	case container == "":
		return Video{}, fmt.Errorf("media: inspect video: %w: not a container of video", ErrUnsupported)
	case walk == nil:
		return Video{Container: container}, nil
	}
	v := Video{Container: container}
	if err := walk(h, &v); err != nil {
		return Video{}, fmt.Errorf("media: inspect %s: %w", container, err)
	}
	return v, nil
}

// containerOf goes by what [Sniff] says, so that it never takes a file for something else than was accepted. The walk is nil
// where we read no headers.
func containerOf(head []byte) (name string, walk func(*headers, *Video) error) {
	switch Sniff(head) {
	case "video/quicktime":
		return "quicktime", walkMP4
	case "video/mp4", "video/x-m4v", "video/3gpp", "video/3gpp2", "video/mj2", "video/vnd.dvb.file", "audio/mp4", "audio/x-m4a":
		return "mp4", walkMP4
	case "video/webm":
		return "webm", walkMatroska
	case "video/x-matroska":
		return "matroska", walkMatroska
	case "video/mp2t":
		return "mpegts", nil
	case "video/mpeg":
		return "mpeg", nil
	case "video/x-msvideo":
		return "avi", nil
	case "video/ogg", "audio/ogg":
		return "ogg", nil
	case "video/x-flv":
		return "flv", nil
	case "video/x-ms-asf":
		return "asf", nil
	}
	return "", nil
}

// headers reads a file here and there, through a window on what was read last. It gives out no more than maxReads and
// maxSteps, so that whoever walks by it comes to an end.
type headers struct {
	content io.ReaderAt
	size    int64

	window       []byte // in buffer
	at           int64  // where in the file the window begins
	buffer       [sniffBytes]byte
	reads, steps int
}

// read returns length bytes from offset at, at most [windowBytes], or [sniffBytes] at the beginning. They are valid until
// the next call.
func (h *headers) read(at int64, length int) ([]byte, error) {
	if at < 0 || at > h.size || int64(length) > h.size-at {
		return nil, errCutShort
	}
	if h.steps++; h.steps > maxSteps {
		return nil, errTooFar
	}
	if at < h.at || at+int64(length) > h.at+int64(len(h.window)) {
		if err := h.move(at, max(length, windowBytes)); err != nil {
			return nil, err
		}
	}
	return h.window[at-h.at:][:length], nil
}

func (h *headers) move(at int64, length int) error {
	if h.reads++; h.reads > maxReads {
		return errTooFar
	}
	window := h.buffer[:min(int64(length), h.size-at)]
	h.window, h.at = nil, 0
	n, err := h.content.ReadAt(window, at)
	if n < len(window) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // shorter than we were told: that is not the uploader's fault
		}
		return fmt.Errorf("read %d bytes at %d: %w", len(window), at, err)
	}
	h.window, h.at = window, at
	return nil
}

// track is what the headers of one track say.
type track struct {
	kind          trackKind
	codec         string
	width, height int  // as shown, of a picture
	hidden        bool // not meant to be played by itself: the pictures of chapters
}

type trackKind byte

const (
	otherTrack trackKind = iota
	pictureTrack
	soundTrack
)

// tracks puts together what the tracks of a file say.
type tracks struct {
	pictures, sounds []string // codecs
	others           int      // tracks of neither
	shown            track    // the one whose size is that of the video
}

func (t *tracks) add(one track) {
	switch one.kind {
	case pictureTrack:
		t.pictures = addCodec(t.pictures, one.codec)
		if t.shown.kind != pictureTrack || t.shown.hidden && !one.hidden {
			t.shown = one
		}
	case soundTrack:
		t.sounds = addCodec(t.sounds, one.codec)
	default:
		t.others++
	}
}

func addCodec(codecs []string, name string) []string {
	name = cleanCodec(name)
	if slices.Contains(codecs, name) || len(codecs) == maxCodecs {
		return codecs
	}
	return append(codecs, name)
}

// cleanCodec makes something of any bytes that may stand in a page, a log and a header.
func cleanCodec(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune("._-/", r):
			return r
		}
		return -1
	}, name)
	if name == "" {
		return "unknown"
	}
	return name[:min(len(name), maxCodecName)]
}

// tell writes into v what is known of the tracks.
func (t *tracks) tell(v *Video) error {
	switch {
	case len(t.pictures)+len(t.sounds) > 0:
	case t.others > 0: // old programs knew more kinds than we do
		return fmt.Errorf("%w: tracks of another kind", ErrUnsupported)
	default:
		return ErrNoTracks
	}
	for _, name := range slices.Concat(t.pictures, t.sounds) {
		if !slices.Contains(v.Codecs, name) { // nothing keeps a file from calling both the same
			v.Codecs = append(v.Codecs, name)
		}
	}
	if size := t.shown; min(size.width, size.height) > 0 && max(size.width, size.height) <= maxSide {
		v.Width, v.Height = size.width, size.height
	}
	return nil
}

// durationOf is units of which there are scale in a second; 0, not told, where that cannot be.
func durationOf(units uint64, scale uint32) time.Duration {
	high, low := bits.Mul64(units, uint64(time.Second))
	if high >= uint64(scale) { // no units in a second, or more seconds than fit
		return 0
	}
	d, _ := bits.Div64(high, low, uint64(scale))
	if d > math.MaxInt64 {
		return 0
	}
	return time.Duration(d)
}
