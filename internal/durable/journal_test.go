package durable_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/durable"
	"sluice/internal/durable/faultfs"
)

const journalDir = "own"

var untold = durable.Told{Synced: func(float64) {}, Trouble: func(error) {}}

// newJournalDisk is a disk with an empty journal of files of that many bytes.
func newJournalDisk(t *testing.T, limit int64) (*faultfs.Disk, *faultfs.FS, *durable.Journal) {
	t.Helper()
	disk := faultfs.NewDisk()
	fsys := faultfs.New(disk)
	must(t, disk.Mkdir(journalDir), disk.Flush())
	j, err := durable.NewJournal(fsys, journalDir, limit, untold)
	must(t, err)
	t.Cleanup(func() { j.Abandon() })
	return disk, fsys, j
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// put commits that data is in the file name, as a careful caller does.
func put(fsys durable.FS, j *durable.Journal, name string, data []byte) error {
	return j.Commit(func() error { return durable.WriteFile(fsys, name, data, false) }, durable.Change{Name: name, Data: data})
}

func remove(fsys durable.FS, j *durable.Journal, name string) error {
	return j.Commit(func() error { return fsys.Remove(name) }, durable.Change{Name: name, Gone: true})
}

func wantFile(t *testing.T, fsys durable.FS, name, want string) {
	t.Helper()
	if got, err := fsys.ReadFile(name); err != nil || string(got) != want {
		t.Errorf("%s is %.60q, %v, want %.60q", name, got, err, want)
	}
}

func TestWhatIsCommittedSurvivesAPowerCut(t *testing.T) {
	for seed := range uint64(40) {
		disk, fsys, j := newJournalDisk(t, 1<<20)
		must(t, put(fsys, j, "a", []byte("first")), put(fsys, j, "a", []byte("second")), put(fsys, j, "b", nil),
			put(fsys, j, "gone", []byte("x")), remove(fsys, j, "gone"))
		must(t, j.Abandon())
		disk.PowerCut(seed)
		n, err := durable.Replay(disk, journalDir)
		if n != 3 || err != nil {
			t.Fatalf("seed %d: replay told of %d, %v, want 3", seed, n, err)
		}
		disk.PowerCut(seed + 1)
		wantFile(t, disk, "a", "second")
		wantFile(t, disk, "b", "")
		if _, err := disk.Stat("gone"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("seed %d: what was removed: %v", seed, err)
		}
		if there, err := durable.HasJournal(disk, journalDir); there || err != nil {
			t.Errorf("seed %d: after a replay there is still a journal: %v", seed, err)
		}
	}
}

func TestAReplayMakesDirectories(t *testing.T) {
	disk, fsys, j := newJournalDisk(t, 1<<20)
	must(t, fsys.Mkdir("sub"), put(fsys, j, "sub/a", []byte("x")), j.Abandon())
	disk.PowerCut(0)
	_, err := durable.Replay(disk, journalDir)
	must(t, err)
	wantFile(t, disk, "sub/a", "x")
}

// TestAReplayCanFailAnywhere has each of its steps fail, or the power cut there.
func TestAReplayCanFailAnywhere(t *testing.T) {
	for seed := range uint64(10) {
		for _, how := range []faultfs.How{faultfs.Fatal, faultfs.Refused} {
			for k := 1; replayFails(t, k, how, seed); k++ {
			}
		}
	}
}

// replayFails has the k-th operation of a replay fail. It returns false when there is none.
func replayFails(t *testing.T, k int, how faultfs.How, seed uint64) bool {
	disk, fsys, j := newJournalDisk(t, 16<<10)
	var want []byte
	for i := range 6 { // through both files
		durable.WaitSettled(j) // so that nothing flushes the last one
		want = bytes.Repeat([]byte{byte(i)}, 5000)
		must(t, put(fsys, j, "a", want))
	}
	must(t, j.Abandon())
	disk.PowerCut(seed)
	fsys = faultfs.New(disk)
	fsys.FailAt(k, how)
	_, err := durable.Replay(fsys, journalDir)
	over := len(fsys.Ops()) < k
	if over {
		must(t, err)
	}
	disk.PowerCut(seed + uint64(k))
	_, err = durable.Replay(disk, journalDir)
	must(t, err)
	wantFile(t, disk, "a", string(want))
	return !over && !t.Failed()
}

// TestAPowerCutAnywhereLeavesWhatWasCommitted has one change after the other committed in a journal that is often full, with the
// process dying at each operation, and the power cut then.
func TestAPowerCutAnywhereLeavesWhatWasCommitted(t *testing.T) {
	for _, how := range []faultfs.How{faultfs.Fatal, faultfs.Killed} {
		for k := 1; ; k++ {
			disk, fsys, j := newJournalDisk(t, 12<<10)
			fsys.FailAt(k, how)
			dice := rand.New(rand.NewPCG(uint64(k), 7))
			sure, maybe := map[string]string{}, map[string]string{}
			for i := 0; i < 30 && !fsys.Dead(); i++ {
				name, data := fmt.Sprint("f", dice.IntN(4)), fmt.Sprint(i, string(bytes.Repeat([]byte("x"), dice.IntN(6000))))
				err := put(fsys, j, name, []byte(data))
				if dice.IntN(4) == 0 && err == nil {
					data, err = "", remove(fsys, j, name)
				}
				if err == nil {
					sure[name] = data
				} else {
					maybe[name] = data
				}
			}
			died := fsys.Dead()
			must(t, onlyInjected(j.Abandon()))
			disk.PowerCut(uint64(k))
			_, err := durable.Replay(disk, journalDir)
			must(t, err)
			for name, want := range sure {
				got, err := disk.ReadFile(name)
				if errors.Is(err, fs.ErrNotExist) {
					err = nil
				}
				other, unsure := maybe[name]
				if err != nil || string(got) != want && !(unsure && (string(got) == other || other == "")) {
					t.Fatalf("%s at %d: %s is %.20q, %v, want %.20q", how, k, name, got, err, want)
				}
			}
			if !died {
				break
			}
		}
	}
}

func onlyInjected(err error) error {
	if errors.Is(err, faultfs.ErrInjected) {
		return nil
	}
	return err
}

// TestADiskThatFailsOnceCostsNothing fails each write and sync once: what is told to be there is.
func TestADiskThatFailsOnceCostsNothing(t *testing.T) {
	for _, how := range []faultfs.How{faultfs.Refused, faultfs.Unsaid} {
		for k := 1; ; k++ {
			disk, fsys, j := newJournalDisk(t, 12<<10)
			fsys.FailAt(k, how)
			want := map[string]string{}
			for i := range 12 {
				name, data := fmt.Sprint("f", i%3), fmt.Sprint(i, string(bytes.Repeat([]byte("x"), 3000)))
				err := j.Commit(func() error { return durable.WriteFile(disk, name, []byte(data), false) }, durable.Change{Name: name, Data: []byte(data)})
				must(t, err)
				want[name] = data
			}
			over := len(fsys.Ops()) < k
			must(t, onlyInjected(j.Abandon()))
			disk.PowerCut(uint64(k))
			_, err := durable.Replay(disk, journalDir)
			must(t, err)
			for name, data := range want {
				wantFile(t, disk, name, data)
			}
			if over {
				break
			}
		}
	}
}

// spoiling is a disk whose first flush fails, and forgets what it was for.
type spoiling struct {
	*faultfs.Disk
	spoiled bool
}

func (s *spoiling) Flush() error {
	if s.spoiled {
		return s.Disk.Flush()
	}
	s.spoiled = true
	file, err := s.OpenFile("a", os.O_RDWR)
	if err != nil {
		return err
	}
	file.(interface{ Spoil() }).Spoil()
	return errors.Join(syscall.EIO, file.Close())
}

func TestWhatAFailedFlushHasLostIsDoneAgain(t *testing.T) {
	for seed := range uint64(20) {
		disk := &spoiling{Disk: faultfs.NewDisk(), spoiled: true}
		must(t, disk.Mkdir(journalDir), disk.Flush())
		var told error
		j, err := durable.NewJournal(disk, journalDir, 12<<10, durable.Told{Synced: func(float64) {}, Trouble: func(err error) { told = errors.Join(told, err) }})
		must(t, err)
		disk.spoiled = false
		want := map[string]string{}
		// Through the first file, the second, where one changes again, and the first.
		for i, name := range []string{"a", "b", "c", "d", "e", "c", "f", "g"} {
			want[name] = fmt.Sprint(i, string(make([]byte, 3000)))
			must(t, put(disk, j, name, []byte(want[name])))
		}
		wantFile(t, disk, "c", want["c"])
		must(t, j.Abandon())
		if !errors.Is(told, syscall.EIO) {
			t.Errorf("told of %v, want %v", told, syscall.EIO)
		}
		disk.PowerCut(seed)
		_, err = durable.Replay(disk, journalDir)
		must(t, err)
		for name, data := range want {
			wantFile(t, disk, name, data)
		}
	}
}

// TestManyCommitsShareASync has many at once commit while one sync takes its time.
func TestManyCommitsShareASync(t *testing.T) {
	disk := faultfs.NewDisk()
	must(t, disk.Mkdir(journalDir), disk.Flush())
	fsys := faultfs.New(disk)
	var syncs atomic.Int64
	first, goOn := make(chan struct{}), make(chan struct{})
	j, err := durable.NewJournal(fsys, journalDir, 1<<20, untold)
	must(t, err)
	fsys.Fail(func(op faultfs.Op) (faultfs.How, error) {
		if op.Name == "File.WriteAt" && op.Path == journalDir+"/journal-a" && syncs.Add(1) == 1 {
			close(first)
			<-goOn
		}
		return faultfs.Refused, nil
	})
	var all sync.WaitGroup
	commit := func(i int) {
		all.Go(func() {
			if err := put(disk, j, fmt.Sprint(i), []byte{byte(i)}); err != nil {
				t.Error(err)
			}
		})
	}
	commit(0)
	<-first
	for i := 1; i < 100; i++ {
		commit(i)
	}
	durable.WaitQueued(j, 99)
	close(goOn)
	all.Wait()
	if n := syncs.Load(); n != 2 {
		t.Errorf("100 commits took %d syncs, want 2", n)
	}
	must(t, j.Abandon())
	disk.PowerCut(1)
	_, err = durable.Replay(disk, journalDir)
	must(t, err)
	for i := range 100 {
		wantFile(t, disk, fmt.Sprint(i), string([]byte{byte(i)}))
	}
}

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	_, fsys, j := newJournalDisk(t, 8<<10)
	if err := put(fsys, j, "a", make([]byte, 9<<10)); err == nil {
		t.Error("a change larger than the journal was taken")
	}
	must(t, put(fsys, j, "a", []byte("x")))
	must(t, j.Close())
	if there, err := durable.HasJournal(fsys, journalDir); there || err != nil {
		t.Errorf("after Close there is a journal: %v", err)
	}
}

