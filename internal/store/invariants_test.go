package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"sluice/internal/durable"
	"sluice/internal/store"
	"sluice/internal/upload"
)

// account is what the world was told about one upload, and how far that may be behind the truth.
type account struct {
	id       upload.ID
	data     []byte // all of it
	deferred bool   // made without a length
	bad      bool   // the judge will not have it

	path []upload.State // states that it was brought to, or nearly; "" is before it was made
	sure int            // where on the path it was told to be: never before that again
	told int64          // the highest offset that was told
	most int64          // no offset lies above: so many of its bytes were given to the store to keep
	ever int64          // as most, with what the store has taken back since

	lengthTold bool
	forgiven   bool // the power was cut under a store that is not durable: nothing is sure any more
}

const (
	name   = "filename aG9saWRheS5tcDQ="
	holder = upload.Owner("somebody")
)

// Uploads of the scripts. The second has files beside those of the first, in either layout.
const (
	one       upload.ID = "victim"
	two       upload.ID = "vicinity"
	openEnded upload.ID = "open-ended"
	empty     upload.ID = "empty"
	unworthy  upload.ID = "unworthy"
)

// newAccount is of an upload that was not made yet.
func newAccount(id upload.ID) *account {
	n := map[upload.ID]int{one: 13000, two: 5000, openEnded: 6000, empty: 0, unworthy: 9000}[id]
	a := &account{id: id, data: make([]byte, n), path: []upload.State{""}, deferred: id == openEnded, bad: id == unworthy}
	for i := range a.data {
		a.data[i] = byte(1 + (i+i/251+n)%255) // a zero is always a fault
	}
	if a.bad {
		copy(a.data, "bad")
	}
	return a
}

func (a *account) length() int64 { return int64(len(a.data)) }

// record is what the upload is made of.
func (a *account) record() upload.Record {
	rec := upload.Record{ID: a.id, Length: a.length(), Metadata: name, Owner: holder}
	if a.deferred {
		rec.Length = upload.Deferred
	}
	return rec
}

// may says that the upload may be in state from now on.
func (a *account) may(state upload.State) { a.path = append(a.path, state) }

// is says that the upload was told to be in state, which is on its path.
func (a *account) is(state upload.State) {
	a.sure += max(0, slices.Index(a.path[a.sure:], state))
}

// gives says that the store was given the bytes below off.
func (a *account) gives(off int64) {
	a.most, a.ever = max(a.most, off), max(a.ever, off)
	if a.most == a.length() {
		a.may(upload.Received) // as soon as a store is opened where all bytes are there
	}
}

// tells says that off was told to be the offset.
func (a *account) tells(off int64) { a.told = max(a.told, off) }

// takesBack says that no byte at off or above counts.
func (a *account) takesBack(off int64) { a.most, a.path = off, a.path[:a.sure+1] }

// forgive forgets what was told: the power was cut under a store that is not durable.
func (a *account) forgive() {
	a.sure, a.told, a.lengthTold, a.forgiven = 0, 0, false, true
	a.gives(a.ever)
}

// checker re-reads a store.
type checker struct {
	fs    durable.FS
	s     *store.File
	flat  bool
	fails func(format string, args ...any)

	restarted bool // just now: nothing is left over
	disorder  bool // names were lost out of order, as POSIX allows; then files without a record are not the store's fault
	alarms    bool // an upload may be called damaged, see falseAlarms
}

// check re-reads everything and holds it against the accounts. Whatever it finds is told by that, and noted in them.
func (c checker) check(accounts []*account) {
	if c.restarted {
		c.tidy()
	}
	for _, a := range accounts {
		c.upload(a)
	}
	if c.restarted {
		c.owned(accounts)
	}
}

// tidy checks that nothing is there which only a crash leaves.
func (c checker) tidy() {
	for name, content := range c.tree() {
		if dir, base := path.Split(name); dir == ".sluice/" && base != "mark.json" && (base != "making" || content != "") ||
			strings.HasSuffix(name, ".tmp") || strings.HasSuffix(name, ".gone") {
			c.fails("left after a start: %s", name)
		}
	}
}

// owned checks that every file belongs to a record, or to nobody if that is no fault.
func (c checker) owned(accounts []*account) {
	tree := c.tree()
	for file := range tree {
		if strings.HasPrefix(file, ".sluice/") {
			continue
		}
		dir, base := path.Split(file)
		id, suffix, _ := strings.Cut(base, ".")
		if !slices.ContainsFunc(accounts, func(a *account) bool { return string(a.id) == id && c.dir(a.id) == dir }) ||
			!slices.Contains([]string{"", "info", "64"}, suffix) {
			c.fails("a file of nobody: %s", file)
		}
		if _, there := tree[dir+id+".info"]; !there && !c.disorder {
			c.fails("a file without a record: %s", file)
		}
	}
}

