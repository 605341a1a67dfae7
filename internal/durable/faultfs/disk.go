package faultfs

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"sync"
	"syscall"
	"time"

	"sluice/internal/durable"
)

// Disk is a file system in memory whose power can be cut. It promises what POSIX does and nothing beyond: bytes are durable
// when their file was synced, names when their directory was. All methods may be called concurrently. Files that were open
// when the power was cut belong to the past: what is done to them changes nothing any more.
type Disk struct {
	// LengthLast has no length on the disk before the bytes below it in the same page are there too, as on xfs. ext4 puts the
	// length first where a page is written to for the second time, and what lies between reads as zeros that are no hole.
	// Set it before use.
	LengthLast bool

	mu    sync.Mutex // guards all below it, to the last byte of the last file
	root  *node
	edits []edit // what was done to names since their directory was last synced, in order
	boots uint64 // how often the power was cut
}

var _ durable.FS = (*Disk)(nil)

// NewDisk returns an empty one.
func NewDisk() *Disk { return &Disk{root: newDir()} }

// node is a directory or a file.
type node struct {
	names, kept map[string]*node // of a directory: as they are, and as they are durable
	file        *content         // of a file
	changed     time.Time
}

func newDir() *node {
	return &node{names: make(map[string]*node), kept: make(map[string]*node), changed: time.Now()}
}

// edit is one change of names, which a power cut undoes whole or not at all.
type edit struct {
	dir  *node
	name string
	node *node  // under that name from now on; nil: nothing is
	from *node  // the directory that it was moved out of, if it was
	old  string // its name there
}

func (e edit) String() string {
	switch {
	case e.node == nil:
		return "remove " + e.name
	case e.from != nil:
		return "rename to " + e.name
	}
	return "create " + e.name
}

// keep makes e durable, whatever else was lost.
func (e edit) keep() {
	if e.from != nil {
		maps.DeleteFunc(e.from.kept, func(name string, n *node) bool { return name == e.old || n == e.node })
	}
	if e.node == nil {
		delete(e.dir.kept, e.name)
	} else {
		e.dir.kept[e.name] = e.node
	}
}

// do runs an operation on name, with what it is called in errors.
func (d *Disk) do(op, name string, act func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := error(syscall.EINVAL)
	if fs.ValidPath(name) {
		err = act()
	}
	if err != nil && err != io.EOF {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	return err
}

// find returns what name is.
func (d *Disk) find(name string) (*node, error) {
	if name == "." {
		return d.root, nil
	}
	dir, err := d.parent(name)
	if err != nil {
		return nil, err
	}
	if n := dir.names[path.Base(name)]; n != nil {
		return n, nil
	}
	return nil, syscall.ENOENT
}

// parent returns the directory that name is in, or would be.
func (d *Disk) parent(name string) (*node, error) {
	dir, err := d.find(path.Dir(name))
	if err == nil && dir.file != nil {
		return nil, syscall.ENOTDIR
	}
	return dir, err
}

func (d *Disk) findFile(name string) (*node, error) {
	n, err := d.find(name)
	if err == nil && n.file == nil {
		return nil, syscall.EISDIR
	}
	return n, err
}

// set changes a name.
func (d *Disk) set(e edit) {
	if e.node == nil {
		delete(e.dir.names, e.name)
	} else {
		e.dir.names[e.name] = e.node
	}
	e.dir.changed = time.Now()
	d.edits = append(d.edits, e)
}

func (d *Disk) Open(name string) (r durable.Reader, err error) {
	err = d.do("open", name, func() error {
		n, err := d.findFile(name)
		if err == nil {
			r = &reader{handle: &handle{disk: d, node: n, name: name, reads: true}}
		}
		return err
	})
	return r, err
}

func (d *Disk) OpenFile(name string, flag int) (f durable.File, err error) {
	err = d.do("open", name, func() error {
		n, err := d.openOrMake(name, flag)
		if err != nil {
			return err
		}
		if flag&os.O_TRUNC != 0 {
			n.file.truncate(0)
		}
		mode := flag & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR)
		f = &handle{disk: d, node: n, name: name, reads: mode != os.O_WRONLY, writes: mode != os.O_RDONLY}
		return nil
	})
	return f, err
}

