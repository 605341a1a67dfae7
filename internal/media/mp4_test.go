package media

import (
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func boxOf(kind string, parts ...string) string {
	body := strings.Join(parts, "")
	return be32(uint32(8+len(body))) + kind + body
}

func be32(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }
func be64(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }
func zeros(n int) string   { return string(make([]byte, n)) }

// Matrices are 9 numbers: a, b, u, c, d, v, x, y, w.
func matrix(a, b, c, d int32) string {
	one := func(n int32) string { return be32(uint32(n) << 16) }
	return one(a) + one(b) + zeros(4) + one(c) + one(d) + zeros(12) + be32(1<<30)
}

var asStored = matrix(1, 0, 0, 1)

func mvhd(scale, units uint32, m string) string {
	return boxOf("mvhd", zeros(12), be32(scale), be32(units), zeros(16), m, zeros(28))
}

func mvhdLong(scale uint32, units uint64, m string) string {
	return boxOf("mvhd", "\x01", zeros(19), be32(scale), be64(units), zeros(16), m, zeros(28))
}

func tkhd(flags byte, m string, width, height uint16) string {
	return boxOf("tkhd", zeros(3), string(flags), zeros(36), m, be32(uint32(width)<<16), be32(uint32(height)<<16))
}

func tkhdLong(m string, width, height uint16) string {
	return boxOf("tkhd", "\x01\x00\x00\x03", zeros(48), m, be32(uint32(width)<<16), be32(uint32(height)<<16))
}

// trak is a track with a header and whatever else; its pictures are stored with 320 x 240 pixels.
func trak(header, handler, codec string, more ...string) string {
	entry := boxOf(codec, zeros(24), "\x01\x40\x00\xf0", zeros(50))
	return boxOf("trak", header, boxOf("mdia", boxOf("hdlr", zeros(8), handler, zeros(13)), strings.Join(more, ""),
		boxOf("minf", boxOf("stbl", boxOf("stsd", zeros(7), "\x01", entry), boxOf("stsz", zeros(5000))))))
}

func pictures(header string) string { return trak(header, "vide", "avc1") }

var isom = boxOf("ftyp", "isom\x00\x00\x02\x00isomavc1")

func movieOf(parts ...string) string { return isom + boxOf("moov", parts...) + boxOf("mdat", "x") }

func goodMP4s() []string {
	plain := pictures(tkhd(3, asStored, 640, 480))
	return []string{
		movieOf(mvhd(1000, 5000, asStored), plain),
		movieOf(mvhdLong(1000, 5000, asStored), pictures(tkhdLong(asStored, 640, 480))),
		movieOf(mvhd(1000, 0, asStored), plain, boxOf("mvex", boxOf("mehd", zeros(4), be32(5000)))),
	}
}

func TestMP4IsReadWhateverItsVersionsAndOrder(t *testing.T) {
	long, plain := mvhdLong(1000, 5000, asStored), pictures(tkhd(3, asStored, 640, 480))
	index := boxOf("moov", long, plain)
	old := boxOf("wide") + boxOf("mdat", strings.Repeat("x", 5000)) + index
	longIndex := "\x00\x00\x00\x01moov" + be64(uint64(len(index)+8)) + index[8:]
	first := Video{"mp4", 5 * time.Second, 640, 480, []string{"h264"}, true}
	last := Video{"mp4", 5 * time.Second, 640, 480, []string{"h264"}, false}
	for name, c := range map[string]struct {
		data string
		want Video
	}{
		"short":          {goodMP4s()[0], first},
		"long":           {goodMP4s()[1], first},
		"fragments":      {goodMP4s()[2], first},
		"no ftyp":        {old, Video{"quicktime", 5 * time.Second, 640, 480, []string{"h264"}, false}},
		"long index":     {isom + longIndex + boxOf("mdat"), first},
		"last index":     {isom + boxOf("mdat", "x") + boxOf("mdat", "x") + "\x00\x00\x00\x00" + index[4:], last},
		"two indexes":    {isom + index + boxOf("moov") + boxOf("mdat"), first},
		"zeros at end":   {movieOf(long, boxOf("trak", plain[8:], zeros(4)), zeros(4)), first},
		"garbage behind": {isom + boxOf("mdat") + index + strings.Repeat("\xff", 99), last},
	} {
		if got, err := videoOf(t, c.data); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, c.want)
		}
	}
}

