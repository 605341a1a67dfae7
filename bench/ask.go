package main

import "fmt"

// The scenarios that ask.

// heads asks for the offset of unfinished uploads, one for each connection, as clients do when they resume.
func heads(n int) func(*trial) error {
	return func(t *trial) error {
		uploads, err := t.begin(connections, 8<<20)
		if err != nil {
			return err
		}
		requests := make([]string, connections)
		err = t.share(connections, connections, func(k *conn, i int) error {
			requests[i] = headRequest(uploads[i])
			return k.patch(uploads[i], 0, smallBytes)
		})
		if err != nil {
			return err
		}
		return t.timed(work{count: n}, func() error {
			return t.storm(connections, n, func(k *conn, i int) error {
				a, err := k.do(200, requests[i%connections], 0, 0)
				if err == nil && a.offset != smallBytes {
					err = fmt.Errorf("offset %d instead of %d", a.offset, smallBytes)
				}
				return err
			})
		})
	}
}

// read fetches n ranges of size bytes of one upload of all bytes, one after the other.
func read(all, size int64, n int) func(*trial) error {
	return func(t *trial) error {
		k, err := t.dial()
		if err != nil {
			return err
		}
		defer k.Close()
		u, err := k.create(0, all, 0)
		if err != nil {
			return err
		}
		if err := k.patches(u, 0, all); err != nil {
			return err
		}
		err = t.timed(work{bytes: size * int64(n), count: n}, func() error {
			for i := range n {
				if err := k.get(u, int64(i)*size%(all-size+1), size); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		return k.verify(u)
	}
}
