package store

import (
	"io"
	"sync"
	"time"
)

const (
	// smallBuffer is what every connection has: enough for a slow one, and a thousand of them cost 32 MiB.
	smallBuffer = 32 << 10
	// largeBuffer is for a connection that outruns the small one: what counts for ext4 is the size of a write.
	largeBuffer = 1 << 20
	// maxLargeBuffers bounds the memory for fast connections at 64 MiB; the others go on with a small buffer.
	maxLargeBuffers = 64
	// fillWithin is how long bytes may wait in a large buffer for more to be written with. A connection that does not fill
	// it in this time is slow: it gets a small one back, from which every read is written at once.
	fillWithin = 100 * time.Millisecond
)

// buffers are the memory that uploads pass through.
type buffers struct {
	small, large sync.Pool     // of *[]byte
	largeLeft    chan struct{} // a token for each large buffer in use
}

func newBuffers() *buffers {
	of := func(size int) sync.Pool {
		return sync.Pool{New: func() any { buf := make([]byte, size); return &buf }}
	}
	return &buffers{small: of(smallBuffer), large: of(largeBuffer), largeLeft: make(chan struct{}, maxLargeBuffers)}
}

// get returns a small buffer.
func (b *buffers) get() *[]byte { return b.small.Get().(*[]byte) }

// grow exchanges a small buffer for a large one if there is one left.
func (b *buffers) grow(buf *[]byte) *[]byte {
	if len(*buf) == largeBuffer {
		return buf
	}
	select {
	case b.largeLeft <- struct{}{}:
		b.small.Put(buf)
		return b.large.Get().(*[]byte)
	default:
		return buf
	}
}

// shrink exchanges a large buffer for a small one.
func (b *buffers) shrink(buf *[]byte) *[]byte {
	if len(*buf) == smallBuffer {
		return buf
	}
	b.put(buf)
	return b.get()
}

func (b *buffers) put(buf *[]byte) {
	if len(*buf) == largeBuffer {
		b.large.Put(buf)
		<-b.largeLeft
		return
	}
	b.small.Put(buf)
}

// What a connection does with the buffer that it was given.
type speed int

const (
	steady speed = iota
	fast         // one read filled it: more was waiting
	slow         // it was not full in time
)

// fill reads into buf: once if it is small, until it is full if it is large, as long as that goes fast enough.
func fill(src io.Reader, buf []byte) (n int, at speed, err error) {
	if n, err = src.Read(buf); n == len(buf) {
		return n, fast, err
	}
	if len(buf) <= smallBuffer {
		return n, steady, err
	}
	for began := time.Now(); n < len(buf) && err == nil; {
		if time.Since(began) > fillWithin {
			return n, slow, nil
		}
		var m int
		m, err = src.Read(buf[n:])
		n += m
	}
	return n, steady, err
}