// tree is every file and what it holds, but for the journal.
func (c checker) tree() map[string]string {
	files := make(map[string]string)
	c.walk(".", files)
	maps.DeleteFunc(files, func(name, _ string) bool { return strings.HasPrefix(name, ".sluice/journal-") })
	return files
}

func (c checker) walk(dir string, files map[string]string) {
	entries, err := durable.ReadDir(c.fs, dir)
	if err != nil {
		c.fails("list %s: %v", dir, err)
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if e.IsDir() {
			c.walk(name, files)
			continue
		}
		raw, err := c.fs.ReadFile(name)
		if err != nil {
			c.fails("read %s: %v", name, err)
		}
		files[name] = string(raw)
	}
}

// dir is where the files of id are, with a slash if anywhere.
func (c checker) dir(id upload.ID) string {
	if c.flat {
		return ""
	}
	return string(id[:2]) + "/"
}

// files are the suffixes of those that id has.
func (c checker) files(id upload.ID) (suffixes []string) {
	for name := range c.tree() {
		if rest, ok := strings.CutPrefix(name, c.dir(id)+string(id)); ok && (rest == "" || rest[0] == '.') {
			suffixes = append(suffixes, rest)
		}
	}
	slices.Sort(suffixes)
	return suffixes
}

// upload checks one against its account.
func (c checker) upload(a *account) {
	rec, err := c.s.Lookup(a.id)
	switch {
	case errors.Is(err, upload.ErrNotFound):
		c.absent(a)
		return
	case errors.Is(err, upload.ErrUnreadable) && a.forgiven: // its record was not synced
		c.remove(a)
		return
	case err != nil:
		c.fails("look up %s: %v", a.id, err)
		return
	}
	if !slices.Contains(a.path[a.sure:], rec.State) {
		c.fails("%s is %s, want one of %q", a.id, rec.State, a.path[a.sure:])
	}
	c.fields(a, rec)
	c.content(a, rec)
	a.is(rec.State)
	a.tells(rec.Offset)
	a.lengthTold = a.lengthTold || rec.Length != upload.Deferred
}

func (c checker) absent(a *account) {
	left := a.path[a.sure:]
	if !slices.Contains(left, "") && !slices.Contains(left, upload.Terminated) {
		c.fails("%s is not there, want one of %q", a.id, left)
	}
	if a.forgiven && c.empty(a.id, ".info") && c.empty(a.id, "") { // neither was synced
		c.remove(a)
		return
	}
	files := slices.DeleteFunc(c.files(a.id), func(suffix string) bool { return suffix == ".info" && c.empty(a.id, suffix) })
	if c.restarted && len(files) > 0 && !c.disorder {
		c.fails("%s is not there, but its files are: %q", a.id, files)
	}
	if c.restarted && slices.Contains(left, upload.Terminated) { // else it may have failed halfway, see Terminate
		a.is(upload.Terminated)
	}
}

// empty tells that a file is there, and empty: the sweep removes it if it is the record of an upload that is not there.
func (c checker) empty(id upload.ID, suffix string) bool {
	raw, err := c.fs.ReadFile(c.dir(id) + string(id) + suffix)
	return err == nil && len(raw) == 0
}

// fields checks what the record says besides its state.
func (c checker) fields(a *account, rec upload.Record) {
	if rec.Metadata != name || rec.Owner != holder || rec.Profile != "test" || rec.Created.IsZero() {
		c.fails("record of %s is %+v, want metadata, owner, profile and time as given", a.id, rec)
	}
	if rec.Length != a.length() && (!a.deferred || a.lengthTold || rec.Length != upload.Deferred) {
		c.fails("length of %s is %d, want %d", a.id, rec.Length, a.length())
	}
	if rec.Damaged && !a.forgiven && !c.alarms {
		c.fails("%s is damaged at %d, though nothing can be lost here", a.id, rec.Offset)
	}
	ready := rec.State == upload.Ready
	if ready != (rec.Variants != nil) || ready && (rec.MediaType == "" || rec.Variants[0] != picture[0].Variant) {
		c.fails("%s is %s with type %q and variants %v", a.id, rec.State, rec.MediaType, rec.Variants)
	}
	if (rec.State == upload.Rejected) != (rec.Reason != nil) {
		c.fails("%s is %s for %v", a.id, rec.State, rec.Reason)
	}
}

