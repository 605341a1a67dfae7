package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"sluice/internal/durable"
	"sluice/internal/durable/faultfs"
	"sluice/internal/store"
	"sluice/internal/upload"
)

// announced makes the victim and sends all its bytes: its first record is written when they are there.
func (r *rig) announced() error {
	if err := r.s.Announce(upload.Record{ID: victim, Length: int64(len(whole))}); err != nil {
		return err
	}
	return r.writeAll()
}

func (r *rig) at(suffix string) string { return filepath.Join(r.dir, string(victim)+suffix) }

func TestAFirstRecordIsWholeOrNoneWheneverTheProcessIsKilled(t *testing.T) {
	unmade := 0
	for _, how := range []faultfs.How{faultfs.Fatal, faultfs.Killed} {
		for k := 1; ; k++ {
			r := newRig(t, false, false)
			r.fs.FailAt(k, how)
			err := r.announced()
			if !r.fs.Dead() {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			at := r.fs.Ops()[k-1]
			if info, statErr := os.Stat(r.at(".info")); statErr == nil && info.Size() == 0 {
				unmade++
			}
			r.crash(false)
			rec, lookErr := r.s.Lookup(victim)
			_, statErr := os.Stat(r.at(".info"))
			if none := errors.Is(lookErr, upload.ErrNotFound); none != errors.Is(statErr, os.ErrNotExist) || none && err == nil {
				t.Errorf("%s at %s: answered %v, then %v and the record %v", how, at, err, lookErr, statErr)
			} else if !none && (lookErr != nil || rec.State != upload.Received) {
				t.Errorf("%s at %s: got %+v, %v, want it received", how, at, rec, lookErr)
			}
		}
	}
	if unmade == 0 {
		t.Error("no kill came between the making of a record and its writing")
	}
}

// What a power cut empties was written, and somebody may have been told: its bytes stay for a person to look at.
func TestARecordThatAPowerCutEmptiedIsNotTakenForOneThatWasBeingMade(t *testing.T) {
	r := newRig(t, false, false)
	r.must(r.announced())
	r.must(os.Truncate(r.at(".info"), 0))
	for _, power := range []bool{true, false} { // the note does not count in the boot after, either
		r.crash(power)
		if _, err := r.s.Lookup(victim); !errors.Is(err, upload.ErrUnreadable) {
			t.Errorf("power cut %t: got %v, want %v", power, err, upload.ErrUnreadable)
		}
		if info, err := os.Stat(r.at("")); err != nil || info.Size() != int64(len(whole)) {
			t.Errorf("power cut %t: its bytes: %v", power, err)
		}
	}
}

func TestWithoutRoomForTheNoteARecordIsMadeAllTheSame(t *testing.T) {
	for _, begin := range []bool{true, false} { // of the note, or of a line in it
		r := newRig(t, false, false)
		fault := onPath("File.WriteAt", "/making", syscall.ENOSPC, 1)
		if begin {
			fault = onPath("Create", "/making", syscall.ENOSPC, 1)
		}
		r.root.Close()
		r.openWith(fault)
		if err := r.announced(); err != nil {
			t.Errorf("begin %t: %v", begin, err)
		}
		r.crash(false)
		if rec, err := r.s.Lookup(victim); err != nil || rec.State != upload.Received {
			t.Errorf("begin %t: got %+v, %v, want it received", begin, rec, err)
		}
	}
}

// stuck is a file system on which the making of a file never comes to its writing.
type stuck struct {
	durable.FS
	made  chan string   // takes the name of each file
	never chan struct{} // closed when the test is over
}

func (s stuck) Write(name string, flag int, _ []byte) error {
	err := s.FS.Write(name, flag, nil)
	s.made <- name
	<-s.never
	return errors.Join(err, errors.New("never"))
}

func TestUploadsThatAreMadeAtOnceAreNotedEach(t *testing.T) {
	r := newRig(t, false, false)
	s := stuck{r.root, make(chan string), make(chan struct{})}
	files, err := store.OpenOn(s, store.Options{Profile: "test", Flat: true, Metrics: store.NewMetrics(), Logger: quiet}, nothing)
	r.must(err)
	const many = 20
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			id := upload.ID(fmt.Sprintf("upload%d", i))
			if err := files.Announce(upload.Record{ID: id, Length: 3}); err != nil {
				t.Error(err)
			}
			if _, err := files.WriteChunk(id, 0, strings.NewReader("abc"), upload.Check{}); err != nil {
				t.Error(err)
			}
			if err := files.Confirm(id); err == nil {
				t.Errorf("%s is made", id)
			}
		})
	}
	var names []string
	for range many {
		names = append(names, <-s.made)
	}
	r.open() // as after a kill, while all of them are in the middle of it
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(r.dir, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: got %v, want %v", name, err, os.ErrNotExist)
		}
	}
	close(s.never)
	all.Wait()
}

func TestFsckKnowsWhatAKillKeptFromBeingMade(t *testing.T) {
	for _, power := range []bool{false, true} {
		r := newRig(t, false, false)
		r.fs.Fail(func(op faultfs.Op) (faultfs.How, error) {
			if op.Name == "File.WriteAt" && op.Base() == string(victim)+".info" {
				return faultfs.Killed, faultfs.ErrInjected
			}
			return faultfs.Killed, nil
		})
		if err := r.announced(); !errors.Is(err, faultfs.ErrInjected) {
			t.Fatalf("got %v, want %v", err, faultfs.ErrInjected)
		}
		r.root.Close()
		if power {
			setMark(t, r.dir, otherBoot)
		}
		f, err := store.Examine(store.Options{Dir: r.dir, Profile: "test", Flat: true, Metrics: store.NewMetrics(), Logger: quiet}, false)
		r.must(err)
		var found []store.Fault
		_, err = f.Fsck(t.Context(), false, func(fault store.Fault) { found = append(found, fault) })
		r.must(errors.Join(err, f.Close()))
		if len(found) != 1 || found[0].File != string(victim)+".info" || found[0].Leftover == power {
			t.Errorf("power cut %t: found %+v, want the record, as left by a crash: %t", power, found, !power)
		}
		r.open()
	}
}
