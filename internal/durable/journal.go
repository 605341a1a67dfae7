package durable

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Change is what becomes of one small file.
type Change struct {
	Name string // below the FS
	Data []byte // all that is in it from now on
	Gone bool   // there is no such file any more, whatever Data says
}

// Journal makes changes of small files durable, those of many callers with one sync (group commit). What is to be is written to the
// journal and synced there; then the caller does it to the files themselves, and syncs nothing. After a crash [Replay] does again
// what the journal holds. So whoever changes a file whose name may be in the journal does that through the journal.
//
// It has two files, which are written in turn: when one is full, everything on the file system is flushed before it is written
// to again. All methods may be called concurrently.
type Journal struct {
	fs    FS
	dir   string
	limit int64 // bytes of each file
	tell  Told
	work  sync.WaitGroup // flushes in the background

	mu         sync.Mutex // guards what follows
	changed    sync.Cond  // something in a slot is
	queue      []*commit  // in order of arrival
	leading    bool       // somebody writes, and has buf
	buf        []byte
	slots      [2]*slot
	active     *slot
	closed     bool
	generation uint64 // of the newest slot
	timer      *time.Timer
}

// Told is who wants to hear of what a journal does.
type Told struct {
	Synced  func(seconds float64) // how long a sync took
	Trouble func(error)           // a flush has failed; what it was for is in the journal
}

// slot is one of the two files.
type slot struct {
	name       string
	file       File
	generation uint64 // counts how often one was begun anew: what an older one left behind does not count
	size       int64  // bytes that are there to be overwritten
	end        int64  // where the next batch goes
	unapplied  int    // commits that are not done to their files yet
	sealed     bool   // nothing is added until it is flushed
	settling   bool   // somebody is at that
	lost       bool   // that has failed
	used       int64  // bytes that hold something, be it void
	erase      bool   // they are to be overwritten with the next flush
}

// commit is what one caller waits for.
type commit struct {
	changes []Change
	turn    chan struct{} // gets one when the commit is done, or when its caller is to lead
	done    bool
	slot    *slot
	err     error
}

const (
	// journalStep is by how much the files grow: as long as their length stays, a sync has nothing but bytes to write.
	journalStep = 256 << 10
	// batchBytes is up to how much is written at once.
	batchBytes = 1 << 20
	// journalAge is how long the journal remembers at most what was removed meanwhile.
	journalAge = 30 * time.Second
)

// NewJournal begins an empty journal of at most twice limit bytes in dir; what an older one left there is overwritten, see [Replay].
// It returns errors.ErrUnsupported where the file system cannot be flushed as a whole. Close it in the end.
func NewJournal(fsys FS, dir string, limit int64, tell Told) (*Journal, error) {
	if !fsys.CanFlush() {
		return nil, errors.ErrUnsupported
	}
	j := &Journal{fs: fsys, dir: dir, limit: limit, tell: tell}
	j.changed.L = &j.mu
	for i, name := range JournalNames {
		s, err := newSlot(fsys, path.Join(dir, name), min(journalStep, limit))
		if err != nil {
			return nil, errors.Join(err, j.closeFiles())
		}
		j.slots[i] = s
	}
	j.active = j.slots[0]
	if err := fsys.SyncDir(dir); err != nil {
		return nil, errors.Join(err, j.closeFiles())
	}
	return j, nil
}

func newSlot(fsys FS, name string, size int64) (*slot, error) {
	file, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return nil, err
	}
	_, err = file.WriteAt(zeros[:size], 0)
	if err == nil {
		err = file.Datasync()
	}
	if err != nil {
		return nil, errors.Join(err, file.Close(), fsys.Remove(name))
	}
	return &slot{name: name, file: file, size: size}, nil
}

func (j *Journal) closeFiles() (err error) {
	for _, s := range j.slots {
		if s != nil {
			err = errors.Join(err, s.file.Close())
		}
	}
	return err
}

// Abandon closes the files of the journal and leaves them as they are, as a crash does. It must not be used any more.
func (j *Journal) Abandon() error {
	j.mu.Lock()
	j.closed = true
	if j.timer != nil {
		j.timer.Stop()
	}
	j.mu.Unlock()
	j.work.Wait()
	return j.closeFiles()
}

