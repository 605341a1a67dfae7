package durable

import (
	"errors"
	"io/fs"
	"path"
	"runtime"
)

// HasJournal tells whether there is a journal in dir.
func HasJournal(fsys FS, dir string) (bool, error) {
	for _, name := range JournalNames {
		if _, err := fsys.Stat(path.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return err == nil, err
		}
	}
	return false, nil
}

// WaitQueued waits until n commits wait for one that is being written.
func WaitQueued(j *Journal, n int) {
	for {
		j.mu.Lock()
		there := len(j.queue)
		j.mu.Unlock()
		if there == n {
			return
		}
		runtime.Gosched()
	}
}

// ReadNames returns the files that the journal in dir tells of.
func ReadNames(fsys FS, dir string) (names []string, err error) {
	found, err := readJournal(fsys, dir)
	if err != nil {
		return nil, err
	}
	for _, c := range lastOf(found) {
		names = append(names, c.name)
	}
	for _, g := range found {
		g.file.Close()
	}
	return names, nil
}

// WaitSettled waits until nothing is flushed in the background.
func WaitSettled(j *Journal) { j.work.Wait() }
