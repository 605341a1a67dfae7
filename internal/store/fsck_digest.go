package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"sluice/internal/upload"
)

// digestPiece is how much of a file is read at once, in bytes, and all the memory that takes.
const digestPiece = 1 << 20

// CheckDigests reads the content of every upload that has a digest, and tells of each that is not what it was when the upload
// became ready. It is for a store that [Examine] has opened, after [File.Fsck], and changes nothing: nobody knows which bytes
// are wrong.
//
// An error means that it did not come to the end.
func (f *File) CheckDigests(ctx context.Context, tell func(Fault)) error {
	piece := make([]byte, digestPiece)
	err := f.each(func(id upload.ID) bool {
		problem := f.digestProblem(ctx, id, piece)
		if ctx.Err() != nil {
			return false
		}
		if problem != "" {
			tell(Fault{Profile: f.profile, Invariant: "content is what its digest says", ID: id, File: f.name(id, ""), Problem: problem,
				Remedy: "left to a person: restore it from a copy, or delete the upload"})
		}
		return true
	})
	if err = errors.Join(err, ctx.Err()); err != nil {
		return fmt.Errorf("store: check digests: %w", err)
	}
	return nil
}

// digestProblem says what is wrong with the content of id, "" if nothing is. What Fsck tells of is none: a record that cannot
// be read, a file that is not there or is no plain one.
func (f *File) digestProblem(ctx context.Context, id upload.ID, piece []byte) string {
	raw, err := f.readInfo(id)
	if err != nil {
		return ""
	}
	rec, err := decodeRecord(id, raw)
	if err != nil || !strings.HasPrefix(rec.Digest, upload.SHA256+"=") || rec.State != upload.Received && rec.State != upload.Ready {
		return ""
	}
	info, err := f.fs.Stat(f.name(id, ""))
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return ""
	}
	found, err := f.contentDigest(ctx, id, piece)
	switch {
	case err != nil:
		return fmt.Sprintf("the content cannot be read: %v", err)
	case found != rec.Digest:
		return "the content is not what it was when it became ready: its digest is another"
	}
	return ""
}

func (f *File) contentDigest(ctx context.Context, id upload.ID, piece []byte) (string, error) {
	file, err := f.fs.Open(f.name(id, ""))
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := file.Read(piece)
		sum.Write(piece[:n]) // never fails
		switch {
		case errors.Is(err, io.EOF):
			return upload.FormatDigest(upload.SHA256, sum.Sum(nil)), nil
		case err != nil:
			return "", err
		}
	}
}