// Close ends the journal when everything on the file system is flushed, and removes its files. It must not be used any more.
func (j *Journal) Close() error {
	if err := j.Abandon(); err != nil {
		return err
	}
	slots := j.slots[:]
	slices.SortFunc(slots, func(a, b *slot) int { return cmp.Compare(a.generation, b.generation) })
	var names []string
	for _, s := range slots {
		if s.lost {
			return errors.New("durable: journal: what it holds is not on the disk")
		}
		names = append(names, s.name)
	}
	return removeJournal(j.fs, j.dir, names)
}

// Commit makes the changes durable, all of them or none, and calls apply, which does them to the files and need not sync
// any. After an error of the journal apply is not called, and nothing is known: a crash may bring the changes about all the same.
func (j *Journal) Commit(apply func() error, changes ...Change) error {
	c := &commit{changes: changes, turn: make(chan struct{}, 1)}
	j.add(c)
	if c.err != nil {
		return fmt.Errorf("durable: journal: %w", c.err)
	}
	defer j.applied(c.slot)
	return apply()
}

func (j *Journal) applied(s *slot) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s.unapplied--
	if s.unapplied == 0 {
		j.changed.Broadcast()
	}
}

// add has c written, with what others want written meanwhile. Whoever finds nobody at it leads.
func (j *Journal) add(c *commit) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.queue = append(j.queue, c)
	if j.leading {
		j.mu.Unlock()
		<-c.turn
		j.mu.Lock()
		if c.done {
			return
		}
	}
	j.leading = true
	batch := j.take()
	s, err := j.write(len(batch))
	if err == nil {
		j.settleLater()
	}
	for _, other := range batch {
		other.done, other.slot, other.err = true, s, err
		if other != c {
			other.turn <- struct{}{}
		}
	}
	j.leading = len(j.queue) > 0
	if j.leading {
		j.queue[0].turn <- struct{}{}
	}
}

// take takes the first ones who wait out of the queue, into buf. mu is held.
func (j *Journal) take() (batch []*commit) {
	if cap(j.buf) > 2*batchBytes {
		j.buf = nil
	}
	j.buf = slices.Grow(j.buf[:0], headerBytes)[:headerBytes]
	for _, c := range j.queue {
		if len(batch) > 0 && len(j.buf)+encodedBytes(c.changes) > batchBytes {
			break
		}
		j.buf = encodeChanges(j.buf, c.changes)
		batch = append(batch, c)
	}
	j.queue = slices.Delete(j.queue, 0, len(batch))
	return batch
}

// write makes buf durable, which holds n commits, and returns where it is. What one file does not take the other may, so a full disk is
// met with the room that there is. mu is held, but not while the disk is waited for.
func (j *Journal) write(n int) (*slot, error) {
	var errs []error
	for range j.slots {
		s, err := j.room(padded(len(j.buf)))
		if err != nil {
			return nil, errors.Join(append(errs, err)...)
		}
		s.unapplied += n // from now on, lest it is settled meanwhile
		at, size := s.end, s.size
		j.mu.Unlock()
		size, err = j.put(s, at, size)
		j.mu.Lock()
		s.size, s.used = size, max(s.used, size)
		if err == nil {
			s.end += padded(len(j.buf))
			return s, nil
		}
		s.unapplied -= n
		j.changed.Broadcast()
		errs = append(errs, err)
		j.seal(s)
	}
	return nil, errors.Join(errs...)
}

// put writes buf to s at off and syncs it. Where s has to grow from size it does so by more than is needed. It returns the size after.
func (j *Journal) put(s *slot, off, size int64) (int64, error) {
	header{generation: s.generation}.seal(j.buf)
	n := padded(len(j.buf))
	if off+n > size {
		n = min((off+n+journalStep-1)/journalStep*journalStep, j.limit) - off
	}
	used := len(j.buf)
	j.buf = slices.Grow(j.buf, int(n)-used)[:n]
	clear(j.buf[used:])
	_, err := s.file.WriteAt(j.buf, off)
	j.buf = j.buf[:used]
	if err != nil {
		return size, err
	}
	began := time.Now()
	err = s.file.Datasync()
	j.tell.Synced(time.Since(began).Seconds())
	if err != nil {
		return size, err
	}
	return max(size, off+n), nil
}

