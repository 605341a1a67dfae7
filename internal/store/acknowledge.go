package store

import (
	"errors"
	"fmt"
	"io"

	"sluice/internal/durable"
	"sluice/internal/upload"
)

// What becomes of the bytes of a chunk when they are written: they are made durable and told, or taken back.

// sync makes everything written so far durable, and tells.
func (c *chunk) sync() error {
	if c.f.durable && c.pos > c.synced {
		if err := c.settle(c.pos); err != nil {
			return c.fallBack(err)
		}
		c.synced = c.pos
	}
	return c.publish()
}

// settle makes the bytes below off durable.
func (c *chunk) settle(off int64) error {
	if err := c.f.datasync(c.file); err != nil {
		return err
	}
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if err := c.e.writable(); err != nil {
		return err
	}
	if err := c.f.syncName(c.e); err != nil {
		return err
	}
	if off > c.off {
		c.e.zeroTail = c.zero
	}
	return c.f.saveSynced(c.e, off)
}

// fallBack gives up what was written since the last good sync: after a failed one nobody knows whether it is there, and a
// second sync on the same pages would lie.
func (c *chunk) fallBack(cause error) error {
	c.pos = c.synced
	c.f.owe(c.e.id, due(c.length, c.pos))
	cut := c.cutAt(c.synced)
	return fmt.Errorf("store: sync %s: %w", c.e.id, errors.Join(c.f.diskError(cause), cut, c.publish()))
}

// cutAt cuts the file at off. If that fails what is above does not count all the same.
func (c *chunk) cutAt(off int64) error {
	err := c.file.Truncate(off)
	if err != nil {
		c.f.distrust(c.e, off)
	}
	return err
}

// publish tells readers how far the upload is. It returns [upload.ErrGone] if it was rejected while it flowed.
func (c *chunk) publish() error {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if err := c.e.writable(); err != nil || c.held || c.quiet {
		return err
	}
	c.e.pos, c.e.rec.Offset = c.pos, c.pos
	if c.pos > c.off {
		c.e.zeroTail = c.zero
	}
	if c.f.durable {
		c.e.rec.synced = c.synced
	}
	if c.pos != c.length {
		c.unjudge()
	}
	return nil
}

// unjudge forgets what the first bytes are where not all of them are there any more: other bytes may come in their place.
func (c *chunk) unjudge() {
	if c.pos < upload.HeadBytes {
		c.e.judged, c.e.rec.MediaType = false, ""
	}
}

// check has the chunk verified, if that is to be done.
func (c *chunk) check() error {
	err := c.verify(io.NewSectionReader(c.file, c.off, c.pos-c.off))
	c.wrong = err != nil
	return err
}

// end makes the chunk count, or takes it back if cause says that it is refused, and closes the file.
func (c *chunk) end(cause error) error {
	err := cause
	c.quiet = false
	switch {
	case !c.wrong && (errors.As(cause, new(*upload.Rejection)) || errors.Is(cause, upload.ErrGone)): // settled, the bytes are removed
	case c.wrong, c.held && cause != nil, errors.Is(cause, upload.ErrTooLarge):
		err = errors.Join(err, c.takeBack())
	case cause == nil && c.held:
		err = c.accept()
	case cause == nil && c.small():
		err = c.finish()
	default:
		err = errors.Join(err, c.sync())
	}
	return errors.Join(err, c.file.Close())
}

// accept makes a chunk count that was held and is right.
func (c *chunk) accept() error {
	if err := c.sync(); err != nil {
		return err
	}
	if err := c.letCount(); err != nil {
		return errors.Join(err, c.takeBack())
	}
	if err := c.judge(); err != nil {
		return err
	}
	return c.publish()
}

// smallBytes is up to where the bytes of an upload that comes in one chunk go through the journal. Writing them twice costs less
// than a sync of their own.
const smallBytes = 128 << 10

// small tells whether the chunk is a small upload, whole, that may become durable with the record that says so.
func (c *chunk) small() bool {
	return c.whole && c.f.journal != nil && c.off == 0 && c.pos == c.length && c.pos <= min(smallBytes, c.f.journalBytes/2)
}

// finish makes the bytes of a small upload durable, and the upload complete, in one.
func (c *chunk) finish() error {
	buf := c.f.buffers.whole.Get().(*[]byte)
	defer c.f.buffers.whole.Put(buf)
	data := (*buf)[:c.pos]
	if _, err := c.file.ReadAt(data, 0); err != nil {
		return fmt.Errorf("store: read %s: %w", c.e.id, err)
	}
	err := c.record(data)
	switch {
	case err == nil:
		c.synced = c.pos
	case !errors.As(err, new(*upload.Rejection)) && !errors.Is(err, upload.ErrGone):
		return c.fallBack(err)
	}
	return err
}

func (c *chunk) record(data []byte) error {
	e := c.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.writable(); err != nil {
		return err
	}
	before := e.rec
	e.pos, e.rec.Offset, e.rec.synced, e.zeroTail = c.pos, c.pos, c.pos, c.zero
	if e.sum = nil; c.sum != nil && c.sum.at == c.pos {
		e.sum = c.sum
	}
	if err := c.f.complete(e, durable.Change{Name: c.f.name(e.id, ""), Data: data}); err != nil {
		if e.rec.State == upload.Receiving {
			e.rec, e.pos, e.sum, e.zeroTail = before, before.Offset, nil, false
		}
		return err
	}
	return nil
}

// letCount records that what was held has been checked.
func (c *chunk) letCount() error {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if err := c.e.writable(); err != nil {
		return err
	}
	pos := c.pos
	if err := c.f.saveChecked(c.e, &pos); err != nil {
		return err
	}
	c.held = false
	return nil
}

// takeBack cuts the file to where the chunk began, durably: bytes that were refused must not come back with the next boot.
func (c *chunk) takeBack() error {
	c.pos, c.synced = c.off, c.off
	if c.undo {
		c.length = upload.Deferred
	}
	c.f.owe(c.e.id, due(c.length, c.off))
	off := c.off
	noted := c.note(&off)
	err := c.cutAt(c.off)
	switch {
	case err == nil && c.f.durable:
		err = c.settle(c.off)
	case err == nil:
		err = c.f.datasync(c.file)
	}
	if err == nil && noted == nil {
		noted = c.note(nil)
	}
	if c.undo {
		err = errors.Join(err, c.undeclare())
	}
	return errors.Join(noted, err, c.publish())
}

// note notes in the record up to where bytes count while a chunk is taken back; of one that was held it says that all along. Without
// it a power cut can leave the old length with sectors of before the cut and of after it, whose zeros lie between bytes.
func (c *chunk) note(checked *int64) error {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if c.held || c.e.writable() != nil || c.e.unrecorded || same(checked, c.e.rec.checked) {
		return nil // or it is settled meanwhile, or nobody was told of it
	}
	c.unjudge()
	synced := c.e.rec.synced
	c.e.rec.synced = c.e.saved // what is refused leaves the record as it was
	err := c.f.saveChecked(c.e, checked)
	c.e.rec.synced = synced
	if err != nil || checked == nil || c.f.durable {
		return err
	}
	return c.f.syncRecord(c.e)
}

// undeclare takes the length of the upload back.
func (c *chunk) undeclare() error {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if c.e.writable() != nil {
		return nil // settled meanwhile
	}
	return c.f.change(c.e, func(rec *stored) { rec.Length = upload.Deferred })
}

// acknowledged is the offset that may be told now, but never less than where the chunk began.
func (c *chunk) acknowledged() int64 {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return max(c.e.rec.Offset, c.off)
}
