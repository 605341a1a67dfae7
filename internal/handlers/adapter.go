package handlers

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/upload"
)

// tusStore is the endpoint's store as tusd sees it. It keeps the request's view of the record up to date, and it is where
// errors become answers.
type tusStore struct{ e *endpoint }

func (s tusStore) NewUpload(ctx context.Context, info handler.FileInfo) (handler.Upload, error) {
	req := requestFrom(ctx)
	rec := upload.Record{ID: upload.NewID(), Owner: req.owner, Length: info.Size, Metadata: req.metadata, Partial: req.concat != "", Concat: req.concat}
	if info.SizeIsDeferred {
		rec.Length = upload.Deferred
	}
	create := s.e.store.Create
	if req.body.length != 0 {
		create = s.e.store.Announce
	}
	if err := create(rec); err != nil {
		return nil, req.tusError(err)
	}
	req.upload, req.created = rec.ID, true
	return s.GetUpload(ctx, string(rec.ID))
}

func (s tusStore) GetUpload(ctx context.Context, id string) (handler.Upload, error) {
	req := requestFrom(ctx)
	rec, err := s.e.store.Lookup(upload.ID(id))
	req.record = &rec
	switch {
	case req.method == http.MethodDelete && !errors.Is(err, upload.ErrNotFound): // also if what is stored cannot be read
		return &tusUpload{s.e, upload.ID(id)}, nil
	case err != nil:
		return nil, req.tusError(err)
	case rec.State.Gone():
		return nil, req.tusError(goneFor(rec))
	case req.method == http.MethodPatch && rec.Full():
		err = s.e.appendToFull(ctx, req)
	}
	return &tusUpload{s.e, rec.ID}, err
}

// appendToFull answers a PATCH of an upload that has all its bytes. There is nothing to add, but something may be left to
// do: the last answer was lost, or the step after the last byte failed. So the client gets the answer that it would have got.
func (e *endpoint) appendToFull(ctx context.Context, req *request) error {
	if offset, err := digits(req.header, "Upload-Offset", ""); err != nil || offset != req.record.Offset {
		return nil // tusd answers that with 409
	}
	if again := req.header.Get("Upload-Length"); again != "" && again != strconv.FormatInt(req.record.Length, 10) {
		return req.tusError(handler.ErrInvalidUploadLength)
	}
	if n, _ := req.body.Read(make([]byte, 1)); n > 0 {
		return req.tusError(upload.ErrTooLarge)
	}
	if verify := req.check().Verify; verify != nil {
		if err := verify(strings.NewReader("")); err != nil {
			return req.tusError(err)
		}
	}
	if err := req.saw(e.complete(req.upload)); err != nil || req.record.State != upload.Received {
		return err
	}
	return e.settle(ctx)
}

// saw notes what became of the request's upload, and is what tusd is told of err.
func (r *request) saw(rec upload.Record, err error) error {
	r.record = &rec
	if err != nil {
		return r.tusError(err)
	}
	return nil
}

func (s tusStore) AsTerminatableUpload(u handler.Upload) handler.TerminatableUpload {
	return u.(*tusUpload)
}

func (s tusStore) AsLengthDeclarableUpload(u handler.Upload) handler.LengthDeclarableUpload {
	return u.(*tusUpload)
}

// goneFor is the answer for an upload that was rejected or has expired: gone, with the reason.
func goneFor(rec upload.Record) error {
	switch {
	case rec.State == upload.Expired:
		return upload.ErrExpired
	case rec.Reason == nil:
		return upload.ErrGone
	}
	return &clientError{http.StatusGone, rec.Reason.Code, rec.Reason.Message}
}

// tusUpload is one upload as tusd sees it, within one request.
type tusUpload struct {
	e  *endpoint
	id upload.ID
}

func (u *tusUpload) GetInfo(ctx context.Context) (handler.FileInfo, error) {
	req := requestFrom(ctx)
	rec := req.record
	if again := req.header.Get("Upload-Length"); again == strconv.FormatInt(rec.Length, 10) {
		req.header.Del("Upload-Length") // said again, not changed
	}
	return handler.FileInfo{
		ID: string(u.id), Size: max(rec.Length, 0), SizeIsDeferred: rec.Length == upload.Deferred, Offset: rec.Offset,
	}, nil
}

func (u *tusUpload) WriteChunk(ctx context.Context, offset int64, src io.Reader) (int64, error) {
	req := requestFrom(ctx)
	n, err := u.e.store.WriteChunk(u.id, offset, &guarded{src: src, req: req}, req.check())
	return n, u.chunkEnded(req, err)
}

// chunkEnded is what tusd is told of a chunk that ended with err.
func (u *tusUpload) chunkEnded(req *request, err error) error {
	rec, _ := u.e.store.Lookup(u.id) // if that fails, the header says less
	req.record = &rec
	if err == nil || rec.State == upload.Receiving && rec.Offset == rec.Length && errors.Is(err, upload.ErrInterrupted) {
		return nil // an interrupt that came after the last byte interrupted nothing
	}
	return req.tusError(err)
}

func (u *tusUpload) DeclareLength(ctx context.Context, length int64) error {
	req := requestFrom(ctx)
	if req.record.Offset+req.body.length > length { // as far as that can be told now; a length is not changed again
		return req.tusError(upload.ErrTooLarge)
	}
	if err := u.e.store.DeclareLength(u.id, length); err != nil {
		return req.tusError(err)
	}
	req.record.Length, req.declared = length, true
	return nil
}

func (u *tusUpload) FinishUpload(ctx context.Context) error {
	if err := requestFrom(ctx).saw(u.e.complete(u.id)); err != nil {
		return err
	}
	return u.e.beforeFinish(ctx)
}

func (u *tusUpload) Terminate(ctx context.Context) error {
	req := requestFrom(ctx)
	waiting := u.e.store.Finals(u.id)
	if err := u.e.store.Terminate(u.id); err != nil {
		return req.tusError(err)
	}
	u.e.resumeFinals(waiting)
	req.record = new(upload.Record)
	return nil
}

// GetReader is part of tusd's interface and used only by its own GET, which is off.
func (u *tusUpload) GetReader(context.Context) (io.ReadCloser, error) {
	return nil, upload.ErrNotReady
}

// tusLocker is the store's lock as tusd sees it.
type tusLocker struct{ e *endpoint }

func (l tusLocker) NewLock(id string) (handler.Lock, error) {
	return &tusLock{e: l.e, id: upload.ID(id)}, nil
}

type tusLock struct {
	e      *endpoint
	id     upload.ID
	unlock func()
}

// Lock takes the upload's lock. tusd's own way to be interrupted is left unused: it is lost in a window, see
// [request.interrupt].
func (l *tusLock) Lock(ctx context.Context, _ func()) error {
	req := requestFrom(ctx)
	unlock, err := l.e.store.Lock(ctx, l.id, func() { req.interrupt(upload.ErrInterrupted) })
	if err != nil {
		return req.tusError(err)
	}
	l.unlock = unlock
	return nil
}

func (l *tusLock) Unlock() error {
	l.unlock()
	return nil
}
