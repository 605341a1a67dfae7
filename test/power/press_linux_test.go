package power

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What others do on the same file system, at any time: other programs sync their files, which commits the metadata of all,
// and the kernel begins to write pages back long before anybody syncs them.

// press does both as long as the clients work.
func press(t *testing.T, d disk, l *load, seed uint64) {
	t.Helper()
	n := &neighbour{dir: filepath.Join(d.dir, "neighbour"), ledger: l.ledger, random: rand.New(rand.NewPCG(seed, 200))}
	if err := os.Mkdir(n.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l.work.Go(func() {
		for l.ctx.Err() == nil {
			l.judge(n.syncs())
			l.pause(n.silence())
		}
	})
	l.work.Go(func() {
		for l.ctx.Err() == nil {
			for _, p := range l.growing() {
				l.judge(writeback(d.path(p)))
			}
			l.pause(10 * time.Millisecond)
		}
	})
}

// neighbour is another program.
type neighbour struct {
	dir    string
	ledger *ledger
	random *rand.Rand
	count  int
}

// syncs writes some files and syncs each.
func (n *neighbour) syncs() error {
	for range 1 + n.random.IntN(8) {
		n.count++
		if err := n.sync(filepath.Join(n.dir, fmt.Sprint(n.count%50))); err != nil {
			return err
		}
		n.ledger.tell(synced)
	}
	return nil
}

func (n *neighbour) sync(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close() // nothing is written after the sync
	if _, err := f.Write(noise()[:1+n.random.IntN(256<<10)]); err != nil {
		return err
	}
	return f.Sync()
}

// silence is how long it then does nothing: what nobody else syncs is not synced meanwhile.
func (n *neighbour) silence() time.Duration {
	if n.random.IntN(4) == 0 {
		return time.Duration(n.random.IntN(1000)) * time.Millisecond
	}
	return time.Duration(n.random.IntN(60)) * time.Millisecond
}

// path is where the bytes of p are.
func (d disk) path(p promise) string {
	if p.profile.flat {
		return filepath.Join(d.data(), p.profile.dir, p.id)
	}
	return filepath.Join(d.data(), p.profile.dir, p.id[:2], p.id)
}

// writeback has the kernel begin with what was written to a file.
func writeback(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return nil // deleted meanwhile
	}
	defer f.Close()
	return unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}
