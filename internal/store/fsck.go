package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"sluice/internal/durable"
	"sluice/internal/upload"
)

// What must be true of a store's directory while nobody uses it is written down as four lists, each line of which is one
// invariant: ownInvariants, placeInvariants, fileInvariants and recordInvariants. Read them as the specification of what is on
// disk. Content itself is verified by [File.CheckDigests] alone, where a digest of it is stored.

// lostDir, in ownDir, is where a repair puts what it does not understand.
const lostDir = "lost+found"

// Fault is one thing in a store's directory that is not as it should be, or worth knowing.
type Fault struct {
	Profile   string
	Invariant string    // that is broken, as the lists of invariants have it; "" of a note
	ID        upload.ID // "" where it is about no upload
	File      string    // in the profile's directory
	Problem   string    // what is wrong
	Remedy    string    // what a repair would do about it, has done, or leaves to a person
	Mendable  bool      // by a repair
	Repaired  bool
	Leftover  bool // of a crash: a server mends it by itself, when it starts or when the upload is next asked for
	Note      bool // nothing is wrong: it is not ours, say, and left alone
}

// Fsck looks whether the directory is as the store left it, and tells of each fault. It is for a store that [Examine]
// has opened, and returns the number of uploads that it has seen. Memory is bounded by the largest
// single directory.
//
// Without repair it changes nothing. With repair it mends what can be mended without guessing and without removing any
// acknowledged byte: the worst that it does to an upload is what a start after a power cut does, and what it does not
// understand it moves aside, into .sluice/lost+found. Every step is durable before the next, so that the marks of the last
// stop stay true, and a repair that is cut short can be begun again. What is left to a person is told as such.
//
// An error means that it did not come to the end: another process uses the directory, or ctx is done. What is wrong with an
// upload never is one.
func (f *File) Fsck(ctx context.Context, repair bool, tell func(Fault)) (uploads int, err error) {
	c := &fsck{f: f, ctx: ctx, repair: repair, tell: tell, misplaced: make(map[string]bool), displaced: make(map[upload.ID]bool)}
	if err := c.run(); err != nil {
		return c.uploads, fmt.Errorf("store: fsck: %w", err)
	}
	return c.uploads, nil
}

// fsck is one run of Fsck.
type fsck struct {
	f       *File
	ctx     context.Context // of the one call of Fsck that it is
	repair  bool
	tell    func(Fault)
	uploads int

	mark      mark
	markState error              // nil: it was read, or there is none
	unmade    []upload.ID        // noted as being made when the process was killed, see making
	powerCut  bool               // another boot without a clean stop: the next start cuts what is not provable
	holes     bool               // the file system is known to tell how far a file was written
	blind     bool               // it is known not to
	misplaced map[string]bool    // files that were told to lie in the wrong directory
	displaced map[upload.ID]bool // uploads that are to be moved before anything else is said about them
}

var (
	errTornMark    = errors.New("it is not JSON: torn by a power cut")
	errUnknownMark = errors.New("this version does not know its format")
)

// run looks first at what must be known before anything is touched.
func (c *fsck) run() error {
	top, err := c.list(".")
	if err == nil && c.f.flat {
		err = c.refuseLiving(top)
	}
	if err == nil {
		err = c.learn()
	}
	if err != nil {
		return err
	}
	own := ownInvariants()
	if errors.Is(c.markState, errUnknownMark) { // what lies there may mean anything
		treat(c, func() []finding { return look(own[:1], c) })
		return nil
	}
	if c.repair {
		if err := c.f.replay(); err != nil {
			return err
		}
	}
	treat(c, func() []finding { return look(own, c) })
	if c.f.flat {
		return c.each(".", top, c.group)
	}
	return c.fanned(top)
}

func (c *fsck) refuseLiving(top []found) error {
	for _, n := range top {
		if _, err := upload.ParseID(n.base); err != nil || n.suffix != lockSuffix || n.kind != 0 {
			continue
		}
		if err := c.f.refuseLiving(n.base + n.suffix); err != nil {
			return err
		}
	}
	return nil
}

// learn finds out what the last process knew about the directory, as a start does. Only a repair tries the file system.
func (c *fsck) learn() (err error) {
	c.mark, c.markState = c.readMark()
	if errors.Is(c.markState, errUnknownMark) {
		return nil
	}
	if _, err := c.f.fs.Stat(path.Join(ownDir, cleanFile)); errors.Is(err, fs.ErrNotExist) {
		boot := durable.BootID()
		c.powerCut = c.mark.Format != 0 && (boot == "" || boot != c.mark.Boot)
		if boot != "" && boot == c.mark.Boot {
			c.unmade = c.f.readMaking()
		}
	}
	last := c.mark
	if c.markState != nil {
		last = mark{} // it tells nothing about the file system
	}
	if !c.repair {
		c.holes, c.blind = last.Holes, last.Format != 0 && !last.Holes
		return nil
	}
	c.holes, err = c.f.probe(last)
	if errors.Is(diskError(err), upload.ErrInsufficientStorage) {
		return nil // neither is known
	}
	c.blind = !c.holes
	return err
}