func (d *Disk) openOrMake(name string, flag int) (*node, error) {
	n, err := d.findFile(name)
	switch there := err == nil || errors.Is(err, syscall.EISDIR); {
	case flag&os.O_CREATE == 0, !there && !errors.Is(err, fs.ErrNotExist):
		return n, err
	case there && flag&os.O_EXCL != 0:
		return nil, syscall.EEXIST
	case there:
		return n, err
	}
	dir, err := d.parent(name)
	if err != nil {
		return nil, err
	}
	n = &node{file: new(content), changed: time.Now()}
	d.set(edit{dir: dir, name: path.Base(name), node: n})
	return n, nil
}

func (d *Disk) Write(name string, flag int, data []byte) error {
	f, err := d.OpenFile(name, flag)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	return errors.Join(err, f.Close())
}

func (d *Disk) ReadFile(name string) (data []byte, err error) {
	err = d.do("read", name, func() error {
		n, err := d.findFile(name)
		if err == nil {
			data = make([]byte, n.file.size)
			n.file.read(data, 0)
		}
		return err
	})
	return data, err
}

func (d *Disk) Mkdir(name string) error {
	return d.do("mkdir", name, func() error {
		if _, err := d.find(name); err == nil {
			return syscall.EEXIST
		}
		dir, err := d.parent(name)
		if err == nil {
			d.set(edit{dir: dir, name: path.Base(name), node: newDir()})
		}
		return err
	})
}

func (d *Disk) Remove(name string) error {
	return d.do("remove", name, func() error {
		n, err := d.find(name)
		switch {
		case err != nil:
			return err
		case n == d.root:
			return syscall.EINVAL
		case len(n.names) > 0:
			return syscall.ENOTEMPTY
		}
		dir, err := d.parent(name)
		if err == nil {
			d.set(edit{dir: dir, name: path.Base(name)})
		}
		return err
	})
}

// Rename moves files only.
func (d *Disk) Rename(oldName, newName string) error {
	return d.do("rename", oldName, func() error {
		if !fs.ValidPath(newName) {
			return syscall.EINVAL
		}
		from, err := d.parent(oldName)
		if err != nil {
			return err
		}
		to, err := d.parent(newName)
		if err != nil {
			return err
		}
		n, err := d.findFile(oldName)
		if err != nil {
			return err
		}
		if there, _ := d.find(newName); there != nil && there.file == nil {
			return syscall.EEXIST
		}
		if oldName != newName {
			delete(from.names, path.Base(oldName))
			d.set(edit{dir: to, name: path.Base(newName), node: n, from: from, old: path.Base(oldName)})
		}
		return nil
	})
}

func (d *Disk) Stat(name string) (info fs.FileInfo, err error) {
	err = d.do("stat", name, func() error {
		n, err := d.find(name)
		if err == nil {
			info = n.info(path.Base(name))
		}
		return err
	})
	return info, err
}

// List goes through names in no order, which is another after each power cut.
func (d *Disk) List(name string, do func(fs.DirEntry) error) error {
	var entries []fs.DirEntry
	err := d.do("readdir", name, func() error {
		n, err := d.find(name)
		if err == nil && n.file != nil {
			err = syscall.ENOTDIR
		}
		if err != nil {
			return err
		}
		for _, base := range slices.Sorted(maps.Keys(n.names)) {
			entries = append(entries, fs.FileInfoToDirEntry(n.names[base].info(base)))
		}
		mix := rand.New(rand.NewPCG(d.boots, 0))
		mix.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
		return nil
	})
	return each(entries, err, do)
}

func (d *Disk) SyncDir(name string) error {
	return d.do("sync", name, func() error {
		n, err := d.find(name)
		if err != nil {
			return err
		}
		if n.file != nil {
			n.file.sync()
		}
		d.edits = slices.DeleteFunc(d.edits, func(e edit) bool {
			durable := e.dir == n || e.from == n
			if durable {
				e.keep()
			}
			return durable
		})
		return nil
	})
}

