package durable

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
)

// The files of a journal hold batches, each at the begin of a block, so that none is in a sector that another is written to:
//
//	magic, length of what follows the header, generation, CRC-32C of all but magic and itself; then for each change
//	its kind, the lengths of its name and its data, and both
//
// Numbers are little-endian. The first batch that is not right, or is of another generation than the first of all, ends what counts.
const (
	journalMagic = "SlJ1"
	headerBytes  = 20
	changeBytes  = 1 + 2 + 4 // of a change without its name and data
	blockBytes   = 4096
)

const (
	changeWrite = 1
	changeGone  = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is that of a batch.
type header struct {
	length     uint32
	generation uint64
	sum        uint32
}

// seal writes h to the begin of batch, with the length and the sum of all of it.
func (h header) seal(batch []byte) {
	copy(batch, journalMagic)
	binary.LittleEndian.PutUint32(batch[4:], uint32(len(batch)-headerBytes))
	binary.LittleEndian.PutUint64(batch[8:], h.generation)
	clear(batch[16:headerBytes])
	binary.LittleEndian.PutUint32(batch[16:], crc32.Checksum(batch[4:], castagnoli))
}

// parseHeader reads what seal wrote; false if it is none.
func parseHeader(raw []byte) (h header, ok bool) {
	if string(raw[:4]) != journalMagic {
		return h, false
	}
	h.length, h.generation = binary.LittleEndian.Uint32(raw[4:]), binary.LittleEndian.Uint64(raw[8:])
	h.sum = binary.LittleEndian.Uint32(raw[16:])
	return h, true
}

// padded is how much of the file n bytes take.
func padded(n int) int64 { return int64(n+blockBytes-1) / blockBytes * blockBytes }

func encodedBytes(changes []Change) (n int) {
	for _, c := range changes {
		n += changeBytes + len(c.Name) + len(c.Data)
	}
	return n
}

func encodeChanges(to []byte, changes []Change) []byte {
	for _, c := range changes {
		kind := byte(changeWrite)
		if c.Gone {
			kind, c.Data = changeGone, nil
		}
		to = append(to, kind)
		to = binary.LittleEndian.AppendUint16(to, uint16(len(c.Name)))
		to = binary.LittleEndian.AppendUint32(to, uint32(len(c.Data)))
		to = append(append(to, c.Name...), c.Data...)
	}
	return to
}

// change is a [Change] in the journal.
type change struct {
	name string
	gone bool
	src  io.ReaderAt
	off  int64 // of its data
	n    int
}

// generation is what counts in one file.
type generation struct {
	name   string // of the file
	file   io.Closer
	number uint64 // 0 if there is nothing
	list   []change
}

// readGeneration reads the batches in the first limit bytes of a file.
func readGeneration(file io.ReaderAt, limit int64) (g generation, err error) {
	var raw []byte
	for off := int64(0); off+headerBytes <= limit; off += padded(len(raw)) {
		raw = slices.Grow(raw[:0], headerBytes)[:headerBytes]
		if err := readFull(file, raw, off); err != nil {
			return g, err
		}
		h, ok := parseHeader(raw)
		if !ok || int64(h.length) > limit-off-headerBytes || g.number != 0 && h.generation != g.number {
			break
		}
		raw = slices.Grow(raw, int(h.length))[:headerBytes+int(h.length)]
		if err := readFull(file, raw[headerBytes:], off+headerBytes); err != nil {
			return g, err
		}
		clear(raw[16:headerBytes])
		if crc32.Checksum(raw[4:], castagnoli) != h.sum {
			break
		}
		g.number = h.generation
		if err := g.add(file, off, raw); err != nil {
			return g, err
		}
	}
	return g, nil
}

func readFull(file io.ReaderAt, p []byte, off int64) error {
	if n, err := file.ReadAt(p, off); n < len(p) {
		return cmp.Or(err, io.ErrUnexpectedEOF)
	}
	return nil
}

// add notes the changes of a batch, which is as it was written.
func (g *generation) add(src io.ReaderAt, off int64, batch []byte) error {
	for at := headerBytes; at < len(batch); {
		if len(batch)-at < changeBytes {
			return errJournal
		}
		kind, nameLen := batch[at], int(binary.LittleEndian.Uint16(batch[at+1:]))
		n := int(binary.LittleEndian.Uint32(batch[at+3:]))
		at += changeBytes
		if n > len(batch)-at-nameLen || kind != changeWrite && kind != changeGone {
			return errJournal
		}
		name := string(batch[at : at+nameLen])
		g.list = append(g.list, change{name: name, gone: kind == changeGone, src: src, off: off + int64(at+nameLen), n: n})
		at += nameLen + n
	}
	return nil
}

var errJournal = errors.New("durable: journal of a form that this version does not know")

// lastOf returns what is to become of each file in the end, ordered by name.
func lastOf(found []generation) []change {
	slices.SortFunc(found, func(a, b generation) int { return cmp.Compare(a.number, b.number) })
	last := make(map[string]change)
	for _, g := range found {
		for _, c := range g.list {
			last[c.name] = c
		}
	}
	list := make([]change, 0, len(last))
	for _, c := range last {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b change) int { return cmp.Compare(a.name, b.name) })
	return list
}

