package media

import (
	"bytes"
	"image"
	"runtime"
	"testing"

	"golang.org/x/image/webp"

	"sluice/internal/media/mediatest"
)

// The estimate for lossless pictures rests on how much a file can make the decoder hold: the worst that we know of.
func TestHostileWebPStaysWithinItsEstimate(t *testing.T) {
	if raceEnabled {
		t.Skip("it counts memory; nothing runs at once here")
	}
	for _, c := range []struct {
		groups int
		large  bool
	}{{2600, true}, {300, false}} {
		data := mediatest.HostileWebP(c.groups, c.large)
		info, err := Inspect(data)
		if err != nil {
			t.Fatal(err)
		}
		var before, now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var peak int64
		reader := bytes.NewReader(data)
		_, err = webp.Decode(readFunc(func(p []byte) (int, error) { // holds what it has so far when it reads on
			runtime.GC()
			runtime.ReadMemStats(&now)
			peak = max(peak, int64(now.HeapAlloc)-int64(before.HeapAlloc))
			return reader.Read(p[:min(len(p), len(data)/40)])
		}))
		estimate := info.DecodeBytes(nil)
		t.Logf("%d groups in %d bytes: %d held, %d estimated: %v", c.groups, len(data), peak, estimate, err)
		if peak > estimate {
			t.Errorf("%d groups: held %d bytes, estimated %d", c.groups, peak, estimate)
		}
		if wanted := int64(c.groups) * 28_000; peak < wanted {
			t.Errorf("%d groups: held %d bytes: the file asks for less than it was made to", c.groups, peak)
		}
		if _, err := Squares(t.Context(), data, info, []int{16}); err == nil {
			t.Error("a file without pixels was decoded")
		}
	}
}

func TestChunksOfOddLengthArePadded(t *testing.T) {
	lossless := file(t, "lossless.webp")[webpHeaderLen:]
	data := mediatest.RIFF(extended(0), mediatest.RIFFChunk("ICCP", []byte("odd")), lossless)
	if info, err := Inspect(data); err != nil || image.Pt(info.Width, info.Height) != image.Pt(600, 400) {
		t.Errorf("got %+v, %v", info, err)
	}
}
