package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"sluice/internal/upload"
)

// fileInvariants are those of the files that have one id, whatever its record says.
func fileInvariants() []invariant[*examined] {
	return []invariant[*examined]{
		{"every file of an upload is a plain file", filesArePlain},
		{"nothing is half written", nothingHalfWritten},
		{"nothing is half removed", nothingHalfRemoved},
		{"no lock of tusd is left", noLock},
		{"every file belongs to a record", noOrphan},
		{"a record can be read", recordCanBeRead},
		{"a record is whole", recordIsWhole},
		{"a record is that of the upload whose name it has", recordIsItsOwn},
		{"a record's state is one that this version knows", stateIsKnown},
		{"a record makes sense", recordMakesSense},
	}
}

// examined is all that has one id.
type examined struct {
	c     *fsck
	dir   string
	id    upload.ID
	kinds map[string]fs.FileMode // what lies there, by suffix; kept as things are mended

	raw        []byte           // the record; nil if there is none, or none that can be read
	unread     error            // why it cannot be read
	misread    error            // why it is not understood
	rec        *stored          // if it is
	variants   []upload.Variant // that the record names, also if it is that of an upload which is being removed
	unopened   error            // why the content cannot be opened
	measured   bool             // the content was looked at, if only to find none
	size, kept int64            // its length, and how much of it is provable
}

// findings looks at everything anew.
func (x *examined) findings() []finding {
	x.examine()
	all := look(fileInvariants(), x)
	if x.rec != nil {
		all = append(all, look(recordInvariants(), x)...)
	}
	for _, suffix := range x.suffixes() {
		if !x.known(suffix) {
			all = append(all, note(x.file(suffix), x.kinds[suffix]))
		}
	}
	return all
}

func (x *examined) suffixes() []string { return slices.Sorted(maps.Keys(x.kinds)) }

func (x *examined) examine() {
	*x = examined{c: x.c, dir: x.dir, id: x.id, kinds: x.kinds}
	if x.plain(goneSuffix) {
		raw, _ := x.c.f.fs.ReadFile(x.file(goneSuffix)) // a torn one leaves the profile's own names
		rec, _ := decodeRecord(x.id, raw)
		x.variants = rec.Variants
	}
	if !x.plain(infoSuffix) {
		return
	}
	if x.raw, x.unread = x.c.f.fs.ReadFile(x.file(infoSuffix)); x.unread != nil {
		return
	}
	rec, err := decodeRecord(x.id, x.raw)
	if err != nil {
		x.misread = err
		return
	}
	x.rec, x.variants = &rec, append(x.variants, rec.Variants...)
	if !rec.over() { // of bytes that are kept nothing is promised
		x.unopened = x.measure()
		x.measured = x.unopened == nil && (x.plain("") || !x.any(""))
	}
}

// measure finds out how much of the content is there.
func (x *examined) measure() error {
	if !x.plain("") {
		return nil
	}
	file, err := x.c.f.fs.OpenFile(x.file(""), os.O_RDWR)
	if err != nil {
		return err
	}
	defer file.Close() // nothing was written
	info, err := file.Stat()
	if err != nil {
		return err
	}
	x.size, x.kept = info.Size(), info.Size()
	switch {
	case x.c.holes && x.c.powerCut:
		x.kept, err = provable(file, x.rec.synced)
		return err
	case x.c.holes:
		hole, err := file.FirstHole()
		if errors.Is(err, errors.ErrUnsupported) {
			return nil
		}
		x.kept = hole
		return err
	case x.c.blind && x.c.powerCut:
		x.kept = min(x.size, x.rec.synced)
	}
	return nil
}

func (x *examined) any(suffix string) bool {
	_, there := x.kinds[suffix]
	return there
}

func (x *examined) plain(suffix string) bool {
	kind, there := x.kinds[suffix]
	return there && kind == 0
}

func (x *examined) file(suffix string) string { return path.Join(x.dir, string(x.id)+suffix) }

// at makes a finding about a file of x. Without a mend, remedy is what a person should know.
func (x *examined) at(suffix, problem, remedy string, mend func() error) []finding {
	return []finding{{Fault: Fault{ID: x.id, File: x.file(suffix), Problem: problem, Remedy: remedy}, mend: mend}}
}

// foreign tells that nothing but a name, in a directory that anybody may have put files into, makes these an upload's.
func (x *examined) foreign() bool {
	if x.rec != nil || x.c.sureOf(x.id) {
		return false
	}
	record, there := x.kinds[infoSuffix]
	return !there || record == fs.ModeDir || !x.any("")
}

// strange tells that there is a record, and that it is not understood.
func (x *examined) strange() bool { return x.misread != nil && !x.foreign() && !x.unwritten() }

// unwritten tells of an upload that a crash kept from being made: its record is empty, and it has nothing else, or it is noted as one that
// was being made.
func (x *examined) unwritten() bool {
	return x.misread != nil && (slices.Contains(x.c.unmade, x.id) || len(x.raw) == 0 && len(x.contents()) == 0)
}

// known tells suffixes of ours.
func (x *examined) known(suffix string) bool {
	switch {
	case suffix == goneSuffix, x.c.f.isTemp(suffix):
		return x.plain(suffix) || !x.foreign()
	case suffix == lockSuffix:
		return x.isLock()
	case suffix == infoSuffix, slices.Contains(x.contentSuffixes(), suffix):
		return !x.foreign()
	}
	return false
}

// contentSuffixes are those of the content and of all variants.
func (x *examined) contentSuffixes() []string {
	suffixes := []string{""}
	for _, name := range x.c.f.variants {
		suffixes = append(suffixes, variantSuffix(name))
	}
	for _, v := range x.variants {
		if suffix := variantSuffix(v.Name); !slices.Contains(suffixes, suffix) {
			suffixes = append(suffixes, suffix)
		}
	}
	return suffixes
}

