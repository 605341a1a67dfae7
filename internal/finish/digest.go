package finish

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"sluice/internal/upload"
)

// The store has the digest of what came in one go while it was written. What it could not follow to the end is read here:
// what a restart cut in two, what was joined, what tusd left.

const (
	// digestPiece is how much is read at once: large enough that the reading costs nothing beside the hashing.
	digestPiece = 1 << 20
	// digestStride is how much is read between two looks whether the upload is still there: a tenth of a second or so, and a
	// look costs nothing beside it.
	digestStride = 64 << 20
	// maxDigesting bounds the memory for that, and how much of the machine is taken from those who send: 2 MiB, two cores.
	maxDigesting = 2
)

// withDigest adds the digest to outcome, if the profile wants one and the record has none.
func (p *Pipeline) withDigest(lane Lane, rec upload.Record, outcome upload.Outcome) (upload.Outcome, error) {
	if lane.Profile.Digest == "" || rec.Digest != "" {
		return outcome, nil
	}
	sum, err := p.digestOf(p.ctx, lane, rec)
	if err != nil {
		return upload.Outcome{}, err
	}
	outcome.Digest = sum
	return outcome, nil
}

// digestOf reads the content of rec to its end. It is cut short by ctx, and when the upload is terminated; it reads nothing
// while others take their turn.
func (p *Pipeline) digestOf(ctx context.Context, lane Lane, rec upload.Record) (string, error) {
	select {
	case p.digesting <- struct{}{}:
		defer func() { <-p.digesting }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	file, _, err := lane.Store.Open(rec.ID)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum, piece := sha256.New(), make([]byte, digestPiece)
	for left := rec.Length; left > 0; {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if (rec.Length-left)%digestStride == 0 {
			if _, err := lane.Store.Lookup(rec.ID); err != nil {
				return "", err
			}
		}
		n, err := io.ReadFull(file, piece[:min(left, digestPiece)])
		sum.Write(piece[:n]) // never fails
		if left -= int64(n); err != nil {
			return "", fmt.Errorf("finish: digest of %s, %d bytes left: %w", rec.ID, left, unexpected(err))
		}
	}
	return upload.FormatDigest(lane.Profile.Digest, sum.Sum(nil)), nil
}

// unexpected is err, of a file that must not end yet.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