// TestTheJournalForgets has what was removed gone from the journal's files too, soon after.
func TestTheJournalForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, fsys, j := newJournalDisk(t, 64<<10)
		secret := []byte("a secret that nobody shall find later")
		must(t, put(fsys, j, "a", secret), remove(fsys, j, "a"))
		found := func() (n int) {
			for _, name := range []string{"journal-a", "journal-b"} {
				raw, err := disk.ReadFile(journalDir + "/" + name)
				must(t, err)
				n += bytes.Count(raw, secret)
			}
			return n
		}
		if found() != 1 {
			t.Fatal("the secret is not in the journal")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if found() != 0 {
			t.Error("the journal still holds what was removed a minute ago")
		}
		must(t, put(fsys, j, "b", []byte("y")), j.Abandon())
		disk.PowerCut(0)
		_, err := durable.Replay(disk, journalDir)
		must(t, err)
		wantFile(t, disk, "b", "y")
	})
}

// TestWhatIsNotDoneYetIsNotForgotten has everything in the first file flushed but for a commit whose caller takes its time.
func TestWhatIsNotDoneYetIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, fsys, j := newJournalDisk(t, 12<<10)
		goOn := make(chan struct{})
		go j.Commit(func() error { <-goOn; return nil }, durable.Change{Name: "late", Data: []byte("x")})
		synctest.Wait()
		for range 3 { // the last of which is in the other file
			must(t, put(fsys, j, "a", make([]byte, 3000)))
		}
		synctest.Wait()
		disk.PowerCut(1)
		_, err := durable.Replay(disk, journalDir)
		must(t, err)
		wantFile(t, disk, "late", "x")
		close(goOn)
	})
}

