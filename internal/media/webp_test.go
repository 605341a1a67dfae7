package media

import (
	"bytes"
	"image"
	"runtime"
	"testing"

	"golang.org/x/image/webp"
)

// bitWriter puts bits into bytes as VP8L has them: the lowest first.
type bitWriter struct {
	data []byte
	n    int
}

func (w *bitWriter) put(value, width int) {
	for i := range width {
		if w.n%8 == 0 {
			w.data = append(w.data, 0)
		}
		w.data[w.n/8] |= byte(value>>i&1) << (w.n % 8)
		w.n++
	}
}

// symbol is a code table of one symbol.
func (w *bitWriter) symbol(s int) {
	w.put(1, 1) // simple
	w.put(0, 1) // one symbol
	w.put(1, 1) // of 8 bits
	w.put(s, 8)
}

// none is the shortest table that there is.
func (w *bitWriter) none() { w.put(1, 4) }

// table is the shortest way to say that the first 1<<length symbols have codes of length bits each, and the largest table
// that can be said so shortly. A table must be complete, so there can be no more.
func (w *bitWriter) table(length int) {
	order := map[int]int{4: 6, 5: 7, 8: 11, 11: 14}[length] // place in kCodeLengthCodeOrder
	w.put(0, 1)
	w.put(order+1-4, 4)
	for i := range order + 1 {
		w.put(i/order, 3)
	}
	w.put(1, 1)
	w.put((length+1)/2-1, 3) // how many symbols follow, in so many bits
	w.put(1<<length-2, 2*((length+1)/2))
}

// code writes a code of a table, whose first bit is the highest.
func (w *bitWriter) code(value, length int) {
	for i := length - 1; i >= 0; i-- {
		w.put(value>>i, 1)
	}
}

// hostileWebP asks for groups of code tables, up to 2,600: the largest that a few bytes can ask for, or the largest for
// their length.
func hostileWebP(groups int, large bool) []byte {
	const side, tiles = 204, 51 // tiles of 4 x 4: 2,601 in all
	w := &bitWriter{}
	w.put(0x2f, 8)
	w.put(side-1, 14)
	w.put(side-1, 14)
	w.put(0, 1+3) // no alpha, version
	w.put(0, 1)   // no transform
	w.put(1, 1)
	w.put(11, 4) // 2,048 colours remembered, each a symbol
	w.put(1, 1)
	w.put(0, 3) // groups by tile

	w.put(0, 1) // a picture of the numbers of groups: 8 bits green, 4 bits red
	w.table(8)
	w.table(4)
	for range 3 {
		w.symbol(0)
	}
	for i := range tiles * tiles {
		group := min(i, groups-1)
		w.code(group&255, 8)
		w.code(group>>8, 4)
	}
	for range groups {
		w.table(11)
		for _, length := range []int{8, 8, 8, 5} {
			if large {
				w.table(length)
			} else {
				w.none()
			}
		}
	}
	return riff(riffChunk("VP8L", w.data))
}

// The estimate for lossless pictures rests on how much a file can make the decoder hold: the worst that we know of.
func TestHostileWebPStaysWithinItsEstimate(t *testing.T) {
	for _, c := range []struct {
		groups int
		large  bool
	}{{2600, true}, {300, false}} {
		data := hostileWebP(c.groups, c.large)
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
	data := riff(extended(0), riffChunk("ICCP", []byte("odd")), lossless)
	if info, err := Inspect(data); err != nil || image.Pt(info.Width, info.Height) != image.Pt(600, 400) {
		t.Errorf("got %+v, %v", info, err)
	}
}
