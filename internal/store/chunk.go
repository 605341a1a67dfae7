package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"sluice/internal/durable"
	"sluice/internal/upload"
)

const (
	// maxUnsynced bounds what a power cut can take, and how long the final sync of an upload takes.
	maxUnsynced = 32 << 20
	// writebackStep is how often the disk is asked to begin with what is written, so that the sync finds little to do, also that of
	// a chunk of some MiB: as much as a fast connection has written at once.
	writebackStep = 1 << 20
)

// WriteChunk implements [Store].
func (f *File) WriteChunk(id upload.ID, off int64, src io.Reader, check upload.Check) (int64, error) {
	c, err := f.beginChunk(id, off, check)
	if err != nil {
		return 0, err
	}
	defer f.unpin(c.e)
	f.receiving.Inc()
	defer f.receiving.Dec()

	cause := c.copy(src)
	if cause == nil && c.verify != nil {
		f.ending(false, func() { cause = c.check() })
	}
	f.ending(c.e.slow.Load(), func() { err = c.end(cause) })
	c.endDigest()
	return c.acknowledged() - off, err
}

// chunk is one run of WriteChunk. The upload's lock makes it the only writer, so pos and file are its own.
type chunk struct {
	f      *File
	e      *entry
	file   durable.File
	off    int64 // where it began
	pos    int64 // where the next byte goes
	synced int64 // up to where the bytes are durable
	begun  int64 // up to where write-back has been asked for
	seam   int64 // the end of the block that the last byte is in, which is not whole; 0 if it is
	length int64 // of the upload, or Deferred
	judged bool
	verify func(io.Reader) error // see [upload.Check]
	zero   bool                  // the last byte is one
	wrong  bool                  // verify says so
	held   bool                  // no byte of it counts yet
	quiet  bool                  // its offset is not told yet
	undo   bool                  // the length goes with it: see [upload.Check]
	whole  bool                  // it may complete the upload: see [upload.Check]
	sum    *running              // digest of the bytes below pos; nil if it is not known
	before *running              // the same of those below off
}

// beginChunk opens the file of id for writing at off, cut to off.
func (f *File) beginChunk(id upload.ID, off int64, check upload.Check) (*chunk, error) {
	e, err := f.acquire(id)
	if err != nil {
		return nil, err
	}
	c := &chunk{f: f, e: e, off: off, pos: off, synced: off, begun: off,
		length: e.rec.Length, judged: f.judge == nil || e.judged || e.rec.Partial, verify: check.Verify, held: check.Announced, quiet: check.Quiet, undo: check.Declared, whole: check.Whole}
	if off%blockBytes != 0 {
		c.seam = blockEnd(off)
	}
	if err = e.writable(); err == nil && off != e.rec.Offset {
		err = upload.ErrOffsetMismatch
	}
	if err == nil {
		err = c.open()
	}
	if err != nil {
		f.unlockEntry(e)
		return nil, fmt.Errorf("store: chunk of %s at %d: %w", id, off, err)
	}
	c.beginDigest()
	e.slow.Store(false)
	e.mu.Unlock() // the pin stays
	return c, nil
}

// writable tells why nothing can be added to e, or nil.
func (e *entry) writable() error {
	switch {
	case e.gone:
		return upload.ErrNotFound
	case e.rec.State == upload.Rejected:
		return upload.ErrGone
	case e.rec.State == upload.Expired:
		return upload.ErrExpired
	case e.rec.Final:
		return upload.ErrFinal
	case e.rec.State.Complete():
		return upload.ErrComplete
	}
	return nil
}

func (c *chunk) open() (err error) {
	flag := os.O_RDWR
	if c.e.fresh {
		flag |= os.O_CREATE | os.O_EXCL
	}
	if c.file, err = c.f.fs.OpenFile(c.f.name(c.e.id, ""), flag); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			c.e.loaded = false // somebody else was at work here: what is there is found out anew
		}
		return c.f.diskError(err)
	}
	if !c.e.fresh {
		err = c.cutTail()
	}
	c.e.fresh = false
	if err == nil {
		err = c.hold()
	}
	if err != nil {
		return errors.Join(err, c.file.Close())
	}
	return nil
}

