package finish

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"sluice/internal/store"
	"sluice/internal/upload"
)

func digestOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return upload.FormatDigest(upload.SHA256, sum[:])
}

// The store of these tests knows no digest, as after a restart.
func TestDigestIsReadWhereTheStoreHasNone(t *testing.T) {
	long := strings.Repeat("sluices let the stream through ", 100_000) // three pieces
	for _, c := range []struct{ profile, content string }{
		{"file", ""}, {"file", "x"}, {"file", long}, {"file", long[:digestPiece]}, {"video", sample(t, "end.mp4")}, {"avatar", picture(t, 80, 60)},
	} {
		p := profile(t, c.profile)
		p.Digest = upload.SHA256
		files := openStore(t, p)
		pl := pipeline(t, p, files, 1<<30)
		settle := pl.Stream
		if p.Lane == upload.Whole {
			settle = pl.Whole
		}
		rec, err := settle(t.Context(), receive(t, files, c.content))
		if err != nil || rec.State != upload.Ready || rec.Digest != digestOf(c.content) {
			t.Errorf("%s of %d bytes: got %s, %q, %v, want %q", c.profile, len(c.content), rec.State, rec.Digest, err, digestOf(c.content))
		}
	}
}

func TestDigestThatIsKnownIsNotReadAgain(t *testing.T) {
	p := profile(t, "file")
	p.Digest = upload.SHA256
	files := openStore(t, p)
	counted := &counting{Store: files}
	rec := receive(t, files, "hello")
	rec.Digest = digestOf("hello")
	settled, err := pipeline(t, p, counted, 1).Stream(t.Context(), rec)
	if err != nil || settled.State != upload.Ready || counted.opened.Load() != 0 {
		t.Errorf("got %s, %v after %d openings, want ready after none", settled.State, err, counted.opened.Load())
	}
}

// endless is a store whose files never end: they tell when they are read first.
type endless struct {
	Store
	begun chan struct{}
}

func (s endless) Open(id upload.ID) (io.ReadSeekCloser, upload.Record, error) {
	file, rec, err := s.Store.Open(id)
	return &endlessFile{ReadSeekCloser: file, begun: s.begun}, rec, err
}

type endlessFile struct {
	io.ReadSeekCloser
	begun chan struct{}
	told  bool
}

func (f *endlessFile) Read(p []byte) (int, error) {
	if !f.told {
		f.told = true
		f.begun <- struct{}{}
	}
	return len(p), nil
}

// Whoever stops the server does not wait for terabytes, those that wait for their turn included.
func TestDigestingEndsWithThePipeline(t *testing.T) {
	p := profile(t, "file")
	p.Digest = upload.SHA256
	files := openStore(t, p)
	begun := make(chan struct{})
	pl := pipeline(t, p, endless{files, begun}, 1)
	var recs []upload.Record
	for range 2 * maxDigesting {
		rec := receive(t, files, "hello")
		rec.Length = 1 << 62
		recs = append(recs, rec)
		pl.Resume(rec)
	}
	for range maxDigesting {
		<-begun
	}
	select {
	case <-begun:
		t.Errorf("more than %d are read at once", maxDigesting)
	default:
	}
	pl.Close()
	for _, rec := range recs {
		if rec, err := files.Lookup(rec.ID); err != nil || rec.State != upload.Received {
			t.Errorf("got %s, %v, want received", rec.State, err)
		}
	}
}

// deleted is a store whose uploads are removed as soon as somebody reads them. It counts what is read all the same.
type deleted struct {
	*store.File
	read atomic.Int64
}

func (d *deleted) Open(id upload.ID) (io.ReadSeekCloser, upload.Record, error) {
	file, rec, err := d.File.Open(id)
	return &deletedFile{file, d, id}, rec, err
}

type deletedFile struct {
	io.ReadSeekCloser
	from *deleted
	id   upload.ID
}

func (f *deletedFile) Read(p []byte) (int, error) {
	if f.from.read.Add(int64(len(p))) == int64(len(p)) {
		return len(p), f.from.Terminate(f.id)
	}
	return len(p), nil
}

func TestDigestingEndsWithTheUpload(t *testing.T) {
	p := profile(t, "file")
	p.Digest = upload.SHA256
	files := &deleted{File: openStore(t, p)}
	rec := receive(t, files.File, "hello")
	rec.Length = 3 * digestStride
	_, err := pipeline(t, p, files, 1).Stream(t.Context(), rec)
	if read := files.read.Load(); !errors.Is(err, upload.ErrNotFound) || read > digestStride {
		t.Errorf("got %v after %d bytes, want %v after %d at most", err, read, upload.ErrNotFound, digestStride)
	}
}

func TestContentThatIsShorterThanItsRecordHasNoDigest(t *testing.T) {
	p := profile(t, "file")
	p.Digest = upload.SHA256
	files := openStore(t, p)
	rec := receive(t, files, "hello")
	rec.Length++
	sum, err := pipeline(t, p, files, 1).digestOf(context.Background(), Lane{p, files}, rec)
	if sum != "" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %q, %v, want %v", sum, err, io.ErrUnexpectedEOF)
	}
}