func TestMP4IsShownAsItsMatricesSay(t *testing.T) {
	left, right, over := matrix(0, -1, 1, 0), matrix(0, 1, -1, 0), matrix(-1, 0, 0, -1)
	for name, c := range map[string]struct {
		movie, track  string
		width, height int
	}{
		"as stored":        {asStored, asStored, 640, 480},
		"left":             {asStored, left, 480, 640},
		"right":            {asStored, right, 480, 640},
		"upside down":      {asStored, over, 640, 480},
		"mirrored, turned": {asStored, matrix(0, 1, 1, 0), 480, 640},
		"no matrix":        {zeros(36), asStored, 640, 480},
		"none of a track":  {asStored, zeros(36), 640, 480},
		"by 45 degrees":    {asStored, matrix(1, 1, -1, 1), 640, 480},
		"whole movie":      {left, asStored, 480, 640},
		"there and back":   {left, right, 640, 480},
	} {
		for _, header := range []string{tkhd(3, c.track, 640, 480), tkhdLong(c.track, 640, 480)} {
			for _, clock := range []string{mvhd(1, 1, c.movie), mvhdLong(1, 1, c.movie)} {
				got, err := videoOf(t, movieOf(clock, pictures(header)))
				if err != nil || got.Width != c.width || got.Height != c.height {
					t.Errorf("%s: got %+v, %v, want %d x %d", name, got, err, c.width, c.height)
				}
			}
		}
	}
}

func TestMP4TracksThatAreShownTellTheSize(t *testing.T) {
	hidden, small := pictures(tkhd(2, asStored, 64, 48)), pictures(tkhd(3, asStored, 640, 480))
	sound := trak(tkhd(3, asStored, 0, 0), "soun", "mp4a")
	for name, c := range map[string]struct {
		tracks        string
		width, height int
		codecs        string
	}{
		"the first":         {small + pictures(tkhd(3, asStored, 64, 48)), 640, 480, "h264"},
		"not a hidden one":  {hidden + sound + small, 640, 480, "h264 aac"},
		"but if it is all":  {hidden + sound, 64, 48, "h264 aac"},
		"as stored":         {pictures(tkhd(3, asStored, 0, 0)), 320, 240, "h264"},
		"as stored, turned": {pictures(tkhd(3, matrix(0, 1, -1, 0), 0, 0)), 240, 320, "h264"},
		"sound alone":       {trak(tkhd(3, asStored, 640, 480), "soun", "Opus"), 0, 0, "opus"},
		"picture, sound":    {sound + trak("", "text", "tx3g") + small + sound, 640, 480, "h264 aac"},
		"unknown":           {trak("", "vide", "x<\x00y"), 320, 240, "xy"},
	} {
		got, err := videoOf(t, movieOf(mvhd(1, 1, asStored), c.tracks))
		if err != nil || got.Width != c.width || got.Height != c.height || strings.Join(got.Codecs, " ") != c.codecs {
			t.Errorf("%s: got %+v, %v, want %d x %d, %s", name, got, err, c.width, c.height, c.codecs)
		}
	}
}

func TestMP4Duration(t *testing.T) {
	medium := func(version, times string) string {
		return trak(tkhd(3, asStored, 640, 480), "vide", "avc1", boxOf("mdhd", version, zeros(3), times, zeros(4)))
	}
	none := medium("\x00", zeros(8)+be32(0)+be32(9))
	media := medium("\x00", zeros(8)+be32(10)+be32(25))
	long := medium("\x01", zeros(16)+be32(10)+be64(25))
	total := func(parts ...string) string { return boxOf("mvex", boxOf("trex", zeros(24)), boxOf("mehd", parts...)) }
	for name, c := range map[string]struct {
		parts string
		want  time.Duration
	}{
		"movie":              {mvhd(600, 900, asStored) + none, 1500 * time.Millisecond},
		"not known":          {mvhd(600, 1<<32-1, asStored) + none, 0},
		"not known, long":    {mvhdLong(1<<32-1, 1<<64-1, asStored) + none, 0},
		"too long":           {mvhdLong(1, 1<<63, asStored) + none, 0},
		"of the media":       {mvhd(600, 0, asStored) + none + media, 2500 * time.Millisecond},
		"of the media, long": {mvhd(600, 0, asStored) + long + none, 2500 * time.Millisecond},
		"fragments":          {mvhd(600, 900, asStored) + none + boxOf("mvex", boxOf("trex", zeros(24))), 0},
		"fragments, told":    {mvhd(600, 900, asStored) + none + total(zeros(4), be32(1200)), 2 * time.Second},
		"told early":         {total(zeros(4), be32(1200)) + mvhd(600, 900, asStored) + none, 2 * time.Second},
		"told long":          {mvhd(600, 0, asStored) + none + total("\x01\x00\x00\x00", be64(1200)), 2 * time.Second},
	} {
		if got, err := videoOf(t, movieOf(c.parts)); err != nil || got.Duration != c.want {
			t.Errorf("%s: got %+v, %v, want %v", name, got, err, c.want)
		}
	}
}

