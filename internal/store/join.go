package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"sluice/internal/durable"
	"sluice/internal/upload"
)

// Concatenation (tus 1.0.0, "Concatenation"). A final is assembled by copy_file_range into a file of its own: the kernel moves
// the bytes, a file system with shared blocks shares them, and no part is changed before the final is safe, so that a crash
// costs nothing but the copy, a part may be there twice, and other finals may want it too. Moving the parts could do none of
// that.

const (
	// maxCopying is how many finals are assembled at once: more would only take turns at the disk.
	maxCopying = 2
	// copyStep is how much is copied between two looks at whether to go on.
	copyStep = 8 << 20
)

// awaited knows which finals wait for a part. All methods may be called concurrently.
type awaited struct {
	mu     sync.Mutex
	finals map[upload.ID][]upload.ID // by part
}

func newAwaited() awaited { return awaited{finals: make(map[upload.ID][]upload.ID)} }

// add notes that the final rec waits for its parts.
func (a *awaited) add(rec *upload.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, part := range rec.Parts {
		if !slices.Contains(a.finals[part], rec.ID) {
			a.finals[part] = append(a.finals[part], rec.ID)
		}
	}
}

// forget notes that rec waits no more.
func (a *awaited) forget(rec *upload.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, part := range rec.Parts {
		left := slices.DeleteFunc(a.finals[part], func(id upload.ID) bool { return id == rec.ID })
		a.finals[part] = left
		if len(left) == 0 {
			delete(a.finals, part)
		}
	}
}

// drop is forget for a final whose parts are not known.
func (a *awaited) drop(id upload.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for part, finals := range a.finals {
		if finals = slices.DeleteFunc(finals, func(other upload.ID) bool { return other == id }); len(finals) > 0 {
			a.finals[part] = finals
		} else {
			delete(a.finals, part)
		}
	}
}

func (a *awaited) by(part upload.ID) []upload.ID {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.finals[part])
}

// await notes a final that waits.
func (f *File) await(rec *upload.Record) {
	if rec.Final && rec.State == upload.Receiving {
		f.awaited.add(rec)
	}
}

// Finals implements [Store].
func (f *File) Finals(part upload.ID) []upload.ID { return f.awaited.by(part) }

// Assemble implements [Store].
func (f *File) Assemble(ctx context.Context, id upload.ID) (upload.Record, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	unlock, err := f.Lock(ctx, id, cancel)
	if err != nil {
		return upload.Record{}, err
	}
	defer unlock()
	rec, err := f.Lookup(id)
	if err == nil && rec.State == upload.Receiving {
		f.await(&rec)
		rec, err = f.assemble(ctx, rec)
	}
	var verdict *upload.Rejection
	if err == nil || errors.As(err, &verdict) {
		f.retireParts(ctx, rec)
	}
	return rec, err
}

// assemble does the work of Assemble, under the lock of rec, which is receiving.
func (f *File) assemble(ctx context.Context, rec upload.Record) (upload.Record, error) {
	length, err := f.partsLength(rec)
	if err == nil && f.maxBytes > 0 && length > f.maxBytes {
		err = upload.Reject(upload.CodeTooLarge, "The parts are larger together than allowed here.")
	}
	var verdict *upload.Rejection
	if errors.As(err, &verdict) {
		rec, err = f.Reject(rec.ID, verdict)
		return rec, errors.Join(verdict, err)
	}
	if err != nil {
		return rec, err
	}
	if err := f.copyParts(ctx, rec, length); err != nil {
		return rec, err
	}
	return f.assembled(rec.ID, length)
}

// partsLength is how long the parts of a final are together: [upload.ErrNotReady] while one is unfinished, and a rejection when
// one is gone, or is none.
func (f *File) partsLength(rec upload.Record) (length int64, err error) {
	if len(rec.Parts) == 0 {
		return 0, errPartsMissing()
	}
	unfinished := false
	for _, id := range rec.Parts {
		part, err := f.Lookup(id)
		switch {
		case errors.Is(err, upload.ErrNotFound), err == nil && (part.State.Gone() || !part.Partial || part.JoinedIn != ""):
			return 0, errPartsMissing()
		case err != nil:
			return 0, fmt.Errorf("store: part of %s: %w", rec.ID, err)
		}
		unfinished = unfinished || part.State == upload.Receiving
		length += part.Length
	}
	if unfinished {
		return 0, fmt.Errorf("store: a part of %s is unfinished: %w", rec.ID, upload.ErrNotReady)
	}
	return length, nil
}

func errPartsMissing() *upload.Rejection {
	return upload.Reject(upload.CodePartsMissing, "A part of this upload is gone, so it cannot be put together.")
}

