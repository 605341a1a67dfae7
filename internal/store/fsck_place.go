package store

import (
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

// The invariants of what surrounds the uploads: what the store keeps about itself, and which directory is whose.

// ownInvariants are those of the directory .sluice.
func ownInvariants() []invariant[*fsck] {
	return []invariant[*fsck]{
		{"the mark is readable and of a known format", markIsKnown},
		{"nothing is left behind in .sluice", ownLeftovers},
		{"what the store keeps about itself are plain files", ownFilesArePlain},
	}
}

func markIsKnown(c *fsck) []finding {
	if c.markState == nil {
		return nil
	}
	problem := fmt.Sprintf("the mark of the last start is no good: %v", c.markState)
	one := finding{Fault: Fault{File: path.Join(ownDir, markFile), Problem: problem}}
	switch {
	case errors.Is(c.markState, errUnknownMark):
		one.Remedy = fmt.Sprintf("format %d is for another version; nothing else was looked at", c.mark.Format)
	case errors.Is(c.markState, errTornMark) && c.repair && !c.holes && !c.blind:
		one.Remedy = "make room first: a full disk cannot be tried"
	case errors.Is(c.markState, errTornMark):
		one.Remedy = "a new one is written, with which the next start checks every upload unless the last stop was clean"
		one.mend = c.writeMark
	default:
		one.Remedy = "no server can start on it"
	}
	return []finding{one}
}

// writeMark puts a mark of no boot in the place of a torn one, so that a start takes it as it would have taken the torn one.
func (c *fsck) writeMark() error {
	raw, err := json.Marshal(mark{Format: formatVersion, Holes: c.holes})
	if err == nil {
		err = durable.WriteFile(c.f.fs, path.Join(ownDir, markFile), raw, true)
	}
	if err == nil {
		c.markState = nil
	}
	return err
}

// isOwnLeftover tells what has no meaning while no store is open.
func isOwnLeftover(name string) bool { return name == probeFile || name == markFile+tempSuffix }

func ownLeftovers(c *fsck) (all []finding) {
	for _, n := range c.own() {
		name := n.base + n.suffix
		file := path.Join(ownDir, name)
		switch {
		case isOwnLeftover(name) && n.kind == 0:
			one := Fault{File: file, Problem: "left behind by a crash", Remedy: "it is removed", Leftover: true}
			all = append(all, finding{Fault: one, mend: func() error { return c.remove(file) }})
		case slices.Contains(durable.JournalNames, name) && n.kind == 0:
			if c.powerCut {
				all = append(all, finding{Fault: Fault{File: file, Note: true, Problem: "holds what the power cut may have taken from other files",
					Remedy: "the next start, or a repair, does it again before anything else; without it more may seem wrong than is"}})
			}
		case !slices.Contains([]string{lockFile, markFile, cleanFile, makingFile, lostDir, probeFile, markFile + tempSuffix}, name):
			all = append(all, note(file, n.kind))
		}
	}
	return all
}

func ownFilesArePlain(c *fsck) (all []finding) {
	for _, n := range c.own() {
		name, want := n.base+n.suffix, fs.FileMode(0)
		if name == lostDir {
			want = fs.ModeDir
		}
		known := isOwnLeftover(name) || slices.Contains([]string{lockFile, markFile, cleanFile, makingFile, lostDir}, name) || slices.Contains(durable.JournalNames, name)
		if known && n.kind != want {
			all = append(all, finding{Fault: Fault{File: path.Join(ownDir, name), Problem: "of the wrong kind" + kindWords(n.kind),
				Remedy: "it is never followed or removed"}})
		}
	}
	return all
}

// own lists .sluice; nothing if there is none.
func (c *fsck) own() []found {
	names, err := c.list(ownDir)
	if err != nil {
		return nil
	}
	return names
}

// top looks at the names beside the directories of uploads, and at these as such.
func (c *fsck) top(names []found) {
	folded := make(map[string]string)
	for _, n := range names {
		name := n.base + n.suffix
		switch {
		case name == ownDir:
		case !isFan(name):
			c.strangers(".", []found{n})
		case n.kind != fs.ModeDir:
			c.report(fanFault(name, "it has the name of a directory of uploads and is none"+kindWords(n.kind),
				"uploads whose ids begin so cannot be made"), false)
		default:
			c.fold(name, folded)
		}
	}
}

func fanFault(dir, problem, remedy string) finding {
	return finding{Fault: Fault{Invariant: "what is named like a directory of uploads is one, and can be read",
		File: dir, Problem: problem, Remedy: remedy}}
}

// fold tells of directories that a file system which ignores case would make one.
func (c *fsck) fold(name string, folded map[string]string) {
	lower := strings.ToLower(name)
	if other, taken := folded[lower]; taken {
		c.report(finding{Fault: Fault{File: name, Problem: "differs from " + other + " by case alone",
			Remedy: "left alone: it matters only where a file system ignores case", Note: true}}, false)
	}
	folded[lower] = name
}

// placeInvariants are those of files that lie in another directory than their ids say.
func placeInvariants() []invariant[*displaced] {
	return []invariant[*displaced]{
		{"the files of an upload lie in the directory of its id", liesInPlace},
	}
}

// displaced is what has one id, in the wrong directory.
type displaced struct {
	c        *fsck
	dir      string
	id       upload.ID
	suffixes []string // of the files that may be an upload's, the record first
	record   bool
	moved    bool
}

// inPlace looks at a group of names that may belong elsewhere.
func (c *fsck) inPlace(dir string, group []found) {
	id, err := upload.ParseID(group[0].base)
	if err != nil || fan(id) == dir {
		return
	}
	d := &displaced{c: c, dir: dir, id: id}
	for _, n := range group {
		switch {
		case n.kind != 0:
		case n.suffix == infoSuffix:
			d.suffixes, d.record = slices.Insert(d.suffixes, 0, n.suffix), true
		case n.suffix == "" || slices.ContainsFunc(c.f.variants, func(v string) bool { return n.suffix == variantSuffix(v) }):
			d.suffixes = append(d.suffixes, n.suffix)
		}
	}
	if len(d.suffixes) > 0 {
		treat(c, func() []finding { return look(placeInvariants(), d) })
	}
}

func (d *displaced) file(suffix string) string { return path.Join(d.dir, string(d.id)+suffix) }

func liesInPlace(d *displaced) []finding {
	if d.moved {
		delete(d.c.displaced, d.id)
		return nil
	}
	if !d.ours() {
		return nil
	}
	for _, suffix := range d.suffixes {
		d.c.misplaced[d.file(suffix)] = true
	}
	one := finding{Fault: Fault{ID: d.id, File: d.file(d.suffixes[0])}}
	one.Problem = "it lies in the wrong directory: no server sees it there"
	if taken := d.taken(); taken != "" {
		one.Remedy = taken + " is there already"
		return []finding{one}
	}
	d.c.displaced[d.id] = true
	one.Remedy, one.mend = "it is moved to "+d.c.f.name(d.id, ""), d.move
	return []finding{one}
}

// ours tells that these are an upload's files: its record is among them, or in the right place without them. The latter is
// what a repair leaves that was cut short.
func (d *displaced) ours() bool {
	if d.record {
		raw, err := d.c.f.fs.ReadFile(d.file(infoSuffix))
		if err == nil {
			_, err = decodeRecord(d.id, raw)
		}
		return err == nil
	}
	rec, raw, err := d.c.peek(d.id)
	if raw == nil || err != nil || rec.emptied() {
		return false
	}
	d.suffixes = slices.DeleteFunc(d.suffixes, func(suffix string) bool {
		named := slices.ContainsFunc(rec.Variants, func(v upload.Variant) bool { return suffix == variantSuffix(v.Name) })
		return suffix != "" && !named || d.lies(suffix)
	})
	return len(d.suffixes) > 0
}

// lies tells that the right place of a file is not free.
func (d *displaced) lies(suffix string) bool {
	_, err := d.c.f.fs.Stat(d.c.f.name(d.id, suffix))
	return !errors.Is(err, fs.ErrNotExist)
}

// taken names a file that is in the way.
func (d *displaced) taken() string {
	for _, suffix := range d.suffixes {
		if d.lies(suffix) {
			return d.c.f.name(d.id, suffix)
		}
	}
	return ""
}

// move renames the record first: bytes without a record would be swept. If it fails all is put back.
func (d *displaced) move() error {
	fsys := d.c.f.fs
	if err := d.c.f.makeFan(d.id); err != nil {
		return err
	}
	err := fsys.SyncDir(".")
	for _, suffix := range d.suffixes {
		if err == nil {
			err = fsys.Rename(d.file(suffix), d.c.f.name(d.id, suffix))
		}
	}
	if err != nil {
		for _, suffix := range slices.Backward(d.suffixes) {
			_ = fsys.Rename(d.c.f.name(d.id, suffix), d.file(suffix)) // most were never moved
		}
		return err
	}
	d.moved = true
	return errors.Join(fsys.SyncDir(fan(d.id)), fsys.SyncDir(d.dir))
}

// peek reads the record of id as it is on disk; no bytes without an error mean that there is none.
func (c *fsck) peek(id upload.ID) (rec stored, raw []byte, err error) {
	name := c.f.name(id, infoSuffix)
	switch info, err := c.f.fs.Stat(name); {
	case errors.Is(err, fs.ErrNotExist):
		return rec, nil, nil
	case err != nil:
		return rec, nil, err
	case !info.Mode().IsRegular():
		return rec, nil, fmt.Errorf("%s is not a plain file", name)
	}
	if raw, err = c.f.fs.ReadFile(name); err == nil {
		rec, err = decodeRecord(id, raw)
	}
	return rec, raw, err
}