func TestMP4Codecs(t *testing.T) {
	for letters, want := range map[string]string{
		"avc3": "h264", "hev1": "hevc", "dvh1": "hevc", "av01": "av1", "vp09": "vp9", "s263": "h263", "apch": "prores",
		"jpeg": "mjpeg", "mp4v": "mpeg4", "mp4a": "aac", "Opus": "opus", "fLaC": "flac", "ac-3": "ac3", "ec-3": "eac3",
		"samr": "amr_nb", "twos": "pcm", "raw ": "pcm", ".mp3": "mp3", "alac": "alac", "encv": "encv", "\xa9\x00 <": "unknown",
	} {
		got, err := videoOf(t, movieOf(mvhd(1, 1, asStored), trak("", "soun", letters)))
		if err != nil || len(got.Codecs) != 1 || got.Codecs[0] != want {
			t.Errorf("%q: got %+v, %v, want %s", letters, got, err, want)
		}
	}
}

func TestMP4ThatNobodyCanPlayIsRefused(t *testing.T) {
	clock, plain := mvhd(1000, 5000, asStored), pictures(tkhd(3, asStored, 640, 480))
	good, content := boxOf("moov", clock, plain), boxOf("mdat", "x")
	undescribed := boxOf("trak", boxOf("mdia", boxOf("hdlr", zeros(8), "vide", zeros(13))))
	long := func(kind string, size uint64) string { return "\x00\x00\x00\x01" + kind + be64(size) }
	for name, c := range map[string]struct {
		data string
		want error
	}{
		"no index":            {isom + content, ErrNoIndex},
		"no content":          {isom + good, ErrNoContent},
		"empty index":         {isom + boxOf("moov") + content, ErrNoTracks},
		"no track":            {movieOf(clock), ErrNoTracks},
		"no media":            {movieOf(clock, boxOf("trak", tkhd(3, asStored, 640, 480))), ErrNoTracks},
		"no description":      {movieOf(clock, undescribed), ErrNoTracks},
		"index cut off":       {isom + content + good[:len(good)-1], ErrCutShort},
		"cut before tracks":   {isom + content + good[:16+len(clock)], ErrCutShort},
		"cut before content":  {isom + good[:len(good)-1], ErrCutShort},
		"content cut off":     {isom + "\x00\x00\x00\x0amdatx", ErrCutShort},
		"long content":        {isom + long("mdat", 1<<33) + "x", ErrCutShort},
		"content to the end":  {isom + "\x00\x00\x00\x00mdat" + good, ErrNoIndex},
		"size 7":              {isom + content + "\x00\x00\x00\x07free" + good, ErrNoIndex},
		"long size 15":        {isom + content + long("free", 15) + good, ErrNoIndex},
		"cut in a header":     {isom + good + "\x00\x00\x00\x01mda", ErrNoContent},
		"negative size":       {isom + long("free", 1<<63) + good + content, ErrCutShort},
		"back to the start":   {isom + long("free", 1<<64-32) + good + content, ErrCutShort},
		"track without media": {movieOf(clock, "\x00\x00\x10\x00trak"), ErrNoTracks},
		"broken media":        {movieOf(clock, boxOf("trak", "\x00\x00\x00\x20mdia")), ErrNoTracks},
		"free, and no index":  {isom + content + boxOf("free", boxOf("mvhx")), ErrNoIndex},
	} {
		if _, err := videoOf(t, c.data); !errors.Is(err, c.want) || !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func TestMP4ThatPlaysIsTakenWhateverIsBrokenInIt(t *testing.T) {
	clock, plain := mvhd(1000, 5000, asStored), pictures(tkhd(3, asStored, 640, 480))
	good, content := boxOf("moov", clock, plain), boxOf("mdat", "x")
	told, untold := good[8:], boxOf("udta", zeros(50))
	placed := boxOf("trak", boxOf("mdia", boxOf("hdlr", zeros(8), "vide"),
		boxOf("minf", boxOf("stbl", boxOf("stsd", zeros(8), boxOf("avc1")), boxOf("stco", zeros(8))))), untold)
	for name, data := range map[string]string{
		"content cut off":      isom + good + "\x00\x00\x00\x0amdatx",
		"long content":         isom + good + "\x00\x00\x00\x01mdat" + be64(1<<33) + "x",
		"no clock":             movieOf(plain),
		"clock stands still":   movieOf(mvhd(0, 5000, asStored), plain),
		"short clock":          movieOf(boxOf("mvhd", zeros(19)), plain),
		"half a clock":         movieOf(boxOf("mvhd", zeros(71)), plain),
		"short long clock":     movieOf(boxOf("mvhd", "\x01", zeros(82)), plain),
		"empty clock":          movieOf(boxOf("mvhd"), plain),
		"short track":          movieOf(clock, pictures(boxOf("tkhd", zeros(83)))),
		"short long track":     movieOf(clock, pictures(boxOf("tkhd", "\x01", zeros(94)))),
		"short medium":         movieOf(clock, trak("", "vide", "avc1", boxOf("mdhd", "\x01", zeros(30)))),
		"short total":          movieOf(clock, plain, boxOf("mvex", boxOf("mehd", zeros(7)))),
		"another track broken": movieOf(clock, plain, "\x00\x00\x10\x00trak"),
		"cut behind tracks":    isom + content + be32(uint32(8+len(told)+len(untold))) + "moov" + told + untold[:30],
		"cut behind tables":    isom + content + boxOf("moov", clock, placed)[:8+len(clock)+len(placed)-10],
		"garbage in the index": movieOf(clock, plain, "\x00\x00\x00\x03abcdef"),
		"other content":        isom + good + boxOf("imda", "x"),
		"in a free box":        isom + content + boxOf("free", told),
		"unnamed":              isom + content + boxOf("hoov", told),
		"skip, uuid, pnot":     isom + boxOf("skip", zeros(9)) + boxOf("uuid", zeros(16)) + boxOf("pnot") + content + good,
	} {
		if got, err := videoOf(t, data); err != nil || len(got.Codecs) != 1 || got.Codecs[0] != "h264" {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	for name, data := range map[string]string{
		"compressed index": movieOf(boxOf("cmov", zeros(100))),
		"only text":        movieOf(clock, trak("", "text", "tx3g")),
		"MPEG-1 muxed":     movieOf(clock, trak("", "MPEG", "MPEG")),
		"short handler":    strings.Replace(movieOf(clock, plain), "hdlr", "hxlr", 1),
	} {
		if _, err := videoOf(t, data); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: got %v, want %v", name, err, ErrUnsupported)
		}
	}
}

func TestMPEG4DescriptorsTellTheCodec(t *testing.T) {
	config := "\x04\x11\x6b\x15"
	for name, c := range map[string]struct {
		entry string
		want  byte
	}{
		"plain":         {"esds" + zeros(4) + "\x03\x19\x00\x01\x00" + config, 0x6b},
		"long lengths":  {"esds" + zeros(4) + "\x03\x80\x80\x80\x19\x00\x01\x00\x04\x80\x80\x80\x11\x40\x15", 0x40},
		"all options":   {"esds" + zeros(4) + "\x03\x19\x00\x01\xe0\x00\x02\x03url\x00\x03" + config, 0x6b},
		"none":          {zeros(100), 0},
		"nothing in it": {"esds", 0},
		"cut":           {"esds" + zeros(4) + "\x03\x19\x00\x01\x00\x04", 0},
		"cut options":   {"esds" + zeros(4) + "\x03\x19\x00\x01\xe0\x00\x02\x70u", 0},
		"endless":       {"esds" + zeros(4) + "\x03" + strings.Repeat("\x80", 99), 0},
		"another":       {"esds" + zeros(4) + "\x05\x19\x00\x01\x00" + config, 0},
	} {
		if got := objectType([]byte(c.entry)); got != c.want {
			t.Errorf("%s: got %#x, want %#x", name, got, c.want)
		}
	}
	sound := func(more string) string { // the descriptor lies behind fields of which QuickTime has more, and in a box
		entry := boxOf("mp4a", zeros(28), more, boxOf("esds", zeros(4), "\x03\x19\x00\x01\x00"+config))
		return boxOf("trak", boxOf("mdia", boxOf("hdlr", zeros(8), "soun", zeros(13)),
			boxOf("minf", boxOf("stbl", boxOf("stsd", zeros(7), "\x01", entry)))))
	}
	for _, more := range []string{"", zeros(16), zeros(36), zeros(16) + "\x00\x00\x00\x64wave" + boxOf("frma", "mp4a")} {
		if got, err := videoOf(t, movieOf(mvhd(1, 1, asStored), sound(more))); err != nil || got.Codecs[0] != "mp3" {
			t.Errorf("%d bytes more: got %+v, %v", len(more), got, err)
		}
	}
}
