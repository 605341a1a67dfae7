package mediatest

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
)

// Chunk is a chunk of a PNG, with the right checksum.
func Chunk(name string, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	b = append(append(b, name...), body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// PNGHeader is the beginning of a PNG: its signature and first chunk.
func PNGHeader(width, height uint32, depth, colour, interlace byte) []byte {
	b := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)
	return append([]byte("\x89PNG\r\n\x1a\n"), Chunk("IHDR", append(b, depth, colour, 0, 0, interlace))...)
}

// PlainPNG is a PNG of any mode whose pixels are all zeros. Its size is bounded by deflate alone.
func PlainPNG(width, height int, depth, colour byte) []byte {
	return zeroPNG(width, height, depth, colour, 0)
}

// InterlacedPNG is PlainPNG in seven passes.
func InterlacedPNG(width, height int, depth, colour byte) []byte {
	return zeroPNG(width, height, depth, colour, 1)
}

func zeroPNG(width, height int, depth, colour, interlace byte) []byte {
	bits := int(depth) * map[byte]int{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
	rowBytes := func(w int) int { return 1 + (w*bits+7)/8 }
	total := height * rowBytes(width)
	if interlace == 1 {
		total = 0
		// The seven passes of Adam7 (PNG, third edition, clause 8): first column and row, and the steps between.
		for _, p := range [][4]int{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}} {
			if w, h := (width-p[0]+p[2]-1)/p[2], (height-p[1]+p[3]-1)/p[3]; w > 0 && h > 0 {
				total += h * rowBytes(w)
			}
		}
	}
	return bytes.Join([][]byte{
		PNGHeader(uint32(width), uint32(height), depth, colour, interlace), Chunk("IDAT", DeflatedZeros(total)), Chunk("IEND", nil),
	}, nil)
}

// DeflatedZeros are n zeros, compressed some hundredfold.
func DeflatedZeros(n int) []byte {
	var out bytes.Buffer
	w, err := zlib.NewWriterLevel(&out, zlib.BestSpeed) // a test makes hundreds of megabytes
	must(err)
	block := make([]byte, 64<<10)
	for ; n > 0; n -= len(block) {
		w.Write(block[:min(n, len(block))])
	}
	w.Close()
	return out.Bytes()
}
