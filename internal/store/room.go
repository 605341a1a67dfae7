package store

import (
	"errors"
	"fmt"
	"os"
	"path"
	"sync"

	"sluice/internal/durable"
	"sluice/internal/upload"
)

// Promises counts what unfinished uploads may still send, so that no more is promised than fits. Stores on one file system
// share what it has. The zero value is ready to use; all methods may be called concurrently.
type Promises struct {
	mu    sync.Mutex
	disks map[uint64]*disk
}

// on returns the account of the file system with that number.
func (p *Promises) on(device uint64) *disk {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.disks == nil {
		p.disks = make(map[uint64]*disk)
	}
	d := p.disks[device]
	if d == nil {
		d = &disk{due: make(map[promise]int64)}
		p.disks[device] = d
	}
	return d
}

// disk is the account of one file system. It holds unfinished uploads alone.
type disk struct {
	mu    sync.Mutex
	due   map[promise]int64 // bytes, never 0
	total int64             // of due
}

type promise struct {
	store *File
	id    upload.ID
}

// set replaces what is due to p; 0 takes it out.
func (d *disk) set(p promise, n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.put(p, n)
}

// put is set with mu held.
func (d *disk) put(p promise, n int64) {
	d.total += n - d.due[p]
	if n == 0 {
		delete(d.due, p)
		return
	}
	d.due[p] = n
}

// promise sets n bytes aside for e, or says that there is no room for them beside the reserve and what others were promised.
func (f *File) promise(e *entry, n int64) error {
	d := f.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	free, err := f.fs.Free()
	if err != nil {
		return fmt.Errorf("store: free space: %w", err)
	}
	own := promise{f, e.id}
	others := d.total - d.due[own]
	if free < f.reserve || n > 0 && n > free-f.reserve-others {
		return fmt.Errorf("store: %d bytes wanted, %d free, %d promised to others, %d kept in reserve: %w",
			n, free, others, f.reserve, upload.ErrInsufficientStorage)
	}
	d.put(own, n)
	return nil
}

// owe notes that n more bytes of id may come.
func (f *File) owe(id upload.ID, n int64) { f.disk.set(promise{f, id}, n) }

// recall notes what a former process promised id, unless this one knows better.
func (f *File) recall(id upload.ID, n int64) {
	d := f.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.due[promise{f, id}]; !known && n > 0 {
		d.put(promise{f, id}, n)
	}
}

// promised is how many bytes the unfinished uploads of f may still send.
func (f *File) promised() (n int64) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	for p, bytes := range f.disk.due {
		if p.store == f {
			n += bytes
		}
	}
	return n
}

// due is how many bytes may still come after pos of an upload of that length: none are promised to one of unknown length.
func due(length, pos int64) int64 {
	if length == upload.Deferred {
		return 0
	}
	return max(length-pos, 0)
}

// room tells whether the reserve, and one more byte, are free: bytes that flow are not held to what others were promised.
func (f *File) room() error {
	free, err := f.fs.Free()
	if err != nil {
		return fmt.Errorf("store: free space: %w", err)
	}
	if free <= f.reserve {
		return fmt.Errorf("store: %d bytes free, %d kept in reserve: %w", free, f.reserve, upload.ErrInsufficientStorage)
	}
	return nil
}

// Check implements [Store]. If a write has failed it tries one, so that it is good news as soon as the disk is good again.
func (f *File) Check() error {
	if err := f.room(); err != nil || !f.failing.Load() {
		return err
	}
	f.trying.Lock()
	defer f.trying.Unlock()
	if err := f.tryWriting(); err != nil {
		return fmt.Errorf("store: the disk fails: %w", err)
	}
	f.failing.Store(false)
	return nil
}

func (f *File) tryWriting() error {
	name := path.Join(ownDir, probeFile)
	file, err := f.fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = file.WriteAt([]byte("x"), 0)
	return errors.Join(err, file.Datasync(), file.Close(), f.fs.Remove(name))
}

// deviceOf tells file systems apart; 0 where that cannot be known.
func deviceOf(dir string) uint64 {
	device, err := durable.Device(dir)
	if err != nil {
		return 0
	}
	return device
}