func (d *Disk) CanFlush() bool { return true }

func (d *Disk) Flush() error {
	return d.do("flush", ".", func() error {
		for _, e := range d.edits {
			e.keep()
		}
		d.edits = nil
		d.root.flush()
		return nil
	})
}

func (n *node) flush() {
	if n.file != nil {
		n.file.sync()
	}
	for _, child := range n.names {
		child.flush()
	}
}

// Free is always the same, and plenty.
func (d *Disk) Free() (int64, error) { return 1 << 40, nil }

// info is what n is, under the name base.
func (n *node) info(base string) fs.FileInfo {
	i := info{name: base, mode: durable.DirPerm | fs.ModeDir, changed: n.changed}
	if n.file != nil {
		i.mode, i.size = durable.FilePerm, n.file.size
	}
	return i
}

type info struct {
	name    string
	size    int64
	mode    fs.FileMode
	changed time.Time
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return i.changed }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }

// handle is an open file.
type handle struct {
	disk          *Disk
	node          *node
	name          string
	reads, writes bool
	closed        bool
}

var _ durable.File = (*handle)(nil)

// on runs an operation that needs a right: to read, to write, or for nil none.
func (h *handle) on(op string, right *bool, act func(*content) error) error {
	return h.disk.do(op, h.name, func() error {
		switch {
		case h.closed:
			return fs.ErrClosed
		case right != nil && !*right:
			return syscall.EBADF
		}
		return act(h.node.file)
	})
}

func (h *handle) ReadAt(p []byte, off int64) (n int, err error) {
	err = h.on("read", &h.reads, func(c *content) error {
		n = c.read(p, off)
		if n < len(p) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

func (h *handle) WriteAt(p []byte, off int64) (n int, err error) {
	err = h.on("write", &h.writes, func(c *content) error {
		c.write(p, off)
		h.node.changed = time.Now()
		n = len(p)
		return nil
	})
	return n, err
}

func (h *handle) Truncate(size int64) error {
	return h.on("truncate", &h.writes, func(c *content) error {
		c.truncate(size)
		return nil
	})
}

// Allocate moves the length, over bytes that are never written.
func (h *handle) Allocate(off, n int64) error {
	return h.on("allocate", &h.writes, func(c *content) error {
		c.truncate(max(c.size, off+n))
		return nil
	})
}

func (h *handle) Stat() (i fs.FileInfo, err error) {
	err = h.on("stat", nil, func(*content) error {
		i = h.node.info(path.Base(h.name))
		return nil
	})
	return i, err
}

func (h *handle) FirstHole() (hole int64, err error) {
	err = h.on("seek", nil, func(c *content) error {
		hole = c.firstHole()
		return nil
	})
	return hole, err
}

func (h *handle) Datasync() error {
	return h.on("sync", nil, func(c *content) error {
		c.sync()
		return nil
	})
}

// Spoil is what a failed Datasync leaves: pages that count as written and are not. See [content.spoil].
func (h *handle) Spoil() {
	h.on("sync", nil, func(c *content) error {
		c.spoil()
		return nil
	})
}

// Writeback is a hint, and the disk does not take it.
func (h *handle) Writeback(off, n int64) {}

// Written has nothing to tell: nobody writes in the background.
func (h *handle) Written() error { return nil }

// Forget is a hint, and the disk does not take it.
func (h *handle) Forget() {}

// Close makes nothing durable.
func (h *handle) Close() error {
	return h.on("close", nil, func(*content) error {
		h.closed = true
		return nil
	})
}

// reader is a file open for reading.
type reader struct {
	*handle
	pos int64
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.ReadAt(p, r.pos)
	r.pos += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

func (r *reader) Seek(off int64, whence int) (int64, error) {
	info, err := r.Stat()
	if err != nil {
		return 0, err
	}
	pos := map[int]int64{io.SeekStart: 0, io.SeekCurrent: r.pos, io.SeekEnd: info.Size()}[whence] + off
	if pos < 0 {
		return 0, syscall.EINVAL
	}
	r.pos = pos
	return pos, nil
}
