package media

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// counted is a file that knows how it was read.
type counted struct {
	io.ReaderAt
	reads int
	bytes int64
}

func (c *counted) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, at)
	c.reads++
	c.bytes += int64(n)
	return n, err
}

// hollow is a file that has a hole of zeros behind its front: a large video of which only the headers are there.
type hollow struct {
	front, back string
	hole        int64
}

func (h hollow) size() int64 { return int64(len(h.front)) + h.hole + int64(len(h.back)) }

func (h hollow) ReadAt(p []byte, at int64) (int, error) {
	for n := range p {
		switch off := at + int64(n); {
		case off >= h.size():
			return n, io.EOF
		case off < int64(len(h.front)):
			p[n] = h.front[off]
		case off < int64(len(h.front))+h.hole:
			p[n] = 0
		default:
			p[n] = h.back[off-int64(len(h.front))-h.hole]
		}
	}
	return len(p), nil
}

// inspectVideo also holds every call against the bound.
func inspectVideo(t testing.TB, content io.ReaderAt, size int64) (Video, *counted, error) {
	t.Helper()
	c := &counted{ReaderAt: content}
	v, err := InspectVideo(c, size)
	if c.reads > 1000 || c.bytes > 1<<20 {
		t.Errorf("%d reads of %d bytes", c.reads, c.bytes)
	}
	if err != nil && !reflect.DeepEqual(v, Video{}) {
		t.Errorf("got %+v with %v", v, err)
	}
	return v, c, err
}

func videoOf(t testing.TB, data string) (Video, error) {
	t.Helper()
	v, _, err := inspectVideo(t, strings.NewReader(data), int64(len(data)))
	return v, err
}

// videos are those in testdata, as testdata/video/generate has made them.
func videos(t testing.TB) map[string]string {
	t.Helper()
	names, err := filepath.Glob("testdata/video/*.*")
	if err != nil || len(names) < 20 {
		t.Fatal(names, err)
	}
	all := make(map[string]string, len(names))
	for _, name := range names {
		all[filepath.Base(name)] = string(file(t, filepath.Join("video", filepath.Base(name))))
	}
	return all
}

// The wanted values are what ffprobe 5.1.9 says, with two differences: sizes are as shown, that is, turned and with pixels
// as wide as high, where it tells 96 x 64 with 4:3 and 128 x 96 with 9:8; and it reads fragments to the end for a duration.
func TestVideosAreSeenAsFfprobeSeesThem(t *testing.T) {
	const whole = 1600 * time.Millisecond
	for name, want := range map[string]Video{
		"end.mp4":        {"mp4", whole, 96, 64, []string{"h264", "aac"}, false},
		"faststart.mp4":  {"mp4", whole, 96, 64, []string{"h264", "aac"}, true},
		"fragmented.mp4": {"mp4", 0, 96, 64, []string{"h264", "aac"}, true},
		"hevc.mp4":       {"mp4", whole, 96, 64, []string{"hevc"}, false},
		"av1.mp4":        {"mp4", whole, 96, 64, []string{"av1"}, false},
		"mp3.mp4":        {"mp4", whole, 96, 64, []string{"mpeg4", "mp3"}, false},
		"wide.mp4":       {"mp4", whole, 128, 64, []string{"h264"}, false},
		"phone.3gp":      {"mp4", whole, 144, 96, []string{"h263", "aac"}, false},
		"sound.m4a":      {"mp4", whole, 0, 0, []string{"aac"}, false},
		"rotated.mov":    {"quicktime", whole, 64, 96, []string{"h264", "aac"}, false},
		"prores.mov":     {"quicktime", 200 * time.Millisecond, 32, 32, []string{"prores", "pcm"}, false},
		"vp9.webm":       {"webm", 1608 * time.Millisecond, 96, 64, []string{"vp9", "opus"}, false},
		"live.webm":      {"webm", 0, 96, 64, []string{"vp8", "opus"}, false},
		"wide.webm":      {"webm", whole, 128, 64, []string{"vp8"}, false},
		"h264.mkv":       {"matroska", 1621 * time.Millisecond, 96, 64, []string{"h264", "aac"}, false},
		"pipe.mkv":       {"matroska", 0, 96, 64, []string{"h264", "aac"}, false},
		"wide.mkv":       {"matroska", whole, 128, 64, []string{"hevc"}, false},
		"sound.mka":      {"matroska", whole, 0, 0, []string{"flac"}, false},
		"old.avi":        {Container: "avi"},
		"packets.ts":     {Container: "mpegts"},
		"theora.ogv":     {Container: "ogg"},
	} {
		if got, err := videoOf(t, videos(t)[name]); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, want)
		}
	}
}

