package media

import (
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

// ebmlOf is an element with a size of 8 bytes.
func ebmlOf(id uint32, parts ...string) string {
	body := strings.Join(parts, "")
	return idOf(id) + be64(1<<56|uint64(len(body))) + body
}

func idOf(id uint32) string { return strings.TrimLeft(be32(id), "\x00") }

func number(id uint32, n uint64) string { return ebmlOf(id, be64(n)) }

func float(id uint32, f float64) string { return number(id, math.Float64bits(f)) }

func float32Of(id uint32, f float32) string { return ebmlOf(id, be32(math.Float32bits(f))) }

func seekTo(id uint32, position int64) string {
	return ebmlOf(idSeek, ebmlOf(idSeekID, idOf(id)), number(idSeekPosition, uint64(position)))
}

func mkvInfo(duration string) string {
	return ebmlOf(idInfo, number(idTimestampScale, 1_000_000), duration)
}

func mkvTracks(entries ...string) string { return ebmlOf(idTracks, entries...) }

// mkvPicture is a track with more in its description of pictures of 640 x 480.
func mkvPicture(more string) string {
	return ebmlOf(idTrackEntry, number(0xd7, 1), ebmlOf(idTrackType, "\x01"), ebmlOf(idCodecID, "V_VP9"),
		ebmlOf(idVideo, number(idPixelWidth, 640), number(idPixelHeight, 480), more))
}

func mkvSound(codec string) string {
	return ebmlOf(idTrackEntry, ebmlOf(idTrackType, "\x02"), ebmlOf(idCodecID, codec))
}

var mkvHead = ebmlOf(idEBML, ebmlOf(idDocType, "matroska"))

const (
	openSegment = "\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff"
	openCluster = "\x1f\x43\xb6\x75\xff"
)

func mkv(parts ...string) string { return mkvHead + ebmlOf(idSegment, parts...) }

func goodMatroskas() []string {
	info, all := mkvInfo(float(idDuration, 1500)), mkvTracks(mkvPicture(""), mkvSound("A_OPUS"))
	return []string{
		mkv(info, all),
		mkvHead + openSegment + info + all + openCluster + "\xa3\x81x",
		mkv(ebmlOf(idCluster, "x"), info, all),
	}
}

func TestMatroskaIsReadWhereverItsPartsAre(t *testing.T) {
	info, all := mkvInfo(float(idDuration, 1500)), mkvTracks(mkvPicture(""), mkvSound("A_OPUS"))
	head := func(info, all int64) string { return ebmlOf(idSeekHead, seekTo(idInfo, info), seekTo(idTracks, all)) }
	start := int64(len(head(0, 0)))
	cluster, open := ebmlOf(idCluster, zeros(3000)), openCluster+zeros(3000)
	want := Video{"matroska", 1500 * time.Millisecond, 640, 480, []string{"vp9", "opus"}, false}
	for name, data := range map[string]string{
		"first":            mkv(info, all, cluster),
		"other order":      mkv(all, info),
		"after the void":   mkv(ebmlOf(0xec, zeros(5000)), "\xbf\x84abcd", all, info),
		"unknown size":     mkvHead + openSegment + info + all + openCluster,
		"last":             mkv(cluster, cluster, info, all),
		"around":           mkv(info, cluster, cluster, all),
		"by the seek head": mkv(head(start+int64(len(open)), start+int64(len(open)+len(info))), open, info, all),
		"one of them":      mkv(info, head(start*5, start+int64(len(open)+len(info))), open, all),
		"seek head lies":   mkv(head(start, start), cluster, info, all),
		"it points away":   mkv(head(1<<62, 1<<62), cluster, info, all),
		"two seek heads":   mkv(head(start*2+int64(len(open)), start*2+int64(len(open)+len(info))), head(0, 0), open, info, all),
		"twice":            mkv(info, mkvInfo(float(idDuration, 9)), all, mkvTracks()),
		"tracks twice":     mkv(all, mkvTracks(mkvSound("A_FLAC")), info),
		"no place":         mkv(head(-1, math.MaxInt64), cluster, info, all),
		"bytes behind":     mkv(info, all) + "\x00\x00\x00",
		"void in front":    mkvHead + ebmlOf(0xec, zeros(5000)) + mkv(info, all)[len(mkvHead):],
	} {
		if got, err := videoOf(t, data); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, want)
		}
	}
	for n, data := range goodMatroskas() {
		if got, err := videoOf(t, data); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("good one %d: got %+v, %v, want %+v", n, got, err, want)
		}
	}
}

// Otherwise a lie would have to be looked up again at every cluster.
func TestMatroskaSeekHeadIsBelievedOnce(t *testing.T) {
	cluster, head := ebmlOf(idCluster, zeros(3000)), ebmlOf(idSeekHead, seekTo(idTracks, 0))
	data := mkv(head, strings.Repeat(cluster, 100))
	_, c, err := inspectVideo(t, strings.NewReader(data), int64(len(data)))
	if !errors.Is(err, ErrMalformed) || c.reads > 110+65 { // and a last look around
		t.Errorf("got %v after %d reads", err, c.reads)
	}
}

