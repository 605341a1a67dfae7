package mediatest

import (
	"bytes"
	"encoding/binary"
)

// RIFF is a WebP made of chunks.
func RIFF(chunks ...[]byte) []byte {
	body := append([]byte("WEBP"), bytes.Join(chunks, nil)...)
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
}

// RIFFChunk is one of them, padded to an even length.
func RIFFChunk(name string, body []byte) []byte {
	b := append(binary.LittleEndian.AppendUint32([]byte(name), uint32(len(body))), body...)
	return append(b, make([]byte, len(body)&1)...)
}

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

// HostileWebP asks for groups of code tables, up to 2,600: the largest that a few bytes can ask for, or the largest for
// their length.
func HostileWebP(groups int, large bool) []byte {
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
	return RIFF(RIFFChunk("VP8L", w.data))
}
