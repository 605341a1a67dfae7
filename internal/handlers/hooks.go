package handlers

import (
	"context"
	"time"

	"sluice/internal/upload"
)

// The contrast that Sluice exists for, where tusd's handler finishes an upload. What happens before it is the same for both lanes:
// bytes flow from the socket to their offset in a file.

// answerWithin is how long the client of a whole file waits for the verdict, so that it has an answer within 20 s of its last
// byte on a machine that is busy with two hundred others too. Later, its answer is "received", and the work goes on.
const answerWithin = 15 * time.Second

// beforeFinish is called when every byte is stored and the upload is received, durably, and before the last response.
//
//	whole:  the file is small. It is read into memory and processed now; the response carries the verdict.
//	stream: the file is large. It was judged by its head while it arrived and is never held: of a video the headers are read,
//	        by offset. The response only says that the bytes are safe, or that nothing can play them.
//
// The processing belongs to the server, not to this request: it goes on if the client does not wait, and runs again from
// stored state if the server dies.
func (e *endpoint) beforeFinish(ctx context.Context) error {
	if requestFrom(ctx).record.State == upload.Ready { // the store had nothing to leave to the finisher
		e.finisher.Passed()
		return nil
	}
	return e.settle(ctx)
}

// settle waits for the verdict on the request's upload, which is received, until answerWithin is over or the request is
// interrupted: then it is received still.
func (e *endpoint) settle(ctx context.Context) error {
	req := requestFrom(ctx)
	if req.record.Partial {
		return nil // it is the final that is processed
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.answerWithin)
	defer cancel()
	req.wakeBy(cancel) // who deletes the upload, or stops the server, does not wait for a verdict

	var rec upload.Record
	var err error
	switch e.profile.Lane {
	case upload.Whole:
		rec, err = e.finisher.Whole(ctx, *req.record)
	case upload.Stream:
		rec, err = e.finisher.Stream(ctx, *req.record)
	}
	if cause := err; cause != nil {
		if rec, err = e.store.Lookup(req.upload); err != nil || rec.State == upload.Received {
			req.log().Error("no verdict", "err", cause) // the bytes are safe and the state is stored: not the client's trouble
			return nil
		}
	}
	req.record = &rec // its state goes into Sluice-State
	if rec.State == upload.Rejected {
		return req.tusError(rec.Reason)
	}
	return nil
}
