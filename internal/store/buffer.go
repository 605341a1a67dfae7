package store

import (
	"io"
	"sync"
	"time"
)

const (
	// firstBuffer is what every connection begins with, and what a slow one keeps. While that waits it has no memory: see release.
	firstBuffer = 8 << 10
	// smallBuffer is for a small upload, and for a fast connection when there is no large one left.
	smallBuffer = 32 << 10
	// largeBuffer is for a connection that outruns its buffer: what counts for ext4 is the size of a write.
	largeBuffer = 1 << 20
	// maxLargeBuffers bounds the memory for fast connections at 64 MiB; the others go on with a small buffer.
	maxLargeBuffers = 64
	// fillWithin is how long bytes may wait in a large buffer for more to be written with. A connection that does not fill
	// it in this time is slow: it gets a first one back, from which every read is written at once. So is one that sends nothing
	// for so long.
	fillWithin = 100 * time.Millisecond
)

// buffers are the memory that uploads pass through.
type buffers struct {
	first, small, large sync.Pool     // of *[]byte
	whole               sync.Pool     // likewise, for smallBytes: as many are in use as chunks may end at once
	largeLeft           chan struct{} // a token for each large buffer in use
}

func newBuffers() *buffers {
	of := func(size int) sync.Pool {
		return sync.Pool{New: func() any { buf := make([]byte, size); return &buf }}
	}
	return &buffers{first: of(firstBuffer), small: of(smallBuffer), large: of(largeBuffer), whole: of(smallBytes), largeLeft: make(chan struct{}, maxLargeBuffers)}
}

// get returns a buffer for a connection that is to send so many bytes more, if that is known.
func (b *buffers) get(left int64) *[]byte {
	if 0 < left && left <= smallBuffer {
		return b.small.Get().(*[]byte)
	}
	return b.first.Get().(*[]byte)
}

// grow exchanges a buffer for a large one; if there is none left for a small one.
func (b *buffers) grow(buf *[]byte) *[]byte {
	if len(*buf) == largeBuffer {
		return buf
	}
	select {
	case b.largeLeft <- struct{}{}:
		b.put(buf)
		return b.large.Get().(*[]byte)
	default:
		b.put(buf)
		return b.small.Get().(*[]byte)
	}
}

func (b *buffers) put(buf *[]byte) {
	switch len(*buf) {
	case firstBuffer:
		b.first.Put(buf)
	case smallBuffer:
		b.small.Put(buf)
	default:
		b.large.Put(buf)
		<-b.largeLeft
	}
}

// What a connection does with the buffer that it was given.
type speed int

const (
	steady speed = iota
	fast         // one read filled it: more was waiting
	slow         // it was not full in time, or nothing came for so long
)

// fill reads into buf: once if it is small, until it is full if it is large, as long as that goes fast enough.
func fill(src io.Reader, buf []byte) (n int, at speed, err error) {
	began := time.Now()
	n, err = src.Read(buf)
	switch {
	case len(buf) <= smallBuffer && time.Since(began) > fillWithin:
		return n, slow, err
	case n == len(buf):
		return n, fast, err
	case len(buf) <= smallBuffer:
		return n, steady, err
	}
	for began = time.Now(); n < len(buf) && err == nil; {
		if time.Since(began) > fillWithin {
			return n, slow, nil
		}
		var m int
		m, err = src.Read(buf[n:])
		n += m
	}
	return n, steady, err
}
