package store

import "sluice/internal/upload"

const (
	// maxAtDisk is how many uploads end at once. Each keeps a processor while it waits for the disk, until the runtime takes that away:
	// beyond so many nobody ends sooner, and everybody else would have to stand in the queue.
	maxAtDisk = 16
	// maxSlowAtDisk is the same for those of slow connections, beside them. Many may end together, and none is in a hurry.
	maxSlowAtDisk = 4
)

// ending has do done, for so many callers at once: on a stack of its own where the connection is slow. What ends an upload
// goes deep. Of a thousand connections that wait all day and end together each would have a stack twice as large from then on.
func (f *File) ending(slow bool, do func()) {
	room := f.atDisk
	if slow {
		room = f.slowly
	}
	room <- struct{}{}
	defer func() { <-room }()
	if !slow {
		do()
		return
	}
	var cause any
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { cause = recover() }()
		do()
	}()
	<-done
	if cause != nil {
		panic(cause) // the caller's to deal with, as if there were one stack
	}
}

// isSlow tells that the last chunk of id came over a slow connection.
func (f *File) isSlow(id upload.ID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.entries[id]
	return e != nil && e.slow.Load()
}
