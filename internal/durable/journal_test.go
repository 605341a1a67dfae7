package durable_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/durable"
	"sluice/internal/durable/faultfs"
)

const journalDir = "own"

// newJournalDisk is a disk with an empty journal of files of that many bytes.
func newJournalDisk(t *testing.T, limit int64) (*faultfs.Disk, *faultfs.FS, *durable.Journal) {
	t.Helper()
	disk := faultfs.NewDisk()
	fsys := faultfs.New(disk)
	must(t, disk.Mkdir(journalDir), disk.Flush())
	j, err := durable.NewJournal(fsys, journalDir, limit, nil)
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

// TestAReplayCanBeCutShort cuts the power at each of its steps, and of the next one's.
func TestAReplayCanBeCutShort(t *testing.T) {
	for k := 1; ; k++ {
		disk, fsys, j := newJournalDisk(t, 16<<10)
		rounds := 0
		for ; rounds < 7; rounds++ { // through both files
			must(t, put(fsys, j, "a", bytes.Repeat([]byte{byte(rounds)}, 5000)))
		}
		must(t, j.Abandon())
		disk.PowerCut(uint64(k))
		fsys = faultfs.New(disk)
		fsys.FailAt(k, faultfs.Fatal)
		_, err := durable.Replay(fsys, journalDir)
		done := len(fsys.Ops()) < k
		disk.PowerCut(uint64(k) + 3)
		if _, err := durable.Replay(disk, journalDir); err != nil {
			t.Fatal(err)
		}
		wantFile(t, disk, "a", string(bytes.Repeat([]byte{byte(rounds - 1)}, 5000)))
		if done {
			must(t, err)
			return
		}
	}
}

// TestAPowerCutAnywhereLeavesWhatWasCommitted has one change after the other committed in a journal that is often full, with the
// process dying at each operation, and the power cut then.
func TestAPowerCutAnywhereLeavesWhatWasCommitted(t *testing.T) {
	for _, how := range []faultfs.How{faultfs.Fatal, faultfs.Killed} {
		for k := 1; ; k++ {
			disk, fsys, j := newJournalDisk(t, 12<<10)
			before := len(fsys.Ops())
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
			_ = before
		}
	}
}

func onlyInjected(err error) error {
	if errors.Is(err, faultfs.ErrInjected) {
		return nil
	}
	return err
}

// TestAFailedCommitIsTriedElsewhereAndHarmsNoOther fails each write and sync once: what is told to be there is.
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

// TestManyCommitsShareASync has many at once commit while one sync takes its time.
func TestManyCommitsShareASync(t *testing.T) {
	disk := faultfs.NewDisk()
	must(t, disk.Mkdir(journalDir), disk.Flush())
	fsys := faultfs.New(disk)
	var syncs atomic.Int64
	first, goOn := make(chan struct{}), make(chan struct{})
	j, err := durable.NewJournal(fsys, journalDir, 1<<20, nil)
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
			if fmt.Sprint(found) != "[a]" && at < 32+7+2 && raw[4096+at] != raw[4096+at]^flip && !(at >= 28 && at < 32) {
				t.Errorf("bit %x of byte %d: the journal names %v, want a alone", flip, at, found)
			}
		}
	}
}

func FuzzJournal(f *testing.F) {
	disk := faultfs.NewDisk()
	disk.Mkdir(journalDir)
	j, err := durable.NewJournal(disk, journalDir, 64<<10, nil)
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
