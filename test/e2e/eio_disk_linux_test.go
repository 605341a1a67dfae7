package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// deed is what a disk can fail in.
type deed string

const (
	writing  deed = "write"
	reading  deed = "read"
	syncing  deed = "sync" // of a file or of a directory
	closing  deed = "close"
	cutting  deed = "truncate"
	opening  deed = "open"
	creating deed = "create"
	renaming deed = "rename"
	removing deed = "remove"
	counting deed = "statfs" // of free space
)

// changes are what a disk fails in that can only be read any more.
var changes = []deed{writing, syncing, closing, cutting, creating, renaming, removing}

// failingDisk is a file system that fails when it is told to, with EIO. It keeps its files in a directory of a real one,
// where a test sees what is stored.
//
// A sync that fails does what it does on real disks: it takes with it what was written since the last one that did not. The
// length of the file stays; blocks that were not written yet are still none, and read as zeros. Whoever syncs again is told
// that all is well.
type failingDisk struct {
	dir  string // where it is mounted
	kept string // where its files are

	mu    sync.Mutex
	fails map[deed]where  // now
	hits  int             // how often something failed since the last heal
	loose map[string]span // by path: what was written and not synced
}

// where tells the paths, below the mount, on which a deed fails.
type where func(path string) bool

func exactly(path string) where { return func(p string) bool { return p == path } }
func holding(text string) where { return func(p string) bool { return strings.Contains(p, text) } }

// once is there for the first deed only.
func once(at where) where {
	done := false
	return func(p string) bool {
		if done || !at(p) {
			return false
		}
		done = true
		return true
	}
}

// How fallocate(2) makes a hole.
const (
	keepSize  = 0x01
	punchHole = 0x02
)

// span is a range of offsets.
type span struct{ from, to int64 }

// newFailingDisk mounts a disk, in which nothing fails yet, until the test ends.
func newFailingDisk(t *testing.T) *failingDisk {
	t.Helper()
	d := &failingDisk{dir: t.TempDir(), kept: t.TempDir(), fails: make(map[deed]where), loose: make(map[string]span)}
	root := &failingNode{&fs.LoopbackNode{RootData: &fs.LoopbackRoot{Path: d.kept}}, d}
	server, err := fs.Mount(d.dir, root, &fs.Options{MountOptions: fuse.MountOptions{DirectMountStrict: true, Name: "failing"}})
	if err != nil {
		without(t, "a disk that fails needs root and FUSE: %v", err)
	}
	t.Cleanup(func() {
		err := server.Unmount()
		for deadline := time.Now().Add(patience); err == syscall.EBUSY && time.Now().Before(deadline); { // the end of a killed server takes its time
			err = server.Unmount()
		}
		if err != nil {
			t.Errorf("the disk stays mounted: %v", err)
			_ = syscall.Unmount(d.dir, syscall.MNT_DETACH)
		}
	})
	return d
}

// fail has deeds fail from now on.
func (d *failingDisk) fail(at where, deeds ...deed) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, what := range deeds {
		d.fails[what] = at
	}
}

// heal has nothing fail any more. That nothing did is an error: the test shows nothing then.
func (d *failingDisk) heal(t *testing.T) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hits == 0 {
		t.Error("nothing failed: the test shows nothing")
	}
	d.hits = 0
	clear(d.fails)
}

// failures is how often something failed since the last heal.
func (d *failingDisk) failures() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.hits
}

// errno is what a deed on one of the paths ends with.
func (d *failingDisk) errno(what deed, paths ...string) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := d.fails[what]
	if at == nil || !slices.ContainsFunc(paths, at) {
		return fs.OK
	}
	d.hits++
	return syscall.EIO
}

// wrote notes what a sync would have to save.
func (d *failingDisk) wrote(path string, from, to int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if was, ok := d.loose[path]; ok {
		from, to = min(from, was.from), max(to, was.to)
	}
	d.loose[path] = span{from, to}
}

// sync saves what was written to path, or fails and loses it.
func (d *failingDisk) sync(path string) syscall.Errno {
	errno := d.errno(syncing, path)
	d.mu.Lock()
	defer d.mu.Unlock()
	lost, ok := d.loose[path]
	delete(d.loose, path)
	if errno == fs.OK || !ok {
		return errno
	}
	name := filepath.Join(d.kept, path)
	info, err := os.Stat(name)
	if err != nil {
		return errno // removed: nothing to lose
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return errno
	}
	defer f.Close()
	if n := min(lost.to, info.Size()) - lost.from; n > 0 { // the test's own disk does not fail
		_ = syscall.Fallocate(int(f.Fd()), punchHole|keepSize, lost.from, n)
	}
	return errno
}