// TestWhatIsBeingWrittenIsNotForgotten has writing to the journal take so long that the time to forget comes.
func TestWhatIsBeingWrittenIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := faultfs.NewDisk()
		must(t, disk.Mkdir(journalDir), disk.Flush())
		var pause time.Duration
		j, err := durable.NewJournal(disk, journalDir, 64<<10, durable.Told{Synced: func(float64) { time.Sleep(pause) }})
		must(t, err, put(disk, j, "a", []byte("x")))
		pause = time.Minute
		must(t, put(disk, j, "late", []byte("y")))
		disk.PowerCut(0)
		_, err = durable.Replay(disk, journalDir)
		must(t, err)
		wantFile(t, disk, "late", "y")
		must(t, j.Abandon())
	})
}

// TestAnOldStateDoesNotComeBack has a file change in both files of the journal, which forget it then.
func TestAnOldStateDoesNotComeBack(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			disk, fsys, j := newJournalDisk(t, 8<<10)
			must(t, put(fsys, j, "a", []byte("old")), put(fsys, j, "b", nil), put(fsys, j, "a", []byte("new")))
			time.Sleep(time.Minute)
			synctest.Wait()
			must(t, j.Abandon())
			disk.PowerCut(seed)
			_, err := durable.Replay(disk, journalDir)
			must(t, err)
			wantFile(t, disk, "a", "new")
		})
	}
}