// cutTail cuts the file to where the chunk begins: what is above was never acknowledged.
func (c *chunk) cutTail() error {
	info, err := c.file.Stat()
	switch {
	case err != nil:
		return err
	case info.Size() > c.pos:
		if err := c.file.Truncate(c.pos); err != nil {
			return c.f.diskError(err)
		}
		c.e.uncut = false
		return nil
	case info.Size() < c.pos:
		c.e.loaded = false // somebody else was at work here: what is there is found out anew
		return fmt.Errorf("file ends at %d", info.Size())
	}
	return nil
}

// hold notes in the record, before the first byte is written, whether what follows counts by itself. Where a note was, every
// byte that is there counts by then, so that nothing unchecked comes in with the new one. That bytes do not count is durable in any
// store: after a power cut they might be there without it.
func (c *chunk) hold() error {
	var checked *int64
	if c.held {
		checked = &c.off
	}
	if same(checked, c.e.rec.checked) {
		return nil
	}
	if c.e.rec.checked != nil {
		if err := c.f.datasync(c.file); err != nil {
			c.f.doubt(c.e)
			return c.f.diskError(err)
		}
	}
	if err := c.f.saveChecked(c.e, checked); err != nil || checked == nil || c.f.durable {
		return err
	}
	return c.f.syncRecord(c.e)
}

func same(a, b *int64) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

// copy moves src into the file until src ends. It writes whole blocks, see tail.go: the rest of what was read waits in the
// buffer for more, but not for long.
func (c *chunk) copy(src io.Reader) error {
	way := c.way(src)
	defer way.end()
	rest := 0 // bytes that wait at the beginning of the buffer
	for {
		if err := c.judge(); err != nil {
			return err
		}
		room := c.room(way.room(c.pos, rest))
		if room == 0 {
			return expectEnd(src)
		}
		if err := c.clear(way); err != nil {
			return err
		}
		buf, pos := *way.buf, c.pos
		waiting := c.flushSoon(buf[:rest])
		n, moved, speed, srcErr := way.fill(src, pos, rest, room)
		flushed, err := waiting.end()
		if err == nil {
			err = c.moved(moved, srcErr)
		}
		if err != nil {
			return err
		}
		data := buf[moved : rest+n]
		if flushed {
			data = data[rest:]
		}
		if err := c.judgeFirst(data, srcErr); err != nil {
			return err
		}
		whole := len(data)
		if srcErr == nil && c.pos+int64(whole) != c.most() {
			whole = wholeBlocks(c.pos, whole)
		}
		if err := c.write(data[:whole]); err != nil {
			return err
		}
		rest = copy(buf, data[whole:])
		switch {
		case srcErr == io.EOF:
			return c.judge()
		case errors.Is(srcErr, upload.ErrTooLarge):
			return srcErr // nobody judges bytes that are taken back
		case srcErr != nil:
			return errors.Join(srcErr, c.judge())
		case speed == slow:
			c.e.slow.Store(true)
			way.narrow(rest)
		case rest == 0 && speed == fast && room == len(buf):
			way.widen()
		}
	}
}

// room is how many bytes to take next, at most n: up to the end of the upload, and until it is judged up to where it can be. The
// first bytes of all are judged before they are written.
func (c *chunk) room(n int) int {
	left := int64(n)
	if most := c.most(); most != upload.Deferred {
		left = min(left, most-c.pos)
	}
	if !c.judged && 0 < c.pos && c.pos < upload.HeadBytes {
		left = min(left, upload.HeadBytes-c.pos)
	}
	return int(left)
}