// copyParts writes the parts of rec, one behind the other, into its file, durably: the parts may go next.
func (f *File) copyParts(ctx context.Context, rec upload.Record, length int64) error {
	select {
	case f.copying <- struct{}{}:
		defer func() { <-f.copying }()
	case <-ctx.Done():
		return upload.ErrInterrupted
	}
	file, err := f.openContent(rec.ID)
	if err != nil {
		return fmt.Errorf("store: open %s: %w", rec.ID, f.diskError(err))
	}
	a := assembly{f: f, ctx: ctx, id: rec.ID, file: file, length: length}
	err = file.Truncate(0)
	for _, part := range rec.Parts {
		if err == nil {
			err = a.add(part)
		}
	}
	if err == nil && a.off != length {
		err = fmt.Errorf("parts hold %d bytes, want %d", a.off, length)
	}
	if err == nil {
		err = f.datasync(file)
	}
	if err != nil { // half of it is of no use, and the room may be wanted
		err = errors.Join(err, file.Truncate(0))
		f.owe(rec.ID, due(rec.Length, 0))
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("store: assemble %s: %w", rec.ID, f.diskError(err))
	}
	return nil
}

// assembly is a final in the making.
type assembly struct {
	f      *File
	ctx    context.Context // of the one call of Assemble that it lives in
	id     upload.ID
	file   durable.File
	off    int64 // where the next part goes
	length int64 // in the end
}

// add copies a part.
func (a *assembly) add(part upload.ID) error {
	src, err := a.f.fs.Open(a.f.name(part, ""))
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	for from := int64(0); from < info.Size(); {
		if a.ctx.Err() != nil {
			return upload.ErrInterrupted
		}
		if err := a.f.room(); err != nil {
			return err
		}
		n, err := durable.Copy(a.file, a.off, src, from, min(copyStep, info.Size()-from))
		a.file.Writeback(a.off, n)
		a.off, from = a.off+n, from+n
		a.f.owe(a.id, due(a.length, a.off))
		if err != nil {
			return err
		}
	}
	return nil
}

// assembled records that the bytes of a final are all there, if the judge takes their head.
func (f *File) assembled(id upload.ID, length int64) (upload.Record, error) {
	e, err := f.acquire(id)
	if err != nil {
		return upload.Record{}, err
	}
	defer f.unlockEntry(e)
	if e.rec.State != upload.Receiving {
		return e.rec.Record, fmt.Errorf("store: %s was settled meanwhile: %w", id, upload.ErrGone)
	}
	e.pos = length
	if err := f.judgeStored(e); err != nil {
		return e.rec.Record, err
	}
	err = f.change(e, func(rec *stored) {
		rec.State, rec.Length, rec.Offset, rec.synced = upload.Received, length, length, length
	})
	if err == nil {
		f.awaited.forget(&e.rec.Record)
	}
	return e.rec.Record, err
}

// retireParts removes the bytes of the parts of a final that is settled, but for those that another final waits for. What fails is left to
// the sweep: the parts' own time comes. So it does for those of a final that tusd made, which keeps them.
func (f *File) retireParts(ctx context.Context, final upload.Record) {
	if f.keepParts || !final.State.Complete() || final.Concat == "" {
		return
	}
	for _, part := range final.Parts {
		if err := f.retire(ctx, part, final.ID); err != nil && !errors.Is(err, upload.ErrNotFound) {
			f.log.Error("a part that was joined stays", "profile", f.profile, "id", part, "err", err)
		}
	}
}

// lockAtRest takes the lock of a part that is complete. Its last request may not have let go yet: it is about to, and to
// interrupt it would take its connection away from under the client's next one.
func (f *File) lockAtRest(ctx context.Context, part upload.ID) (unlock func(), err error) {
	soon, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if unlock, err = f.LockPatiently(soon, part, func() {}); err == nil {
		return unlock, nil
	}
	return f.Lock(ctx, part, func() {})
}

func (f *File) retire(ctx context.Context, part, final upload.ID) error {
	unlock, err := f.lockAtRest(ctx, part)
	if err != nil {
		return err
	}
	defer unlock()
	e, err := f.acquire(part)
	if err != nil {
		return err
	}
	defer f.unlockEntry(e)
	if e.rec.State != upload.Received || !e.rec.Partial || e.rec.JoinedIn != "" || len(f.Finals(part)) > 0 {
		return nil
	}
	if err := f.change(e, func(rec *stored) { rec.JoinedIn = final }); err != nil {
		return err
	}
	return f.removeContent(part, e.rec.Record)
}