func TestMatroskaDuration(t *testing.T) {
	const second = time.Second
	for name, c := range map[string]struct {
		info string
		want time.Duration
	}{
		"64 bits":     {float(idDuration, 2500), 2500 * time.Millisecond},
		"32 bits":     {float32Of(idDuration, 2500), 2500 * time.Millisecond},
		"no bits":     {ebmlOf(idDuration), 0},
		"none":        {"", 0},
		"seconds":     {number(idTimestampScale, uint64(second)) + float(idDuration, 2.5), 2500 * time.Millisecond},
		"short scale": {ebmlOf(idTimestampScale, "\x01\x86\xa0") + float(idDuration, 25), 2500 * time.Microsecond},
		"no scale":    {number(idTimestampScale, 0) + float(idDuration, 25), 0},
		"not one":     {float(idDuration, math.NaN()), 0},
		"infinite":    {float(idDuration, math.Inf(1)), 0},
		"negative":    {float(idDuration, -5), 0},
		"too long":    {float(idDuration, 1e300), 0},
		"just so":     {float(idDuration, 1<<42), (1 << 42) * time.Millisecond},
		"overflow":    {number(idTimestampScale, math.MaxUint64) + float(idDuration, 1e9), 0},
	} {
		got, err := videoOf(t, mkv(ebmlOf(idInfo, c.info), mkvTracks(mkvPicture(""))))
		if err != nil || got.Duration != c.want {
			t.Errorf("%s: got %+v, %v, want %v", name, got, err, c.want)
		}
	}
}

func TestMatroskaIsShownAsItSays(t *testing.T) {
	display := func(unit, width, height uint64) string {
		return number(idDisplayUnit, unit) + number(idDisplayWidth, width) + number(idDisplayHeight, height)
	}
	roll := func(degrees float64) string { return ebmlOf(idProjection, float(idPoseRoll, degrees)) }
	for name, c := range map[string]struct {
		more          string
		width, height int
	}{
		"pixels":         {"", 640, 480},
		"display":        {number(idDisplayWidth, 853) + number(idDisplayHeight, 480), 853, 480},
		"half a display": {number(idDisplayWidth, 853), 640, 480},
		"inches":         {display(2, 10, 5), 960, 480},
		"aspect":         {display(3, 16, 9), 853, 480},
		"unknown unit":   {display(4, 16, 9), 640, 480},
		"turned":         {roll(90), 480, 640},
		"turned back":    {roll(-90), 480, 640},
		"thrice":         {roll(270), 480, 640},
		"upside down":    {roll(180), 640, 480},
		"a little":       {roll(5), 640, 480},
		"no number":      {roll(math.NaN()), 640, 480},
		"both":           {display(3, 16, 9) + roll(90), 480, 853},
		"nothing":        {number(idPixelWidth, 0), 0, 0},
		"flat":           {display(3, 1, 1<<24), 0, 0},
		"a line":         {display(3, 1<<24, 1), 0, 0},
	} {
		got, err := videoOf(t, mkv(mkvInfo(""), mkvTracks(mkvPicture(c.more))))
		if err != nil || got.Width != c.width || got.Height != c.height {
			t.Errorf("%s: got %+v, %v, want %d x %d", name, got, err, c.width, c.height)
		}
	}
}

func TestMatroskaCodecs(t *testing.T) {
	for id, want := range map[string]string{
		"V_MPEG4/ISO/AVC": "h264", "V_MPEGH/ISO/HEVC": "hevc", "V_AV1": "av1", "V_VP8": "vp8", "V_MPEG4/ISO/ASP": "mpeg4",
		"V_MPEG2": "mpeg2video", "V_MS/VFW/FOURCC": "V_MS/VFW/FOURCC", "A_AAC": "aac", "A_AAC/MPEG4/LC/SBR": "aac",
		"A_MPEG/L3": "mp3", "A_PCM/INT/LIT": "pcm", "A_AC3/BSID9": "ac3", "A_OPUS\x00\x00": "opus", "A_\n<b>": "A_b",
		"": "unknown",
	} {
		got, err := videoOf(t, mkv(mkvInfo(""), mkvTracks(mkvSound(id))))
		if err != nil || len(got.Codecs) != 1 || got.Codecs[0] != want {
			t.Errorf("%q: got %+v, %v, want %s", id, got, err, want)
		}
	}
}