// readMark returns the zero mark for a directory that is new, or tusd's.
func (c *fsck) readMark() (m mark, err error) {
	raw, err := c.f.fs.ReadFile(path.Join(ownDir, markFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m, nil
	case err != nil:
		return m, err
	case json.Unmarshal(raw, &m) != nil:
		return mark{Format: formatVersion}, errTornMark
	case m.Format < 1 || m.Format > formatVersion:
		return m, errUnknownMark
	}
	return m, nil
}

// found is a name in a directory, cut as splitName does.
type found struct {
	base, suffix string
	kind         fs.FileMode // 0 of a plain file
}

// list reads a directory, what has one base side by side.
func (c *fsck) list(dir string) ([]found, error) {
	entries, err := durable.ReadDir(c.f.fs, dir)
	if err != nil {
		return nil, err
	}
	names := make([]found, len(entries))
	for i, entry := range entries {
		base, suffix := splitName(entry.Name())
		names[i] = found{base, suffix, entry.Type()}
	}
	slices.SortFunc(names, func(a, b found) int {
		return cmp.Or(strings.Compare(a.base, b.base), strings.Compare(a.suffix, b.suffix))
	})
	return names, nil
}

// fanned looks at a directory with subdirectories by the ids' first letters.
func (c *fsck) fanned(top []found) error {
	err := c.each(".", top, c.inPlace)
	for _, dir := range fans(top) {
		names, listErr := c.list(dir)
		if err == nil && listErr == nil { // else the next round tells
			err = c.each(dir, names, c.inPlace)
		}
	}
	if err == nil {
		top, err = c.list(".") // some may have moved
	}
	if err != nil {
		return err
	}
	c.top(top)
	for _, dir := range fans(top) {
		names, err := c.list(dir)
		if err != nil {
			c.report(fanFault(dir, fmt.Sprintf("it cannot be read: %v", err), "see to its permissions, or to the disk"), false)
		}
		if err := c.each(dir, names, c.group); err != nil {
			return err
		}
	}
	return nil
}

// fans are the directories of uploads.
func fans(top []found) (dirs []string) {
	for _, n := range top {
		if n.kind == fs.ModeDir && isFan(n.base+n.suffix) {
			dirs = append(dirs, n.base+n.suffix)
		}
	}
	return dirs
}

// isFan tells names that a directory of uploads may have.
func isFan(name string) bool {
	_, err := upload.ParseID(name)
	return err == nil && len(name) <= fanLetters
}

// each calls do for each group of names that have one base, until ctx is done.
func (c *fsck) each(dir string, names []found, do func(dir string, group []found)) error {
	for len(names) > 0 {
		n := 1
		for n < len(names) && names[n].base == names[0].base {
			n++
		}
		if err := c.ctx.Err(); err != nil {
			return err
		}
		do(dir, names[:n])
		names = names[n:]
	}
	return nil
}

// group looks at all that has one base in a directory where it belongs, if anything of ours does.
func (c *fsck) group(dir string, group []found) {
	id, err := upload.ParseID(group[0].base)
	if err != nil || !c.f.flat && fan(id) != dir {
		c.strangers(dir, group)
		return
	}
	if c.displaced[id] {
		return
	}
	x := &examined{c: c, dir: dir, id: id, kinds: make(map[string]fs.FileMode, len(group))}
	for _, n := range group {
		x.kinds[n.suffix] = n.kind
	}
	treat(c, x.findings)
	if x.any(infoSuffix) && !x.foreign() {
		c.uploads++
	}
}

func (c *fsck) strangers(dir string, group []found) {
	for _, n := range group {
		file := path.Join(dir, n.base+n.suffix)
		if file != ownDir && !c.misplaced[file] {
			c.report(note(file, n.kind), false)
		}
	}
}

// finding is an invariant that was found broken.
type finding struct {
	Fault
	mend func() error // nil: left to a person
	err  error        // of mend
}

func note(file string, kind fs.FileMode) finding {
	return finding{Fault: Fault{File: file, Problem: "not Sluice's" + kindWords(kind), Remedy: "left alone", Note: true}}
}

func kindWords(kind fs.FileMode) string {
	switch {
	case kind == 0:
		return ""
	case kind&fs.ModeDir != 0:
		return ", a directory"
	case kind&fs.ModeSymlink != 0:
		return ", a symbolic link"
	}
	return ", a special file"
}

// leftovers marks what a server mends by itself.
func leftovers(all []finding) []finding {
	for i := range all {
		all[i].Leftover = true
	}
	return all
}

// invariant is a line of the specification.
type invariant[T any] struct {
	name   string
	broken func(T) []finding // where, and how
}

// look returns all that is broken.
func look[T any](invariants []invariant[T], at T) (all []finding) {
	for _, inv := range invariants {
		for _, one := range inv.broken(at) {
			if !one.Note {
				one.Invariant = inv.name
			}
			all = append(all, one)
		}
	}
	return all
}

// maxMends bounds the repair of one thing, should a mend not do what it says.
const maxMends = 100

// treat tells what find finds. A repair mends one fault, then looks anew: what else was wrong may have gone with it.
func treat(c *fsck, find func() []finding) {
	for n := 0; ; n++ {
		findings := find()
		if c.repair && n < maxMends && c.mendOne(findings) {
			continue
		}
		for _, one := range findings {
			c.report(one, false)
		}
		return
	}
}

func (c *fsck) mendOne(findings []finding) bool {
	for i := range findings {
		one := &findings[i]
		if one.mend == nil {
			continue
		}
		if one.err = one.mend(); one.err == nil {
			c.report(*one, true)
			return true
		}
	}
	return false
}

func (c *fsck) report(one finding, repaired bool) {
	fault := one.Fault
	fault.Profile, fault.Mendable, fault.Repaired = c.f.profile, one.mend != nil, repaired
	switch {
	case repaired:
		fault.Remedy = "repaired: " + fault.Remedy
	case one.err != nil:
		fault.Remedy = fmt.Sprintf("the repair failed: %v", one.err)
	case one.Leftover:
		fault.Remedy = "with --repair, or by a server in its time, " + fault.Remedy
	case one.mend != nil:
		fault.Remedy = "with --repair " + fault.Remedy
	case !fault.Note:
		fault.Remedy = "left to a person: " + fault.Remedy
	}
	c.tell(fault)
}