// failingNode is a file or directory. What it does not say itself, the loopback does.
type failingNode struct {
	*fs.LoopbackNode
	disk *failingDisk
}

func (n *failingNode) WrapChild(_ context.Context, ops fs.InodeEmbedder) fs.InodeEmbedder {
	return &failingNode{ops.(*fs.LoopbackNode), n.disk}
}

// at is the path below the mount of a name in a directory, or of the node itself.
func (n *failingNode) at(name ...string) string {
	return filepath.Join(append([]string{n.Path(nil)}, name...)...)
}

func (n *failingNode) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (
	*fs.Inode, fs.FileHandle, uint32, syscall.Errno,
) {
	if errno := n.disk.errno(creating, n.at(name)); errno != fs.OK {
		return nil, nil, 0, errno
	}
	inode, handle, more, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	if errno != fs.OK {
		return nil, nil, 0, errno
	}
	return inode, &failingFile{handle.(*fs.LoopbackFile), inode.Operations().(*failingNode)}, more, fs.OK
}

func (n *failingNode) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if errno := n.disk.errno(creating, n.at(name)); errno != fs.OK {
		return nil, errno
	}
	return n.LoopbackNode.Mkdir(ctx, name, mode, out)
}

func (n *failingNode) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.disk.errno(opening, n.at()); errno != fs.OK {
		return nil, 0, errno
	}
	handle, more, errno := n.LoopbackNode.Open(ctx, flags)
	if errno != fs.OK {
		return nil, 0, errno
	}
	return &failingFile{handle.(*fs.LoopbackFile), n}, more, fs.OK
}

func (n *failingNode) Rename(ctx context.Context, from string, dir fs.InodeEmbedder, to string, flags uint32) syscall.Errno {
	if errno := n.disk.errno(renaming, n.at(from), filepath.Join(dir.EmbeddedInode().Path(nil), to)); errno != fs.OK {
		return errno
	}
	return n.LoopbackNode.Rename(ctx, from, dir, to, flags)
}

func (n *failingNode) Unlink(ctx context.Context, name string) syscall.Errno {
	if errno := n.disk.errno(removing, n.at(name)); errno != fs.OK {
		return errno
	}
	return n.LoopbackNode.Unlink(ctx, name)
}

func (n *failingNode) Statfs(ctx context.Context, out *fuse.StatfsOut) syscall.Errno {
	if errno := n.disk.errno(counting, n.at()); errno != fs.OK {
		return errno
	}
	return n.LoopbackNode.Statfs(ctx, out)
}

func (n *failingNode) Setattr(ctx context.Context, f fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if _, sized := in.GetSize(); sized {
		if errno := n.disk.errno(cutting, n.at()); errno != fs.OK {
			return errno
		}
	}
	return n.LoopbackNode.Setattr(ctx, f, in, out)
}

func (n *failingNode) Fsync(_ context.Context, _ fs.FileHandle, _ uint32) syscall.Errno {
	return n.disk.sync(n.at())
}

func (n *failingNode) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	handle, more, errno := n.LoopbackNode.OpendirHandle(ctx, flags)
	if errno != fs.OK {
		return nil, 0, errno
	}
	return &failingDir{handle.(names), n}, more, fs.OK
}

// names is what reads an open directory.
type names interface {
	fs.FileReaddirenter
	fs.FileReleasedirer
}

// failingDir is an open directory. Files have their node sync them, directories do it themselves.
type failingDir struct {
	names
	node *failingNode
}

func (d *failingDir) Fsyncdir(_ context.Context, _ uint32) syscall.Errno {
	return d.node.disk.sync(d.node.at())
}

// failingFile is an open file.
type failingFile struct {
	*fs.LoopbackFile
	node *failingNode
}

// PassthroughFd keeps the kernel from going past the node.
func (f *failingFile) PassthroughFd() (int, bool) { return 0, false }

func (f *failingFile) Read(ctx context.Context, buf []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	if errno := f.node.disk.errno(reading, f.node.at()); errno != fs.OK {
		return nil, errno
	}
	return f.LoopbackFile.Read(ctx, buf, off)
}

func (f *failingFile) Write(ctx context.Context, data []byte, off int64) (uint32, syscall.Errno) {
	path := f.node.at()
	if errno := f.node.disk.errno(writing, path); errno != fs.OK {
		return 0, errno
	}
	n, errno := f.LoopbackFile.Write(ctx, data, off)
	f.node.disk.wrote(path, off, off+int64(n))
	return n, errno
}

func (f *failingFile) Flush(ctx context.Context) syscall.Errno {
	if errno := f.node.disk.errno(closing, f.node.at()); errno != fs.OK {
		return errno
	}
	return f.LoopbackFile.Flush(ctx)
}