// room returns the slot that n more bytes fit into. mu is held, but not while it waits.
func (j *Journal) room(n int64) (*slot, error) {
	if n > j.limit {
		return nil, fmt.Errorf("%d bytes at once: %w", n, syscall.EFBIG)
	}
	s := j.active
	if s.sealed || s.end+n > j.limit {
		j.seal(s)
		other := j.other(s)
		for other.sealed {
			if other.settling {
				j.changed.Wait()
			} else if err := j.settle(other); err != nil { // as before
				return nil, err
			}
		}
		j.active = other
	}
	if j.active.end == 0 {
		j.generation++
		j.active.generation = j.generation
	}
	return j.active, nil
}

// seal has s flushed, in the background. mu is held.
func (j *Journal) seal(s *slot) {
	if s.sealed {
		return
	}
	s.sealed, s.settling = true, true
	j.work.Go(func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		if err := j.settle(s); err != nil { // who needs the room tries again
			j.tell.Trouble(err)
		}
	})
}

// settle sees to it that nobody needs what s holds: it is on the disk in the files themselves, and void in the journal. An older slot
// is void before a newer one is, or it would come back alone. Where a flush has failed what was not written may be lost to a
// second one, so it is done again from the journal; the caller leads then. mu is held, but not while the disk is waited for.
func (j *Journal) settle(s *slot) (err error) {
	s.settling = true
	other := j.other(s)
	for s.unapplied > 0 || other.settling && other.generation < s.generation {
		j.changed.Wait()
	}
	lost, end, erase := s.lost, s.end, s.erase
	if other.lost && other.generation < s.generation {
		err = errors.New("durable: journal: an older part of it is not on the disk")
	}
	j.mu.Unlock()
	switch {
	case err != nil:
	case lost:
		err = j.doAgain(s, end)
	default:
		err = j.fs.Flush()
	}
	if err == nil {
		err = s.void(erase)
	}
	j.mu.Lock()
	s.settling, s.sealed, s.lost = false, err != nil, err != nil
	if err == nil {
		s.end = 0
	}
	if err == nil && erase {
		s.size, s.used, s.erase = min(s.size, journalStep), 0, false
	}
	j.changed.Broadcast()
	return err
}

// void has what s holds count no more, and if erase removes it from the disk.
func (s *slot) void(erase bool) error {
	n := min(s.size, blockBytes)
	if erase {
		n = min(s.size, journalStep)
	}
	if _, err := s.file.WriteAt(zeros[:n], 0); err != nil {
		return err
	}
	if erase {
		if err := s.file.Truncate(n); err != nil {
			return err
		}
	}
	return s.file.Datasync()
}

func (j *Journal) other(s *slot) *slot {
	if s == j.slots[0] {
		return j.slots[1]
	}
	return j.slots[0]
}

// settleLater sees to it that what is in the journal does not stay there for ever. mu is held.
func (j *Journal) settleLater() {
	if j.timer != nil {
		return
	}
	j.timer = time.AfterFunc(journalAge, func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.timer = nil
		if j.closed {
			return
		}
		for _, s := range j.slots {
			if s.used > 0 {
				s.erase = true
				j.seal(s)
			}
		}
	})
}

// doAgain does the changes in the first end bytes of s to their files, and those in the other slot that come after them, each durably.
func (j *Journal) doAgain(s *slot, end int64) error {
	var found []generation
	for _, of := range j.slots {
		limit := of.end // as the caller leads, nobody moves it
		if of == s {
			limit = end
		}
		g, err := readGeneration(of.file, limit)
		if err != nil {
			return err
		}
		found = append(found, g)
	}
	for _, c := range lastOf(found) {
		if err := c.do(j.fs, true); err != nil {
			return err
		}
	}
	return nil
}

// JournalNames are the files of a journal, in its directory.
var JournalNames = []string{"journal-a", "journal-b"}