// do brings c about, if that is not done already; durably if sync says so.
func (c change) do(fsys FS, sync bool) error {
	dir := path.Dir(c.name)
	if c.gone {
		err := fsys.Remove(c.name)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		if err == nil && sync {
			err = fsys.SyncDir(dir)
		}
		return err
	}
	data := make([]byte, c.n)
	if err := readFull(c.src, data, c.off); err != nil {
		return err
	}
	if !sync && holds(fsys, c.name, data) {
		return nil
	}
	if dir != "." {
		if err := fsys.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return WriteFile(fsys, c.name, data, sync)
}

// holds tells whether data is in the file of that name already.
func holds(fsys FS, name string, data []byte) bool {
	info, err := fsys.Stat(name)
	if err != nil || info.Size() != int64(len(data)) {
		return false
	}
	there, err := fsys.ReadFile(name)
	return err == nil && bytes.Equal(there, data)
}

// Replay does what the journal in dir, if there is one, says is done, and removes it when that is durable. It returns how many
// files it tells of. Nobody must use the journal meanwhile; a Replay that failed, or was cut short, can be repeated.
func Replay(fsys FS, dir string) (files int, err error) {
	found, err := readJournal(fsys, dir)
	if err != nil || len(found) == 0 {
		return 0, err
	}
	defer func() {
		for _, g := range found {
			g.file.Close() // only read
		}
	}()
	list := lastOf(found)
	for _, c := range list {
		if err := c.do(fsys, false); err != nil {
			return 0, fmt.Errorf("durable: replay of %s: %w", c.name, err)
		}
	}
	var names []string
	for _, g := range found { // oldest first now
		names = append(names, g.name)
	}
	if fsys.Flush() != nil { // perhaps for the sake of others
		for _, c := range list {
			if err := c.do(fsys, true); err != nil {
				return 0, fmt.Errorf("durable: replay of %s: %w", c.name, err)
			}
		}
	}
	return len(list), removeJournal(fsys, dir, names)
}

// readJournal reads what is there, and leaves the files open for what is to be read of them.
func readJournal(fsys FS, dir string) (found []generation, err error) {
	defer func() {
		for _, g := range found {
			if err != nil {
				g.file.Close() // only read
			}
		}
	}()
	for _, base := range JournalNames {
		name := path.Join(dir, base)
		file, err := fsys.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return found, fmt.Errorf("durable: journal: %w", err)
		}
		g, err := readWhole(file)
		g.name, g.file = name, file
		found = append(found, g)
		if err != nil {
			return found, fmt.Errorf("durable: journal %s: %w", name, err)
		}
	}
	return found, nil
}

func readWhole(file Reader) (generation, error) {
	info, err := file.Stat()
	if err != nil {
		return generation{}, err
	}
	return readGeneration(file, info.Size())
}

// removeJournal removes what the names, oldest first, hold. None is there without the older ones being void.
func removeJournal(fsys FS, dir string, names []string) error {
	for _, name := range names {
		if err := voidFile(fsys, name); err != nil {
			return fmt.Errorf("durable: remove journal: %w", err)
		}
	}
	for _, name := range names {
		if err := fsys.Remove(name); err != nil {
			return fmt.Errorf("durable: remove journal: %w", err)
		}
	}
	return fsys.SyncDir(dir)
}

func voidFile(fsys FS, name string) error {
	file, err := fsys.OpenFile(name, os.O_RDWR)
	if err != nil {
		return err
	}
	err = file.Truncate(0)
	if err == nil {
		err = file.Datasync()
	}
	return errors.Join(err, file.Close())
}
