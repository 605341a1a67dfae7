package store

import (
	"errors"
	"fmt"
	"io"
	"os"

	"sluice/internal/upload"
)

// prove makes all bytes of e durable if it is the record alone that will tell, after a power cut, that they are there. Where
// the file system can tell, a store that is not durable leaves it to that.
func (f *File) prove(e *entry) error {
	if f.holes && !e.zeroTail || e.rec.synced >= e.rec.Length {
		return nil
	}
	file, err := f.fs.OpenFile(f.name(e.id, ""), os.O_RDWR)
	if err != nil {
		return fmt.Errorf("store: open %s: %w", e.id, err)
	}
	defer file.Close() // what was written is synced
	if err := f.datasync(file); err != nil {
		f.doubt(e)
		return fmt.Errorf("store: sync %s: %w", e.id, f.diskError(err))
	}
	e.rec.synced = e.rec.Length // recorded with the new state
	return nil
}

// judgeStored is judgeWritten on the stored bytes of e, if that was not done before.
func (f *File) judgeStored(e *entry) error {
	if f.judge == nil || e.judged || e.rec.Partial {
		return nil
	}
	file, err := f.fs.Open(f.name(e.id, ""))
	if err != nil {
		return fmt.Errorf("store: open %s: %w", e.id, err)
	}
	defer file.Close()
	return f.judgeWritten(e, file)
}

// judgeWritten is judgeHead on content, the file of e.
func (f *File) judgeWritten(e *entry, content io.ReaderAt) error {
	head := make([]byte, min(e.pos, upload.HeadBytes))
	if _, err := content.ReadAt(head, 0); err != nil {
		return fmt.Errorf("store: read head of %s: %w", e.id, err)
	}
	return f.judgeHead(e, head)
}

// judgeHead has the judge look at the head of e, and settles a rejection. The verdict is told only once it is recorded.
func (f *File) judgeHead(e *entry, head []byte) error {
	mediaType, err := f.judge(head)
	var verdict *upload.Rejection
	if errors.As(err, &verdict) {
		err = f.reject(e, verdict, false)
		if e.rec.State == upload.Rejected {
			err = errors.Join(verdict, err)
		}
		return err
	}
	if err == nil {
		e.judged, e.rec.MediaType = true, mediaType
	}
	return err
}