func TestMatroskaThatNobodyCanPlayIsRefused(t *testing.T) {
	info, all := mkvInfo(""), mkvTracks(mkvPicture(""))
	cluster := ebmlOf(idCluster, zeros(500))
	whole := mkv(info, all, cluster)
	live := mkvHead + openSegment + info
	for name, c := range map[string]struct {
		data string
		want error
	}{
		"no segment":          {mkvHead, ErrCutShort},
		"half a header":       {mkvHead[:len(mkvHead)-2] + "ka", ErrCutShort},
		"no tracks":           {mkv(info), ErrNoTracks},
		"content alone":       {mkv(info, cluster, cluster), ErrNoTracks},
		"no track":            {mkv(info, mkvTracks()), ErrNoTracks},
		"track never told":    {mkv(info, mkvTracks("\xec\x81x")), ErrNoTracks},
		"cut in the tracks":   {whole[:len(mkvHead)+12+len(info)+len(all)-1], ErrCutShort},
		"cut before tracks":   {whole[:len(mkvHead)+12+len(info)], ErrCutShort},
		"cut in an ID":        {whole[:len(mkvHead)+12+len(info)+2], ErrCutShort},
		"cut in a size":       {whole[:len(mkvHead)+12+len(info)+6], ErrCutShort},
		"live, cut":           {live, ErrCutShort},
		"live, cut in tracks": {live + all[:len(all)-1], ErrCutShort},
		"tracks beyond":       {mkv(ebmlOf(idSeekHead, seekTo(idTracks, 1<<30)), info, cluster, all)[:600], ErrCutShort},
	} {
		if _, err := videoOf(t, c.data); !errors.Is(err, c.want) || !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func TestMatroskaThatPlaysIsTakenWhateverIsBrokenInIt(t *testing.T) {
	info, all, cluster := mkvInfo(float(idDuration, 1500)), mkvTracks(mkvPicture("")), ebmlOf(idCluster, zeros(500))
	whole := mkv(info, all, cluster)
	for name, data := range map[string]string{
		"no info":             mkv(all),
		"cut off":             whole[:len(whole)-400],
		"cut before content":  whole[:len(whole)-len(cluster)],
		"broken info":         mkv(all, ebmlOf(idInfo, zeros(20))),
		"long number":         mkv(all, ebmlOf(idInfo, ebmlOf(idTimestampScale, zeros(9)))),
		"garbage behind":      mkv(all, zeros(20)),
		"info too large":      mkv(all, "\x15\x49\xa9\x66\xff"),
		"huge pictures":       mkv(info, mkvTracks(mkvPicture(number(idPixelWidth, 1<<25)))),
		"beyond huge":         mkv(info, mkvTracks(mkvPicture(number(idPixelWidth, 1<<63)))),
		"huge, displayed":     mkv(info, mkvTracks(mkvPicture(number(idDisplayHeight, 1<<25)))),
		"last track too long": mkv(info, ebmlOf(idTracks, mkvPicture(""), "\xae\x85\x83\x81\x02")),
	} {
		if got, err := videoOf(t, data); err != nil || got.Codecs[0] != "vp9" {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

// Players look on for the next header that they know. So nothing bad is known of a file in which we cannot go on.
func TestMatroskaInWhichTheWayIsLostIsUnsupported(t *testing.T) {
	info, all := mkvInfo(""), mkvTracks(mkvPicture(""))
	head := func(more string) string { return ebmlOf(idEBML, ebmlOf(idDocType, "webm"), more) }
	segment := ebmlOf(idSegment, info, all)
	for name, data := range map[string]string{
		"sizes of 9 bytes":   head(ebmlOf(idMaxSizeLength, "\x09")) + segment,
		"IDs of 5 bytes":     head(ebmlOf(idMaxIDLength, "\x05")) + segment,
		"live, tracks last":  mkv(info, openCluster, all),
		"only text":          mkv(info, mkvTracks(ebmlOf(idTrackEntry, ebmlOf(idTrackType, "\x11")))),
		"tracks never end":   mkv(info, "\x16\x54\xae\x6b\xff", mkvPicture("")),
		"size of 9 bytes":    mkv(info, "\xec\x00", zeros(20)),
		"ID of 5 bytes":      mkv(info, "\x08\x00\x00\x00\x01\x80", all),
		"no element":         mkv(info, zeros(20), all),
		"odd float":          mkv(ebmlOf(idInfo, ebmlOf(idDuration, zeros(10))), all),
		"seek head, garbage": mkv(ebmlOf(idSeekHead, zeros(9)), info, all),
		"half an element":    mkv(info, mkvTracks(mkvPicture("")+"\x53"), ebmlOf(idCluster)),
		"segment too short":  mkv(info) + all,
	} {
		if got, err := videoOf(t, data); !errors.Is(err, ErrUnsupported) || errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %+v, %v, want %v", name, got, err, ErrUnsupported)
		}
	}
}

// Sizes may have any length from 1 to 8, and be longer than they need to.
func TestElementSizesOfEveryLength(t *testing.T) {
	for length := 1; length <= 8; length++ {
		size := binary.BigEndian.AppendUint64(nil, 1<<(7*length)|5)[8-length:]
		h := &headers{content: strings.NewReader("\xec" + string(size) + "12345"), size: int64(6 + length)}
		if e, err := h.element(0, h.size); err != nil || e.body != int64(1+length) || e.end != h.size {
			t.Errorf("%d bytes: got %+v, %v", length, e, err)
		}
	}
}
