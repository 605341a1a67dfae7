package main

import (
	"fmt"
	"sync"
)

// connections is how many work at once in the loads of many small requests: more than the CPUs here, fewer than would only queue.
const connections = 16

const (
	chunkBytes = 8 << 20  // what tus clients are often told to send at once
	smallBytes = 20 << 10 // an avatar
)

type sizes struct {
	large        int64
	small, heads int
}

// load is one kind of traffic.
type load struct {
	name    string
	unit    string
	units   float64 // how many are done in the timed part
	prepare func(*client) (job, error)
}

// job is a load that is ready to run once.
type job struct {
	timed  func() error
	verify func() error
}

func loads(s sizes) []load {
	mib := float64(s.large) / (1 << 20)
	return []load{
		{name: fmt.Sprintf("%.0f MiB in one PATCH", mib), unit: "MiB/s", units: mib, prepare: large(s.large, s.large)},
		{name: fmt.Sprintf("%.0f MiB in PATCHes of 8 MiB", mib), unit: "MiB/s", units: mib, prepare: large(s.large, chunkBytes)},
		{name: fmt.Sprintf("%d uploads of 20 KiB", s.small), unit: "uploads/s", units: float64(s.small), prepare: small(s.small)},
		{name: fmt.Sprintf("%d HEAD", s.heads), unit: "req/s", units: float64(s.heads), prepare: heads(s.heads)},
	}
}

// large sends one upload over one connection, in PATCHes of chunk bytes.
func large(size, chunk int64) func(*client) (job, error) {
	return func(c *client) (job, error) {
		k, err := c.dial()
		if err != nil {
			return job{}, err
		}
		path, err := k.create(size, 0, 0)
		if err != nil {
			return job{}, err
		}
		return job{
			timed: func() error {
				for off := int64(0); off < size; off += chunk {
					if err := k.patch(path, off, min(chunk, size-off)); err != nil {
						return err
					}
				}
				return nil
			},
			verify: func() error {
				defer k.Close()
				return k.verify(path, 0, size)
			},
		}, nil
	}
}

// small makes whole uploads, each with its content in the creation request, each with other content.
func small(n int) func(*client) (job, error) {
	return func(c *client) (job, error) {
		paths := make([]string, n)
		offset := func(i int) int64 { return int64(i) * smallBytes % (c.source.size - smallBytes) }
		return job{
			timed: func() error {
				return share(c, n, func(k *conn, i int) (err error) {
					paths[i], err = k.create(smallBytes, offset(i), smallBytes)
					return err
				})
			},
			verify: func() error {
				return share(c, n, func(k *conn, i int) error { return k.verify(paths[i], offset(i), smallBytes) })
			},
		}, nil
	}
}

// heads asks for the offset of unfinished uploads, one for each connection, as clients do when they resume.
func heads(n int) func(*client) (job, error) {
	return func(c *client) (job, error) {
		requests := make([]string, connections)
		err := share(c, connections, func(k *conn, i int) error {
			path, err := k.create(chunkBytes, 0, 0)
			if err != nil {
				return err
			}
			requests[i] = "HEAD " + path + " HTTP/1.1\r\nHost: bench\r\nTus-Resumable: 1.0.0\r\n\r\n"
			return k.patch(path, 0, smallBytes)
		})
		return job{
			timed: func() error {
				return share(c, n, func(k *conn, i int) error {
					a, err := k.do(200, requests[i%connections], 0, 0)
					if err == nil && a.offset != smallBytes {
						err = fmt.Errorf("offset %d instead of %d", a.offset, smallBytes)
					}
					return err
				})
			},
			verify: func() error { return nil }, // every answer was
		}, err
	}
}

// share does n tasks over the connections. Connection w has the tasks w, w+connections, ...: no upload is asked for
// by two at once, which a locking server would have to queue. It returns the first error.
func share(c *client, n int, task func(k *conn, i int) error) error {
	errs := make(chan error, connections)
	var wg sync.WaitGroup
	for w := range connections {
		wg.Go(func() {
			k, err := c.dial()
			if err != nil {
				errs <- err
				return
			}
			defer k.Close()
			for i := w; i < n; i += connections {
				if err := task(k, i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}
