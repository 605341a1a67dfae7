package store

import (
	"bytes"
	"io"
)

// Where a file ends after a power cut. A hole shows which blocks were never written, but not how much of the last one was: when
// bytes are added to a block that is on the disk already, ext4 may write down the new length before it writes them, and they
// read as zeros. So zeros at the end of the last block are not trusted, unless the record says that they were synced. It does
// wherever an acknowledged byte is a zero and the last one.
//
// Nor would such a block be found once more bytes have come behind it. So a chunk writes whole blocks, as far as it goes, and
// where one was begun in part it is synced before any byte behind it is written.

// blockBytes is the largest block of the file systems that Sluice knows of; a page.
const blockBytes = 4096

// endsInZero tells whether the last of the first n bytes is a zero.
func endsInZero(content io.ReaderAt, n int64) (bool, error) {
	if n == 0 {
		return false, nil
	}
	var last [1]byte
	_, err := content.ReadAt(last[:], n-1)
	return last[0] == 0, err
}

// withoutZeroTail is n without the zeros at the end of the block that the last of the first n bytes is in.
func withoutZeroTail(content io.ReaderAt, n int64) (int64, error) {
	if n == 0 {
		return 0, nil
	}
	start := (n - 1) / blockBytes * blockBytes
	block := make([]byte, n-start)
	if _, err := content.ReadAt(block, start); err != nil {
		return 0, err
	}
	return start + int64(len(bytes.TrimRight(block, "\x00"))), nil
}

// blockEnd is the end of the block that the byte before off is in.
func blockEnd(off int64) int64 { return (off + blockBytes - 1) / blockBytes * blockBytes }

// wholeBlocks is how many of n bytes at off end with a block.
func wholeBlocks(off int64, n int) int {
	return max(0, n-int((off+int64(n))%blockBytes))
}
