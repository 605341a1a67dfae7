package main

import (
	"io"
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"
)

// source is the content of every upload: a file of random bytes in the page cache, mapped.
type source struct {
	name string
	data []byte
}

func newSource(name string, size int64) (*source, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// A fixed seed: the same bytes in every run.
	if _, err := io.CopyN(f, rand.NewChaCha8([32]byte{}), size); err != nil {
		return nil, err
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	return &source{name, data}, err
}

// at is where the content of upload i begins, if it has size bytes: mostly elsewhere than that of its neighbours.
func (s *source) at(i int, size int64) int64 {
	room := int64(len(s.data)) - size
	if room == 0 {
		return 0
	}
	return int64(i) * 20_483 % room // a prime: not in step with blocks
}