func TestADamagedJournalCountsUpToTheDamage(t *testing.T) {
	disk, fsys, j := newJournalDisk(t, 64<<10)
	must(t, put(fsys, j, "a", []byte("1")), put(fsys, j, "b", []byte("2")), j.Abandon(), disk.Remove("a"), disk.Remove("b"))
	raw, err := disk.ReadFile(journalDir + "/journal-a")
	must(t, err)
	for at := range int64(200) {
		for _, flip := range []byte{1, 0x80} {
			file, err := disk.OpenFile(journalDir+"/journal-a", 2)
			must(t, err)
			_, err = file.WriteAt([]byte{raw[4096+at] ^ flip}, 4096+at)
			must(t, err)
			found, _ := durable.ReadNames(disk, journalDir)
			_, err = file.WriteAt(raw[4096+at:4096+at+1], 4096+at)
			must(t, err)
			if fmt.Sprint(found) != "[a]" && at < 20+7+2 {
				t.Errorf("bit %x of byte %d: the journal names %v, want a alone", flip, at, found)
			}
		}
	}
}

func FuzzJournal(f *testing.F) {
	disk := faultfs.NewDisk()
	disk.Mkdir(journalDir)
	j, err := durable.NewJournal(disk, journalDir, 64<<10, untold)
	if err != nil {
		f.Fatal(err)
	}
	put(disk, j, "a", []byte("1"))
	remove(disk, j, "a")
	j.Abandon()
	raw, _ := disk.ReadFile(journalDir + "/journal-a")
	f.Add(raw[:8192])
	f.Fuzz(func(t *testing.T, raw []byte) {
		disk := faultfs.NewDisk()
		must(t, disk.Mkdir(journalDir), durable.WriteFile(disk, journalDir+"/journal-a", raw, false))
		durable.ReadNames(disk, journalDir) // must not panic, nor take memory that is not there
	})
}
