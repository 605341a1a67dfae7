package main

// The scenarios that send content.

// large sends one upload over one connection, in PATCHes of chunk bytes.
func large(size, chunk int64) func(*trial) error {
	return func(t *trial) error {
		k, err := t.dial()
		if err != nil {
			return err
		}
		defer k.Close()
		u, err := k.create(0, size, 0)
		if err != nil {
			return err
		}
		w := work{bytes: size, count: int((size + chunk - 1) / chunk)}
		if err := t.timed(w, func() error { return k.patches(u, 0, chunk) }); err != nil {
			return err
		}
		return k.verify(u)
	}
}

// atOnce sends n uploads, each over a connection of its own.
func atOnce(n int, size, chunk int64) func(*trial) error {
	return func(t *trial) error {
		uploads, err := t.begin(n, size)
		if err != nil {
			return err
		}
		w := work{bytes: int64(n) * size, count: n * int((size+chunk-1)/chunk)}
		err = t.timed(w, func() error {
			return t.share(n, n, func(k *conn, i int) error { return k.patches(uploads[i], 0, chunk) })
		})
		if err != nil {
			return err
		}
		return t.verify(uploads)
	}
}

// begin makes n empty uploads.
func (t *trial) begin(n int, size int64) ([]upload, error) {
	uploads := make([]upload, n)
	return uploads, t.share(4, n, func(k *conn, i int) (err error) {
		uploads[i], err = k.create(t.source.at(i, size), size, 0)
		return err
	})
}

// withContent makes n small uploads whose content is in the creation request.
func withContent(n int) func(*trial) error {
	return func(t *trial) error {
		uploads := make([]upload, n)
		err := t.timed(work{count: n}, func() error {
			return t.storm(connections, n, func(k *conn, i int) (err error) {
				uploads[i], err = k.create(t.source.at(i, smallBytes), smallBytes, smallBytes)
				return err
			})
		})
		if err != nil {
			return err
		}
		return t.verify(uploads)
	}
}

// inTwoSteps makes n small uploads by a POST and a PATCH each.
func inTwoSteps(n int) func(*trial) error {
	return func(t *trial) error {
		uploads := make([]upload, n)
		err := t.timed(work{count: n}, func() error {
			return t.storm(connections, n, func(k *conn, i int) (err error) {
				uploads[i], err = k.create(t.source.at(i, smallBytes), smallBytes, 0)
				if err != nil {
					return err
				}
				return k.patch(uploads[i], 0, smallBytes)
			})
		})
		if err != nil {
			return err
		}
		return t.verify(uploads)
	}
}