// A player must have the index, or the tracks, and a beginning of content. It does without the sound if that is what is cut.
func TestVideoIsRefusedIfItIsCutShortBeforeItCanBePlayed(t *testing.T) {
	const tags = "\x12\x54\xc3\x67" // the ID of what follows the tracks
	for name, c := range map[string]struct{ refused, taken string }{
		"end.mp4": {"stco", "udta"}, "rotated.mov": {"stco", ""}, "faststart.mp4": {"mdat", "mdat"}, "h264.mkv": {tags, tags}, "vp9.webm": {tags, tags},
	} {
		data := videos(t)[name]
		refused, taken := strings.Index(data, c.refused)-4, strings.LastIndex(data, c.taken)+4
		if c.refused == tags {
			refused = taken - 4
		}
		for n := 16; n < len(data); n++ {
			_, err := videoOf(t, data[:n])
			switch {
			case n >= taken && err != nil:
				t.Errorf("%s: first %d of %d bytes: got %v", name, n, len(data), err)
			// A Matroska is one by its DocType, which may be cut off.
			case n < refused && !errors.Is(err, ErrMalformed) && (n > 64 || !errors.Is(err, ErrUnsupported)):
				t.Errorf("%s: first %d of %d bytes: got %v, want %v", name, n, len(data), err, ErrMalformed)
			}
		}
	}
}

// What was cut off while it was recorded or sent live is all there is, and plays.
func TestLiveVideoThatWasCutOffIsTaken(t *testing.T) {
	for _, name := range []string{"fragmented.mp4", "live.webm", "pipe.mkv"} {
		data := videos(t)[name]
		want, _ := videoOf(t, data)
		cut := len(data) - 100
		if name == "fragmented.mp4" {
			cut = strings.LastIndex(data, "mfra") - 4 // the boxes at hand are whole
		}
		if got, err := videoOf(t, data[:cut]); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, want)
		}
	}
}

func TestWhatIsNoVideoIsUnsupported(t *testing.T) {
	for name, data := range map[string]string{
		"nothing":  "",
		"text":     "Sluices let the stream through",
		"picture":  string(pngOf(t, picture(9, 9))),
		"heic":     string(ftyp("heic", "mif1")),
		"avif":     string(ftyp("mif1", "avif")),
		"document": "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
		"EBML":     strings.Replace(videos(t)["vp9.webm"], "\x42\x82\x84webm", "\x42\x82\x84warm", 1),
		"disguise": ebmlOf(idEBML, ebmlOf(0xec, "\x42\x82\x84webm"), ebmlOf(idDocType, "warm")) + videos(t)["vp9.webm"],
	} {
		if v, err := videoOf(t, data); !errors.Is(err, ErrUnsupported) || errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %+v, %v, want %v", name, v, err, ErrUnsupported)
		}
	}
	if _, err := InspectVideo(strings.NewReader(""), -1); !errors.Is(err, ErrUnsupported) {
		t.Errorf("negative size: got %v, want %v", err, ErrUnsupported)
	}
}

