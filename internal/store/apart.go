package store

// maxAtDisk is how many uploads end at once. Each keeps a processor while it waits for the disk, until the runtime takes that away: beyond
// so many nobody ends sooner, and everybody else would have to stand in the queue.
const maxAtDisk = 16

// apart has do done on a stack of its own, for at most maxAtDisk callers at once. What ends an upload goes deep: else the stack of
// each connection would be twice as large from then on, those of a thousand that end together until garbage is next collected.
func (f *File) apart(do func()) {
	f.atDisk <- struct{}{}
	defer func() { <-f.atDisk }()
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