// content checks the bytes: all that were told are there, and all that count are right.
func (c checker) content(a *account, rec upload.Record) {
	switch rec.State {
	case upload.Rejected:
		if files := c.files(a.id); rec.Offset != 0 || !slices.Equal(files, []string{".info"}) && c.restarted {
			c.fails("%s is rejected and has %d bytes, files %q", a.id, rec.Offset, files)
		}
	case upload.Receiving:
		if rec.Offset < a.told || rec.Offset > a.most {
			c.fails("offset of %s is %d, want at least %d and at most %d", a.id, rec.Offset, a.told, a.most)
		}
		raw, err := c.fs.ReadFile(c.dir(a.id) + string(a.id))
		if errors.Is(err, fs.ErrNotExist) && rec.Offset == 0 && !c.restarted {
			break // a creation that failed halfway
		}
		c.right(a, raw, err, rec.Offset)
	default:
		raw, err := read(c.s.Open(a.id))
		if rec.Offset != a.length() || int64(len(raw)) != a.length() {
			c.fails("%s is %s at %d with %d bytes, want %d", a.id, rec.State, rec.Offset, len(raw), a.length())
		}
		c.right(a, raw, err, rec.Offset)
	}
	for _, v := range rec.Variants {
		raw, err := read(c.s.OpenVariant(a.id, v.Name))
		if errors.Is(err, upload.ErrNotFound) && a.forgiven && c.disorder {
			continue // it was terminated, and the first step of that is lost while a later one is not
		}
		if err != nil || !bytes.Equal(raw, picture[0].Data) {
			c.fails("variant %s of %s is %q, %v", v.Name, a.id, raw, err)
		}
	}
}

// right checks that raw begins with the first n bytes of the upload.
func (c checker) right(a *account, raw []byte, err error, n int64) {
	got, want := raw[:min(n, int64(len(raw)))], a.data[:min(n, a.length())]
	if err != nil || !bytes.Equal(got, want) {
		c.fails("offset of %s is %d, but of %d stored bytes only the first %d are right, %v", a.id, n, len(raw), common(got, want), err)
	}
}

// common is how far a and b are equal.
func common(a, b []byte) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

func read(file io.ReadSeekCloser, _ upload.Record, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(file)
	return raw, errors.Join(err, file.Close())
}

// carryOn brings every upload to its end, which must succeed, and removes it.
func (c checker) carryOn(accounts []*account) {
	for _, a := range accounts {
		if err := c.toTheEnd(a); err != nil {
			c.fails("carry on with %s: %v", a.id, err)
			return
		}
		c.upload(a)
		c.remove(a)
	}
}

// toTheEnd does all that is still to be done.
func (c checker) toTheEnd(a *account) error {
	rec, err := c.s.Lookup(a.id)
	if errors.Is(err, upload.ErrNotFound) {
		if c.disorder && len(c.files(a.id)) > 0 {
			return nil // the name is taken by what has no record
		}
		*a = *newAccount(a.id)
		a.may(upload.Receiving)
		err, rec = c.s.Create(a.record()), a.record()
		rec.State = upload.Receiving
	}
	if err == nil && rec.State == upload.Receiving && rec.Length == upload.Deferred {
		err = c.s.DeclareLength(a.id, a.length())
	}
	if err == nil && rec.State == upload.Receiving {
		a.gives(a.length())
		err = c.send(a, rec.Offset)
	}
	if err == nil && !a.bad && rec.State != upload.Rejected {
		a.path = append(a.path, upload.Received, upload.Ready)
		_, err = c.s.Complete(a.id)
		_, published := c.s.Publish(a.id, upload.Outcome{MediaType: "text/plain", Variants: picture})
		err = errors.Join(err, published)
		a.is(upload.Ready)
	}
	return err
}

// send adds what is missing.
func (c checker) send(a *account, off int64) error {
	n, err := c.s.WriteChunk(a.id, off, bytes.NewReader(a.data[off:]), upload.Check{})
	if a.bad {
		a.may(upload.Rejected)
		if !errors.As(err, new(*upload.Rejection)) {
			return fmt.Errorf("got %w, want a rejection", err)
		}
		a.is(upload.Rejected)
		return nil
	}
	if err == nil && off+n != a.length() {
		err = fmt.Errorf("%d bytes count at %d, want all", n, off)
	}
	return err
}

// remove terminates an upload, if it is there, and checks that nothing is left of it.
func (c checker) remove(a *account) {
	a.may(upload.Terminated)
	if err := c.s.Terminate(a.id); err != nil && !errors.Is(err, upload.ErrNotFound) {
		c.fails("terminate %s: %v", a.id, err)
	}
	a.is(upload.Terminated)
	if files := c.files(a.id); len(files) > 0 && !c.disorder {
		c.fails("left of %s in the end: %q", a.id, files)
	}
}

// changed are the names in which two trees differ.
func changed(before, after map[string]string) (names []string) {
	for _, tree := range []map[string]string{before, after} {
		for name := range tree {
			if was, there := before[name]; !there || was != after[name] {
				names = append(names, name)
			} else if _, there := after[name]; !there {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
