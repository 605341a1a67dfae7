package main

import (
	"errors"
	"io"
	"time"
)

const (
	dripBytes    = 4 << 10
	dripInterval = 500 * time.Millisecond
	headInterval = 5 * time.Millisecond // 200 a second
)

// slow has n connections that each send a little now and then, as phones on a bad network do, while somebody else asks.
// The latencies are those of the HEADs, and "each" is for a connection.
func slow(n, drips int) func(*trial) error {
	return func(t *trial) error {
		uploads, err := t.begin(n+1, int64(drips)*dripBytes)
		if err != nil {
			return err
		}
		conns, err := t.dialSilent(n)
		defer closeAll(conns)
		if err != nil {
			return err
		}
		err = t.timed(work{count: n}, func() error {
			done, asked := make(chan struct{}), make(chan error)
			go func() { asked <- t.keepAsking(uploads[n], done) }()
			err := drip(conns, uploads, drips)
			close(done)
			return errors.Join(err, <-asked)
		})
		if err != nil {
			return err
		}
		t.result[kibEach] = t.result[growth] * 1024 / float64(n)
		t.drop(perSecond) // fixed by the client
		return t.verify(uploads[:n])
	}
}

// dialSilent makes connections whose latencies are not counted.
func (t *trial) dialSilent(n int) (conns []*conn, err error) {
	for range n {
		k, err := t.dial()
		if err != nil {
			return conns, err
		}
		k.took = nil
		conns = append(conns, k)
	}
	return conns, nil
}

func closeAll(conns []*conn) {
	for _, k := range conns {
		k.Close()
	}
}

// drip sends the head of a PATCH over each connection, then the body in small pieces, evenly spread over the interval, and
// reads the answers.
func drip(conns []*conn, uploads []upload, drips int) error {
	for i, k := range conns {
		if _, err := io.WriteString(k, patchRequest(uploads[i], 0, uploads[i].size)); err != nil {
			return err
		}
	}
	start := time.Now()
	for round := range drips {
		for i, k := range conns {
			due := dripInterval*time.Duration(round) + dripInterval*time.Duration(i)/time.Duration(len(conns))
			time.Sleep(time.Until(start.Add(due)))
			off := uploads[i].base + int64(round)*dripBytes
			if _, err := k.Write(k.source.data[off : off+dripBytes]); err != nil {
				return err
			}
		}
	}
	for _, k := range conns {
		if _, err := k.do(204, "", 0, 0); err != nil {
			return err
		}
	}
	return nil
}

// keepAsking sends a HEAD at each tick until done is closed.
func (t *trial) keepAsking(u upload, done <-chan struct{}) error {
	k, err := t.dial()
	if err != nil {
		return err
	}
	defer k.Close()
	tick := time.NewTicker(headInterval)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return nil
		case <-tick.C:
			if _, err := k.head(u); err != nil {
				return err
			}
		}
	}
}