// A verdict would be for ever; a disk may be well tomorrow.
func TestAnErrorOfTheDiskIsNoVerdict(t *testing.T) {
	data := videos(t)["end.mp4"]
	broken := errors.New("broken disk")
	large := hollow{data[:40] + "\x00\x00\x00\x01mdat" + be64(1<<30+16), data[strings.Index(data, "moov")-4:], 1 << 30}
	_, whole, err := inspectVideo(t, large, large.size())
	if err != nil || whole.reads < 3 {
		t.Fatal(err, whole.reads)
	}
	for good := range whole.reads {
		_, err := InspectVideo(&failing{large, good, broken}, large.size())
		if !errors.Is(err, broken) || errors.Is(err, ErrMalformed) || errors.Is(err, ErrUnsupported) {
			t.Errorf("after %d reads: got %v, want %v", good, err, broken)
		}
	}
	if _, err := InspectVideo(strings.NewReader(data[:100]), int64(len(data))); !errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, ErrMalformed) {
		t.Errorf("content shorter than its size: got %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

type failing struct {
	io.ReaderAt
	good int // reads
	err  error
}

func (f *failing) ReadAt(p []byte, at int64) (int, error) {
	if f.good--; f.good < 0 {
		return 0, f.err
	}
	return f.ReaderAt.ReadAt(p, at)
}

func TestLargeVideosAreReadByAFewKilobytes(t *testing.T) {
	const gib = 1 << 30
	all := videos(t)
	end, front := all["end.mp4"], all["faststart.mp4"]
	front = front[:strings.Index(front, "mdat")-4]
	wide := "\x00\x00\x00\x01mdat" + be64(6*gib+16)
	info, tracks := mkvInfo(float(idDuration, 1)), mkvTracks(mkvPicture(""))
	seek := func(at int) string { // from where the segment begins
		return ebmlOf(idSeekHead, seekTo(idInfo, int64(at)), seekTo(idTracks, int64(at+len(info))))
	}
	at := len(seek(0)) + len(openCluster) + 6*gib
	for name, large := range map[string]hollow{
		"index at the end":     {end[:40] + wide, end[strings.Index(end, "moov")-4:], 6 * gib},
		"index first":          {front + wide, "", 6 * gib},
		"content to the end":   {front + "\x00\x00\x00\x00mdat", "", 6 * gib},
		"tracks at the end":    {mkvHead + openSegment + seek(at) + openCluster, info + tracks, 6 * gib},
		"live, goes on and on": {all["live.webm"], "", 6 * gib},
	} {
		t.Run(name, func(t *testing.T) {
			v, c, err := inspectVideo(t, large, large.size())
			if err != nil || v.Width == 0 {
				t.Errorf("got %+v, %v", v, err)
			}
			if c.bytes > 10<<10 || c.reads > 8 {
				t.Errorf("took %d reads of %d bytes", c.reads, c.bytes)
			}
		})
	}
}

// What a walk keeps is a window, whatever it is told to read; the rest is the letters of 20,000 boxes, let go at
// once (and three times as much where races are looked for).
func TestHeadersTakeLittleMemory(t *testing.T) {
	for name, data := range hostileVideos() {
		took := allocated(func() { _, _ = InspectVideo(strings.NewReader(data), int64(len(data))) })
		if took > 512<<10 {
			t.Errorf("%s: %d bytes", name, took)
		}
	}
}

func TestHostileHeadersEnd(t *testing.T) {
	for name, data := range hostileVideos() {
		v, c, err := inspectVideo(t, strings.NewReader(data), int64(len(data)))
		if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: got %+v, %v", name, v, err)
		}
		if packed := !strings.HasSuffix(name, "apart"); packed && c.reads > 200 { // 20,000 of them, of 8 bytes
			t.Errorf("%s: %d reads", name, c.reads)
		}
	}
}

// hostileVideos are made to be walked through for as long as they can.
func hostileVideos() map[string]string {
	moov := func(kind string) string { return boxOf("ftyp", "isom\x00\x00\x02\x00") + kind + boxOf("mdat", "x") }
	nested := "x"
	for range 200 {
		nested = boxOf("trak", boxOf("mdia", nested), boxOf("mdia", nested[:min(len(nested), 100)]))
	}
	head := ebmlOf(idEBML, ebmlOf(idDocType, "webm"))
	return map[string]string{
		"many boxes":      moov(strings.Repeat(boxOf("free"), 300_000)),
		"boxes apart":     moov(strings.Repeat(boxOf("free", strings.Repeat("x", 2000)), 3_000)),
		"many tracks":     moov(boxOf("moov", strings.Repeat(boxOf("trak", boxOf("mdia")), 100_000))),
		"deep":            moov(boxOf("moov", nested)),
		"many elements":   head + ebmlOf(idSegment, strings.Repeat("\xec\x80", 1_000_000)),
		"elements apart":  head + ebmlOf(idSegment, strings.Repeat(ebmlOf(0xec, strings.Repeat("x", 2000)), 3_000)),
		"many entries":    head + ebmlOf(idSegment, ebmlOf(idTracks, strings.Repeat("\xae\x80", 1_000_000))),
		"many seeks":      head + ebmlOf(idSegment, ebmlOf(idSeekHead, strings.Repeat(seekTo(idTracks, 0), 100_000))),
		"seek in circles": head + ebmlOf(idSegment, ebmlOf(idSeekHead, seekTo(idTracks, 0), seekTo(idInfo, 0)), openCluster),
		"many headers":    head + strings.Repeat("\xec\x80", 1_000_000),
		"many claims":     ebmlOf(idEBML, ebmlOf(idDocType, "webm"), strings.Repeat("\x42\xf2\x81\x04", 500_000)),
		"large claims":    head + "\x18\x53\x80\x67\xff\x16\x54\xae\x6b\x01\xff\xff\xff\xff\xff\xff\xfe\xae",
		"codec of 4 GiB":  moov(boxOf("moov", "\xff\xff\xff\xfftrak\x00")),
	}
}

func TestCodecsAreClean(t *testing.T) {
	for name, want := range map[string]string{
		"h264": "h264", "V_MS/VFW/FOURCC": "V_MS/VFW/FOURCC", "": "unknown", "\x00\x00\x00\x00": "unknown",
		"a\r\nb<c>\"&'": "abc", "sé\xff ": "s", strings.Repeat("V", 500): strings.Repeat("V", 32),
	} {
		if got := cleanCodec(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	var all tracks
	for n := range 100 {
		all.add(track{kind: soundTrack, codec: fmt.Sprint("s", n)})
		all.add(track{kind: pictureTrack, codec: fmt.Sprint("p", n)})
		all.add(track{kind: pictureTrack, codec: "p0"})
		all.add(track{kind: soundTrack, codec: "p0"})
	}
	var v Video
	if err := all.tell(&v); err != nil || strings.Join(v.Codecs, " ") != "p0 p1 p2 p3 p4 p5 p6 p7 s0 s1 s2 s3 s4 s5 s6" {
		t.Errorf("got %q, %v", v.Codecs, err)
	}
}

func TestDurationsThatCannotBeAreNotTold(t *testing.T) {
	for c, want := range map[clock]time.Duration{
		{1000, 1600}:           1600 * time.Millisecond,
		{90_000, 1}:            11_111 * time.Nanosecond,
		{1, 1 << 33}:           (1 << 33) * time.Second,
		{0, 5}:                 0,
		{0, 0}:                 0,
		{1, 1 << 34}:           0, // 545 years
		{1, 1<<64 - 1}:         0,
		{1<<32 - 1, 1<<64 - 1}: (1<<32 + 1) * time.Second,
	} {
		if got := c.duration(); got != want {
			t.Errorf("%+v: got %v, want %v", c, got, want)
		}
	}
}

func checkVideo(t *testing.T, v Video) {
	t.Helper()
	least, most := min(v.Width, v.Height), max(v.Width, v.Height)
	if v.Duration < 0 || least < 0 || most > maxSide || least == 0 && most != 0 {
		t.Errorf("got %+v", v)
	}
	if !strings.Contains(" mp4 quicktime webm matroska mpegts mpeg avi ogg flv asf ", " "+v.Container+" ") {
		t.Errorf("container %q", v.Container)
	}
	for n, name := range v.Codecs {
		if name == "" || len(name) > 32 || name != cleanCodec(name) || n >= 16 || slices.Contains(v.Codecs[:n], name) {
			t.Errorf("codecs %q", v.Codecs)
		}
	}
}

// FuzzInspectVideo puts a hole somewhere too, so that sizes of more than a few kilobytes can be right.
func FuzzInspectVideo(f *testing.F) {
	for _, data := range videos(f) {
		f.Add([]byte(data), uint(0), uint32(0))
		if at := strings.Index(data, "mdat"); at > 0 {
			f.Add([]byte(data), uint(at+4), uint32(1<<20))
		}
	}
	for _, data := range append(goodMP4s(), goodMatroskas()...) {
		f.Add([]byte(data), uint(len(data)), uint32(9))
	}
	for _, data := range hostileVideos() {
		f.Add([]byte(data[:min(len(data), 2000)]), uint(40), uint32(1<<31))
	}
	f.Fuzz(func(t *testing.T, data []byte, at uint, hole uint32) {
		at = min(at, uint(len(data)))
		content := hollow{string(data[:at]), string(data[at:]), int64(hole)}
		v, _, err := inspectVideo(t, content, content.size())
		if err != nil {
			if errors.Is(err, ErrMalformed) == errors.Is(err, ErrUnsupported) {
				t.Errorf("got %v", err)
			}
			known := []error{ErrCutShort, ErrNoIndex, ErrNoContent, ErrNoTracks}
			if is := func(one error) bool { return errors.Is(err, one) }; is(ErrMalformed) && !slices.ContainsFunc(known, is) {
				t.Errorf("got %v, want one of %v", err, known)
			}
			return
		}
		checkVideo(t, v)
		if again, err := InspectVideo(content, content.size()); err != nil || !reflect.DeepEqual(again, v) {
			t.Errorf("got %+v, then %+v, %v", v, again, err)
		}
	})
}