// most is how long the upload can become, or Deferred if there is no limit.
func (c *chunk) most() int64 {
	if c.length == upload.Deferred && c.f.maxBytes > 0 {
		return c.f.maxBytes
	}
	return c.length
}

// expectEnd reads src to its end, where trailers and the verdict on its length are; there must be no more bytes.
func expectEnd(src io.Reader) error {
	var one [1]byte
	for {
		n, err := src.Read(one[:])
		switch {
		case n > 0:
			return upload.ErrTooLarge
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// write puts p at its place. A block that is on the disk in part is on it whole, durably, before bytes behind it are written.
func (c *chunk) write(p []byte) error {
	for len(p) > 0 {
		if c.seam > 0 && c.pos >= c.seam {
			if err := c.syncSeam(); err != nil {
				return err
			}
		}
		piece := p
		if c.seam > 0 && int64(len(p)) > c.seam-c.pos {
			piece = p[:c.seam-c.pos]
		}
		if err := c.writePiece(piece); err != nil {
			return err
		}
		p = p[len(piece):]
	}
	if c.pos%blockBytes != 0 {
		c.seam = blockEnd(c.pos)
	}
	return nil
}

// syncSeam makes the block durable that was begun in part. Where bytes count that are not synced, they count still if it fails.
func (c *chunk) syncSeam() error {
	err := c.f.datasync(c.file)
	switch {
	case err == nil:
		c.seam = 0
		return nil
	case c.f.durable:
		return c.fallBack(err)
	}
	return fmt.Errorf("store: sync %s: %w", c.e.id, c.f.diskError(err))
}

// writePiece is write for bytes that need no care. What a full disk still took counts.
func (c *chunk) writePiece(p []byte) error {
	n, err := c.file.WriteAt(p, c.pos)
	c.sum.add(p[:n])
	if n > 0 {
		c.zero = p[n-1] == 0
	}
	return c.wrote(n, err)
}

// wrote is told of n bytes at pos, and of the error that more of them met.
func (c *chunk) wrote(n int, err error) error {
	c.pos += int64(n)
	c.e.active.Store(time.Now().UnixNano())
	c.f.owe(c.e.id, due(c.length, c.pos))
	c.f.arrived.Add(float64(n))
	if err != nil {
		return fmt.Errorf("store: write %s at %d: %w", c.e.id, c.pos, c.f.diskError(err))
	}
	if err := c.step(); err != nil {
		return err
	}
	if !c.f.durable {
		return c.publish()
	}
	if c.pos-c.synced >= maxUnsynced {
		return c.sync()
	}
	return nil
}

// step does, every writebackStep bytes, what is too much for every write: it sees to the reserve, which is kept but for as
// much by each upload, and has the disk begin.
func (c *chunk) step() error {
	if c.pos-c.begun < writebackStep {
		return nil
	}
	if c.f.durable {
		c.file.Writeback(c.begun, c.pos-c.begun)
	}
	c.begun = c.pos
	return c.f.room()
}

// judgeFirst asks the judge about the first bytes of an upload, before they are written, if they are enough. srcErr is what
// came with them.
func (c *chunk) judgeFirst(data []byte, srcErr error) error {
	enough := len(data) >= upload.HeadBytes || len(data) > 0 && int64(len(data)) == c.length
	if c.judged || c.held || c.pos > 0 || !enough || errors.Is(srcErr, upload.ErrTooLarge) {
		return nil
	}
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if err := c.e.writable(); err != nil {
		return err // rejected while it flowed
	}
	c.judged = true
	return c.f.judgeHead(c.e, data[:min(len(data), upload.HeadBytes)])
}

// judge asks the judge about what is written as soon as there are bytes enough.
func (c *chunk) judge() error {
	if c.judged || c.held || c.pos < upload.HeadBytes && c.pos != c.length {
		return nil
	}
	c.judged = true
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if err := c.e.writable(); err != nil {
		return err // rejected while it flowed
	}
	c.e.pos = c.pos
	return c.f.judgeWritten(c.e, c.file)
}