// contents are the suffixes of plain files that hold content.
func (x *examined) contents() []string {
	return slices.DeleteFunc(x.contentSuffixes(), func(suffix string) bool { return !x.plain(suffix) })
}

func filesArePlain(x *examined) (all []finding) {
	for _, suffix := range x.suffixes() {
		if kind := x.kinds[suffix]; kind != 0 && x.known(suffix) {
			all = append(all, x.at(suffix, "not a plain file"+kindWords(kind), "it is never followed or removed", nil)...)
		}
	}
	return all
}

func nothingHalfWritten(x *examined) (all []finding) {
	for _, suffix := range x.suffixes() {
		if x.c.f.isTemp(suffix) && x.plain(suffix) || suffix == infoSuffix && x.unwritten() && !x.foreign() {
			all = append(all, x.at(suffix, "left half written by a crash", "it is removed", func() error { return x.remove(suffix) })...)
		}
	}
	return leftovers(all)
}

func nothingHalfRemoved(x *examined) []finding {
	if !x.plain(goneSuffix) {
		return nil
	}
	if x.any(infoSuffix) {
		return leftovers(x.at(goneSuffix, "the upload was being removed, yet it has a record", "it stays, as its record says",
			func() error { return x.remove(goneSuffix) }))
	}
	return leftovers(x.at(goneSuffix, "left half removed by a crash", "the rest is removed", x.removeGone))
}

// lockSuffix is that of tusd's file locker, which writes the number of its process into it.
const lockSuffix = ".lock"

func (x *examined) isLock() bool {
	if !x.c.f.flat || !x.plain(lockSuffix) {
		return false
	}
	raw, err := x.c.f.fs.ReadFile(x.file(lockSuffix))
	pid, convErr := strconv.Atoi(strings.TrimSpace(string(raw)))
	return err == nil && convErr == nil && pid > 0
}

func noLock(x *examined) []finding {
	if !x.isLock() {
		return nil
	}
	return x.at(lockSuffix, "the lock of a tusd that lives no more", "it is removed", func() error { return x.remove(lockSuffix) })
}

func noOrphan(x *examined) (all []finding) {
	if x.any(infoSuffix) || x.any(goneSuffix) || x.foreign() {
		return nil
	}
	for _, suffix := range x.contents() {
		aside := func() error { return x.moveAside(suffix) }
		all = append(all, x.at(suffix, "it has no record: either no client was ever told of it, or the record is lost", "it is moved to "+lostPath, aside)...)
	}
	return all
}

func recordCanBeRead(x *examined) []finding {
	if x.unread == nil || x.foreign() {
		return nil
	}
	return x.at(infoSuffix, fmt.Sprintf("the record cannot be read: %v", x.unread), "see to its permissions, or to the disk", nil)
}

// dissect takes a record that is not understood apart, as far as it goes.
func dissect(raw []byte) (info tusdInfo, ours sluiceInfo, err error) {
	var fields map[string]json.RawMessage
	if err = json.Unmarshal(raw, &fields); err != nil {
		return info, ours, err
	}
	info, key, err := takeKnown(fields)
	if err == nil && key != nil {
		err = json.Unmarshal(key, &ours)
	}
	return info, ours, err
}

// isLater tells a record of a state that only a later version can have given it.
func isLater(ours sluiceInfo) bool {
	known := []upload.State{"", upload.Receiving, upload.Received, upload.Ready, upload.Rejected, upload.Expired}
	return !slices.Contains(known, ours.State)
}

func recordIsWhole(x *examined) []finding {
	if !x.strange() {
		return nil
	}
	if _, _, err := dissect(x.raw); err != nil {
		return x.misunderstood(fmt.Sprintf("the record is torn, or none: %v", err))
	}
	return nil
}

func recordIsItsOwn(x *examined) []finding {
	if !x.strange() {
		return nil
	}
	info, _, err := dissect(x.raw)
	if err != nil || info.ID == string(x.id) {
		return nil
	}
	return x.misunderstood(fmt.Sprintf("the record is that of another upload, %q", info.ID))
}

func stateIsKnown(x *examined) []finding {
	if !x.strange() {
		return nil
	}
	_, ours, err := dissect(x.raw)
	if err != nil || !isLater(ours) {
		return nil
	}
	return x.at(infoSuffix, fmt.Sprintf("the state %q is not known to this version", ours.State), "a later version may know it", nil)
}

// recordMakesSense tells whatever else keeps a record from being understood.
func recordMakesSense(x *examined) []finding {
	if !x.strange() {
		return nil
	}
	info, ours, err := dissect(x.raw)
	if err != nil || info.ID != string(x.id) || isLater(ours) {
		return nil
	}
	why := strings.TrimPrefix(x.misread.Error(), upload.ErrUnreadable.Error()+": ")
	if info.Size < 0 {
		why = fmt.Sprintf("its size is %d", info.Size)
	}
	return x.misunderstood("the record makes no sense: " + why)
}

// misunderstood is about a record that no version understands. In a directory that anybody may have put files into, only one
// of our own names is touched.
func (x *examined) misunderstood(problem string) []finding {
	if !x.c.sureOf(x.id) {
		return x.at(infoSuffix, problem, "it may be somebody else's; DELETE removes the upload", nil)
	}
	return x.at(infoSuffix, problem, "the upload is moved to "+lostPath, x.moveAll)
}

// sureOf tells that what is named id is ours though no record says so.
func (c *fsck) sureOf(id upload.ID) bool { return !c.f.flat || ownNames.MatchString(string(id)) }
