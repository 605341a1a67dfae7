package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"
)

// The scenarios in which a client vanishes. What is timed is how soon the upload can be used again: from the cut to the
// answers to a HEAD, which tells the offset, and to a PATCH with a little more, over a new connection, both repeated until
// they succeed.

const (
	resumeBytes  = 4 << 20
	pieceBytes   = 64 << 10 // of the PATCH: to send the whole rest would time the disk
	resumeWithin = 30 * time.Second
	resumePause  = 2 * time.Millisecond // between tries: what a lock costs shall be seen, not how patient the client is
)

// cut breaks n uploads off at a random byte, half of them by FIN, half by RST, and resumes each at once.
func cut(n, atOnce int) func(*trial) error {
	return func(t *trial) error {
		uploads, err := t.begin(n, resumeBytes)
		if err != nil {
			return err
		}
		err = t.timed(work{count: n}, func() error {
			return t.share(atOnce, n, func(k *conn, i int) error {
				random := rand.New(rand.NewPCG(1, uint64(i)))
				lost, err := t.sendPart(uploads[i], random.Int64N(resumeBytes))
				if err != nil {
					return err
				}
				if i%2 == 0 {
					err = lost.ReadWriteCloser.(*net.TCPConn).SetLinger(0)
				}
				if err := errors.Join(err, lost.Close()); err != nil {
					return err
				}
				return t.resume(uploads[i])
			})
		})
		if err != nil {
			return err
		}
		t.drop(perSecond) // is of the sending too
		return t.verify(uploads)
	}
}

// silent has n clients send a part and then nothing any more, with their connections open, and resumes each over another.
func silent(n int) func(*trial) error {
	return func(t *trial) error {
		uploads, err := t.begin(n, resumeBytes)
		if err != nil {
			return err
		}
		lost := make([]*conn, n)
		err = t.share(n, n, func(_ *conn, i int) (err error) {
			lost[i], err = t.sendPart(uploads[i], resumeBytes/2)
			return err
		})
		if err != nil {
			return err
		}
		defer closeAll(lost)
		err = t.timed(work{count: n}, func() error {
			return t.share(n, n, func(_ *conn, i int) error { return t.resume(uploads[i]) })
		})
		if err != nil {
			return err
		}
		t.drop(perSecond, cpuEach, clientEach) // of so few it is noise
		return t.verify(uploads)
	}
}

// sendPart begins a PATCH of all of u and sends n bytes.
func (t *trial) sendPart(u upload, n int64) (*conn, error) {
	k, err := t.dial()
	if err != nil {
		return nil, err
	}
	return k, k.send(patchRequest(u, 0, u.size), u.base, n)
}

// resume brings u to its end, and notes how long it took until bytes were taken again.
func (t *trial) resume(u upload) error {
	began := time.Now()
	if err := retry(func() error { return t.goOn(u, pieceBytes) }); err != nil {
		return err
	}
	t.took.add(time.Since(began))
	return retry(func() error { return t.goOn(u, u.size) }) // the lost request may come only now, and be in the way
}

func retry(try func() error) (err error) {
	for began := time.Now(); time.Since(began) < resumeWithin; time.Sleep(resumePause) {
		if err = try(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("not resumed within %s: %w", resumeWithin, err)
}

// goOn asks how far u is and sends at most so many bytes more.
func (t *trial) goOn(u upload, most int64) error {
	k, err := t.dial()
	if err != nil {
		return err
	}
	defer k.Close()
	k.took = nil
	off, err := k.head(u)
	if err != nil || off == u.size {
		return err
	}
	return k.patch(u, off, min(most, u.size-off))
}
