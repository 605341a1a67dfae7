package events

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
)

// Everything is kept in files of lines: eight hex digits of a CRC-32C, a space, text without a newline. So a damaged line
// is known for one, and the next begins after the next newline. JSON has no newline in it.

// maxLine is the longest line that is read or written. Metadata is bounded by the headers of a request, 1 MiB in net/http,
// of which JSON makes six times as much at worst.
const maxLine = 8 << 20

const sumLen = 8

func checksum(text []byte) uint32 { return crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli)) }

func appendLine(dst, text []byte) []byte {
	dst = fmt.Appendf(dst, "%0*x ", sumLen, checksum(text))
	return append(append(dst, text...), '\n')
}

// parseLine returns the text of a line that has its newline.
func parseLine(line []byte) (text []byte, ok bool) {
	if len(line) < sumLen+2 || line[sumLen] != ' ' || line[len(line)-1] != '\n' {
		return nil, false
	}
	sum, err := strconv.ParseUint(string(line[:sumLen]), 16, 32)
	text = line[sumLen+1 : len(line)-1]
	return text, err == nil && uint32(sum) == checksum(text)
}

// line is one of a file. Its bytes are good until the next one is read.
type line struct {
	off, end int64
	text     []byte
	ok       bool // else it is damaged, or the torn end of the file
}

// eachLine reads r to its end, or until visit returns false.
func eachLine(r io.Reader, visit func(line) bool) error {
	in := bufio.NewReaderSize(r, 64<<10)
	for off := int64(0); ; {
		raw, size, err := readLine(in)
		if size > 0 {
			text, ok := parseLine(raw)
			if !visit(line{off, off + size, text, ok}) {
				return nil
			}
		}
		off += size
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readLine reads up to and with a newline. Of a line that is too long the rest is counted and not kept: it has no newline
// then, so it is never taken for whole.
func readLine(in *bufio.Reader) (raw []byte, size int64, err error) {
	for {
		part, err := in.ReadSlice('\n')
		size += int64(len(part))
		whole := !errors.Is(err, bufio.ErrBufferFull)
		if whole && size == int64(len(part)) {
			return part, size, err
		}
		if size <= maxLine {
			raw = append(raw, part...)
		}
		if whole {
			return raw, size, err
		}
	}
}
