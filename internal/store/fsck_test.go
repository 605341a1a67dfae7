package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/durable"
	"sluice/internal/durable/faultfs"
	"sluice/internal/store"
	"sluice/internal/upload"
)

// home is a directory of uploads in every state, as a clean stop leaves it.
type home struct {
	*testing.T
	dir  string
	flat bool
	ids  map[string]upload.ID // by what they are
	dead int                  // the number of a process that has ended
}

func (h *home) options() store.Options {
	return store.Options{Dir: h.dir, Profile: "test", Flat: h.flat, Durable: true, Variants: []string{"64", "8"}, Judge: typed,
		Lifetime: time.Hour, Metrics: store.NewMetrics(), Logger: quiet}
}

func newHome(t *testing.T, flat bool) *home {
	t.Helper()
	h := &home{T: t, dir: t.TempDir(), flat: flat, ids: make(map[string]upload.ID)}
	var end func()
	h.dead, end = child(t, "")
	end()
	h.expire()
	h.keep()
	f := h.open()
	h.fill(f)
	h.join(f)
	h.must(f.Close())
	writeFile(t, h.at("received", ".64"), "half of the va")              // a crash came before the record that names it
	h.must(os.WriteFile(h.at("final", ""), make([]byte, 4*half), 0o600)) // a crash came while something was copied
	if flat {
		h.fillByTusd()
	}
	return h
}

func (h *home) open() *store.File {
	h.Helper()
	f, err := store.Open(h.options())
	h.must(err)
	return f
}

func (h *home) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// add makes an upload and sends data. rec.ID is what it is.
func (h *home) add(f *store.File, rec upload.Record, data []byte, check upload.Check) upload.ID {
	h.Helper()
	what := string(rec.ID)
	rec.ID = upload.NewID()
	h.ids[what] = rec.ID
	h.must(f.Create(rec))
	_, err := f.WriteChunk(rec.ID, 0, bytes.NewReader(data), check)
	h.must(err)
	if int64(len(data)) == rec.Length {
		_, err = f.Complete(rec.ID)
		h.must(err)
	}
	return rec.ID
}

// expire makes an upload whose time is over.
func (h *home) expire() {
	h.Helper()
	f := h.open()
	id := h.add(f, upload.Record{ID: "expired", Length: 9}, whole[:4], upload.Check{})
	h.must(f.Close())
	age(h.T, append(namesOf(h.T, h.dir, id), h.own("mark.json")), 2*time.Hour)
	f = h.open()
	h.must(f.Sweep(h.Context(), false, func(upload.Swept) {}))
	h.must(f.Close())
}

// keep makes an upload that was rejected while the policy was to keep it.
func (h *home) keep() {
	h.Helper()
	o := h.options()
	o.KeepRejected = true
	f, err := store.Open(o)
	h.must(err)
	id := h.add(f, upload.Record{ID: "kept", Length: int64(len(whole))}, whole, upload.Check{})
	_, err = f.Reject(id, unwanted)
	h.must(err)
	h.must(f.Close())
}

func (h *home) fill(f *store.File) {
	h.Helper()
	length := int64(len(whole))
	h.ids["announced"] = upload.NewID()
	h.must(f.Create(upload.Record{ID: h.ids["announced"], Length: length}))
	h.add(f, upload.Record{ID: "empty", Length: length}, nil, upload.Check{})
	h.add(f, upload.Record{ID: "receiving", Length: length}, whole[:half], upload.Check{})
	h.add(f, upload.Record{ID: "deferred", Length: upload.Deferred}, whole[:half], upload.Check{})
	h.add(f, upload.Record{ID: "nothing", Length: 0}, nil, upload.Check{})
	h.add(f, upload.Record{ID: "received", Length: length}, whole, upload.Check{})
	ready := h.add(f, upload.Record{ID: "ready", Length: length}, whole, upload.Check{})
	_, err := f.Publish(ready, upload.Outcome{MediaType: "text/plain", Variants: picture})
	h.must(err)
	rejected := h.add(f, upload.Record{ID: "rejected", Length: length}, whole, upload.Check{})
	_, err = f.Reject(rejected, unwanted)
	h.must(err)

	checked := h.add(f, upload.Record{ID: "checked", Length: length}, whole[:half],
		upload.Check{Announced: true, Verify: func(io.Reader) error { return nil }})
	_, err = f.WriteChunk(checked, half, bytes.NewReader(whole[half:]),
		upload.Check{Announced: true, Verify: func(io.Reader) error { return unwanted }})
	if !errors.Is(err, unwanted) {
		h.Fatal(err)
	}
}

// join makes finals and parts.
func (h *home) join(f *store.File) {
	h.Helper()
	part := func(name string, length int64, data []byte) upload.ID {
		return h.add(f, upload.Record{ID: upload.ID(name), Length: length, Partial: true, Concat: "partial"}, data, upload.Check{})
	}
	final := func(name string, parts ...upload.ID) upload.ID {
		h.ids[name] = upload.NewID()
		h.must(f.Create(upload.Record{ID: h.ids[name], Length: int64(len(parts)) * half, Final: true, Parts: parts, Concat: "final;"}))
		return h.ids[name]
	}
	one, two := part("joined part", half, whole[:half]), part("other joined part", half, whole[half:])
	_, err := f.Assemble(h.Context(), final("joined", one, two, one))
	h.must(err)

	one, two = part("part", half, whole[:half]), part("unfinished part", half, whole[half:half+5])
	if _, err = f.Assemble(h.Context(), final("final", one, two, one)); !errors.Is(err, upload.ErrNotReady) {
		h.Fatal(err)
	}
	one = part("part of a deleted final", 5, whole[:5])
	deleted := final("deleted", one)
	_, err = f.Assemble(h.Context(), deleted)
	h.must(err)
	h.must(f.Terminate(deleted))
	delete(h.ids, "deleted")
}

// fillByTusd makes uploads as tusd leaves them.
func (h *home) fillByTusd() {
	h.Helper()
	one, two := string(upload.NewID()), string(upload.NewID())
	for name, u := range map[string]struct {
		info handler.FileInfo
		data string
	}{
		"tusd's finished":         {handler.FileInfo{Size: 5}, "whole"},
		"tusd's empty":            {handler.FileInfo{}, ""},
		"tusd's unfinished":       {handler.FileInfo{Size: 9}, "part"},
		"tusd's deferred":         {handler.FileInfo{SizeIsDeferred: true}, "part"},
		"tusd's part":             {handler.FileInfo{ID: one, Size: 4, IsPartial: true}, "part"},
		"tusd's other part":       {handler.FileInfo{ID: two, Size: 4, IsPartial: true}, "part"},
		"tusd's final":            {handler.FileInfo{Size: 8, IsFinal: true, PartialUploads: []string{one, two}}, "partpart"},
		"tusd's unfinished final": {handler.FileInfo{Size: 8, IsFinal: true, PartialUploads: []string{one, two}}, "part"},
		"tusd's own name":         {handler.FileInfo{ID: "my-upload", Size: 9}, "part"},
	} {
		if u.info.ID == "" {
			u.info.ID = string(upload.NewID())
		}
		h.ids[name] = upload.ID(u.info.ID)
		tusdUpload(h.T, h.dir, u.info, u.data)
	}
}

// copy is the same somewhere else.
func (h *home) copy(t *testing.T) *home {
	t.Helper()
	to := &home{t, filepath.Join(t.TempDir(), "data"), h.flat, maps.Clone(h.ids), h.dead}
	to.must(os.CopyFS(to.dir, os.DirFS(h.dir)))
	return to
}

// copyOf is a copy with no other uploads than these.
func (h *home) copyOf(t *testing.T, what ...string) *home {
	t.Helper()
	to := &home{t, t.TempDir(), h.flat, make(map[string]upload.ID), h.dead}
	to.must(os.CopyFS(to.own(""), os.DirFS(h.own(""))))
	for _, name := range what {
		if name == "" {
			continue
		}
		to.ids[name] = h.ids[name]
		for _, file := range namesOf(t, h.dir, h.ids[name]) {
			raw, err := os.ReadFile(file)
			to.must(err)
			writeFile(t, to.at(name, strings.TrimPrefix(filepath.Base(file), string(h.ids[name]))), string(raw))
		}
	}
	return to
}

// at is the path of a file of an upload, which is named by what it is, or by its id.
func (h *home) at(what, suffix string) string {
	id := what
	if known, ok := h.ids[what]; ok {
		id = string(known)
	}
	if h.flat {
		return filepath.Join(h.dir, id+suffix)
	}
	return filepath.Join(h.dir, id[:min(2, len(id))], id+suffix)
}

func (h *home) own(name string) string { return filepath.Join(h.dir, ".sluice", name) }

// record changes a record.
func (h *home) record(what string, change func(info, ours map[string]any)) {
	h.Helper()
	raw, err := os.ReadFile(h.at(what, ".info"))
	h.must(err)
	var info map[string]any
	h.must(json.Unmarshal(raw, &info))
	ours, _ := info["Sluice"].(map[string]any)
	change(info, ours)
	raw, err = json.Marshal(info)
	h.must(err)
	h.must(os.WriteFile(h.at(what, ".info"), raw, 0o600))
}

func (h *home) rename(from, to string) {
	h.Helper()
	h.must(errors.Join(os.MkdirAll(filepath.Dir(to), 0o750), os.Rename(from, to)))
}

// powerCut has the next start find another boot without a clean stop.
func (h *home) powerCut(holes bool) {
	setMark(h.T, h.dir, fmt.Sprintf(`{"format":1,"boot":"other","holes":%t}`, holes))
}

// hole takes the bytes of an upload from off away; the length stays.
func (h *home) hole(what string, off int64) {
	h.Helper()
	info, err := os.Stat(h.at(what, ""))
	h.must(err)
	h.must(errors.Join(os.Truncate(h.at(what, ""), off), os.Truncate(h.at(what, ""), info.Size())))
}

// tree is all that can be seen of a directory.
func (h *home) tree() map[string]string {
	h.Helper()
	tree := make(map[string]string)
	h.must(filepath.WalkDir(h.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content := []byte{}
		switch {
		case d.Type().IsRegular():
			content, err = os.ReadFile(name)
		case d.Type()&fs.ModeSymlink != 0:
			var to string
			to, err = os.Readlink(name)
			content = []byte(to)
		}
		rel, relErr := filepath.Rel(h.dir, name)
		tree[rel] = fmt.Sprintf("%s %s %q", info.Mode(), info.ModTime().Format(time.RFC3339Nano), content)
		return errors.Join(err, relErr)
	}))
	return tree
}

// files are the plain files of tree that are no victim's.
func beside(tree map[string]string, victim upload.ID) map[string]string {
	rest := make(map[string]string)
	for name, is := range tree {
		mine := victim != "" && strings.Contains(name, string(victim))
		if strings.HasPrefix(is, "-") && !mine && !strings.HasPrefix(name, ".sluice") {
			rest[name] = is
		}
	}
	return rest
}

// check is a run of Fsck by a process of its own.
func (h *home) check(repair bool) (faults, notes []store.Fault) {
	h.Helper()
	f, err := store.Examine(h.options(), repair)
	h.must(err)
	faults, notes, err = collect(h.Context(), f, repair)
	h.must(errors.Join(err, f.Close()))
	return faults, notes
}

func collect(ctx context.Context, f *store.File, repair bool) (faults, notes []store.Fault, err error) {
	_, err = f.Fsck(ctx, repair, func(one store.Fault) {
		if one.Note {
			notes = append(notes, one)
		} else {
			faults = append(faults, one)
		}
	})
	return faults, notes, err
}

func TestFsckIsSilentAboutAHealthyDirectory(t *testing.T) {
	for _, flat := range []bool{true, false} {
		h := newHome(t, flat)
		for _, stop := range []string{"clean", "crash"} {
			if stop == "crash" { // while nothing was under way
				f := h.open()
				h.must(f.Due(t.Context(), func(upload.Record) bool { return true }))
				h.must(f.Crash())
			}
			before := h.tree()
			for _, repair := range []bool{false, true} {
				faults, notes := h.check(repair)
				if len(faults)+len(notes) > 0 {
					t.Errorf("flat %t, %s stop, repair %t: got %+v, %+v", flat, stop, repair, faults, notes)
				}
			}
			if diff := cmp.Diff(besideOwn(before), besideOwn(h.tree())); diff != "" {
				t.Errorf("flat %t: it changed something:\n%s", flat, diff)
			}
		}
		f, err := store.Examine(h.options(), true)
		h.must(err)
		if n, err := f.Fsck(t.Context(), false, func(store.Fault) {}); n != len(h.ids) || err != nil {
			t.Errorf("flat %t: %d uploads were seen, %v, want %d", flat, n, err, len(h.ids))
		}
		h.must(f.Close())
	}
}

// An operator who has seen enough may remove it, and one who looks may change it.
func TestFsckPromisesNothingOfWhatIsKept(t *testing.T) {
	for name, spoil := range map[string]func(file string) error{
		"removed": os.Remove,
		"cut":     func(file string) error { return os.Truncate(file, 3) },
		"longer":  func(file string) error { return os.WriteFile(file, make([]byte, 2*len(whole)), 0o600) },
	} {
		h := newHome(t, false)
		h.must(spoil(h.at("kept", "")))
		before := h.tree()
		if faults, notes := h.check(true); len(faults)+len(notes) > 0 {
			t.Errorf("%s: got %+v, %+v", name, faults, notes)
		}
		if diff := cmp.Diff(besideOwn(before), besideOwn(h.tree())); diff != "" {
			t.Errorf("%s: it changed something:\n%s", name, diff)
		}
	}
}

// besideOwn leaves out the time of the directory in which a repair tries the file system.
func besideOwn(tree map[string]string) map[string]string {
	rest := maps.Clone(tree)
	delete(rest, ".sluice")
	for _, name := range durable.JournalNames { // which a repair brings to its end
		delete(rest, ".sluice/"+name)
	}
	return rest
}

func TestFsckNamesAndMendsWhatIsBroken(t *testing.T) {
	for _, flat := range []bool{true, false} {
		if flat && raced() { // one goroutine works at a time
			continue
		}
		healthy := newHome(t, flat)
		for _, row := range breaks {
			if row.only != "" && row.only != layout(flat) {
				continue
			}
			t.Run(layout(flat)+"/"+row.name, func(t *testing.T) {
				t.Parallel()
				h := healthy.copy(t)
				good := beside(h.tree(), h.ids[row.victim])
				row.spoil(h)
				row.named(h)
				row.repaired(h)
				if diff := cmp.Diff(good, beside(h.tree(), h.ids[row.victim])); diff != "" && !row.all {
					t.Errorf("other uploads changed:\n%s", diff)
				}
				row.usable(h)
			})
		}
	}
}

func layout(flat bool) string {
	if flat {
		return "flat"
	}
	return "fanned out"
}

// named checks that the fault is found, by a look that changes nothing.
func (b *brk) named(h *home) {
	h.Helper()
	before := h.tree()
	faults, notes := h.check(false)
	if len(notes) > 0 {
		h.Errorf("got notes %+v", notes)
	}
	if diff := cmp.Diff(before, h.tree()); diff != "" {
		h.Errorf("a look changed something:\n%s", diff)
	}
	found := slices.ContainsFunc(faults, func(one store.Fault) bool {
		return one.Invariant == b.invariant && strings.Contains(one.Problem, b.words) && one.Profile == "test" &&
			one.Mendable != b.left && !one.Repaired
	})
	if !found {
		h.Errorf("got %+v, want %q, %q, left to a person: %t", faults, b.invariant, b.words, b.left)
	}
	for _, one := range faults {
		about := one.ID == h.ids[b.victim] || b.victim == ""
		if about && one.Invariant == b.invariant || slices.Contains(b.also, one.Invariant) {
			continue
		}
		h.Errorf("got another fault: %+v", one)
	}
}

// repaired has it repaired, after which nothing, or the same, is found.
func (b *brk) repaired(h *home) {
	h.Helper()
	faults, _ := h.check(true)
	for _, one := range faults {
		if one.Repaired == b.left || one.Invariant != b.invariant && !slices.Contains(b.also, one.Invariant) {
			h.Errorf("got %+v, left to a person: %t", one, b.left)
		}
	}
	mended := h.tree()
	for _, repair := range []bool{false, true} {
		again, _ := h.check(repair)
		if len(again) > 0 != b.left || slices.ContainsFunc(again, func(one store.Fault) bool { return one.Repaired }) {
			h.Errorf("a second time, repair %t: got %+v, left to a person: %t", repair, again, b.left)
		}
	}
	if diff := cmp.Diff(besideOwn(mended), besideOwn(h.tree())); diff != "" {
		h.Errorf("a second repair changed something:\n%s", diff)
	}
}

// usable checks that a store opens, that the victim is as it should be, and that a good upload is complete.
func (b *brk) usable(h *home) {
	h.Helper()
	if b.noStart {
		return
	}
	f := h.open()
	defer f.Close()
	if b.victim != "ready" && !b.all {
		reads(h.T, f, h.ids["ready"], string(whole))
	}
	if b.after != nil {
		b.after(h, f)
	}
}

// foreign are files that are not Sluice's in a directory fanned out.
var foreign = map[string]string{"top": "x", "top.info.tmp": "x", "to/other.info.tmp": "x", "to/other.gone": "x", "vi/no id.gone": "x",
	"vi/victim.txt": "x", "deep/er/deeper.gone": "x", "zz/abc": "x", "zz/def.info": "{}",
	"backup/abc.info": `{"ID":"abc"}`, "Vi/x y": "x", ".sluice/notes": "x"}

func TestFsckListsWhatIsNotOursAndLeavesItAlone(t *testing.T) {
	for _, flat := range []bool{true, false} {
		h := newHome(t, flat)
		want := litter
		noted := []string{"notes.txt", "no id.info", "sub", "orphan", "victim.65.tmp", "x.lock", "y.stop"}
		if !flat {
			want = foreign
			noted = []string{"top", "to/other.gone", "vi/victim.txt", "deep", "backup", "zz/abc", "zz/def.info", "Vi/x y", ".sluice/notes"}
		}
		for name, data := range want {
			writeFile(t, filepath.Join(h.dir, name), data)
		}
		if !flat { // a copy, say
			noted = append(noted, "zz/"+string(h.ids["ready"]))
			writeFile(t, filepath.Join(h.dir, "zz", string(h.ids["ready"])), string(whole))
		}
		before := h.tree()
		for _, repair := range []bool{false, true} {
			faults, notes := h.check(repair)
			if len(faults) > 0 {
				t.Errorf("flat %t: got faults %+v", flat, faults)
			}
			for _, name := range noted {
				if !slices.ContainsFunc(notes, func(one store.Fault) bool { return one.File == name && one.Invariant == "" }) {
					t.Errorf("flat %t: %s is not listed in %+v", flat, name, notes)
				}
			}
			folded := slices.ContainsFunc(notes, func(one store.Fault) bool {
				return one.File == "vi" && strings.Contains(one.Problem, "case")
			})
			if folded == flat {
				t.Errorf("directories that differ by case: got %t, want %t", folded, !flat)
			}
		}
		if diff := cmp.Diff(besideOwn(before), besideOwn(h.tree())); diff != "" {
			t.Errorf("flat %t: something changed:\n%s", flat, diff)
		}
	}
}

func TestFsckRefusesADirectoryThatALivingTusdUses(t *testing.T) {
	h := newHome(t, true)
	pid, _ := child(t, "")
	writeFile(t, filepath.Join(h.dir, "abc.lock"), strconv.Itoa(pid)+"\n")
	writeFile(t, h.at("receiving", ".info.tmp"), "x")
	before := h.tree()
	for _, repair := range []bool{false, true} {
		f, err := store.Examine(h.options(), true)
		h.must(err)
		faults, notes, err := collect(t.Context(), f, repair)
		if err == nil || !strings.Contains(err.Error(), strconv.Itoa(pid)) || len(faults)+len(notes) > 0 {
			t.Errorf("got %v, %v, %v, want an error that names the process", err, faults, notes)
		}
		h.must(f.Close())
	}
	if diff := cmp.Diff(before, h.tree()); diff != "" {
		t.Errorf("something changed:\n%s", diff)
	}
}

func TestALookAtADirectoryOfTusdMakesNothing(t *testing.T) {
	h := &home{T: t, dir: t.TempDir(), flat: true, ids: make(map[string]upload.ID)}
	h.fillByTusd()
	before := h.tree()
	if faults, notes := h.check(false); len(faults)+len(notes) > 0 {
		t.Errorf("got %+v, %+v", faults, notes)
	}
	if diff := cmp.Diff(before, h.tree()); diff != "" {
		t.Errorf("something changed:\n%s", diff)
	}
}

func TestFsckIsRefusedWhileAServerHoldsTheDirectory(t *testing.T) {
	h := newHome(t, false)
	f := h.open()
	defer f.Close()
	for _, repair := range []bool{false, true} {
		if _, err := store.Examine(h.options(), repair); !errors.Is(err, durable.ErrHeld) {
			t.Errorf("got %v, want %v", err, durable.ErrHeld)
		}
	}
}

func TestFsckEndsWithItsContext(t *testing.T) {
	for _, flat := range []bool{true, false} {
		h := newHome(t, flat)
		for what := range h.ids {
			writeFile(t, h.at(what, ".info.tmp"), "x")
		}
		f, err := store.Examine(h.options(), true)
		h.must(err)
		ctx, cancel := context.WithCancel(t.Context())
		told := 0
		_, err = f.Fsck(ctx, true, func(store.Fault) { told++; cancel() })
		if !errors.Is(err, context.Canceled) || told != 1 {
			t.Errorf("flat %t: got %v after %d faults, want %v after 1", flat, err, told, context.Canceled)
		}
		h.must(f.Close())
	}
}

// onFaults is the home as a file system with faults.
func (h *home) onFaults(blind bool) (*faultfs.FS, *store.File) {
	h.Helper()
	root, err := durable.OpenRoot(h.dir)
	h.must(err)
	h.Cleanup(func() { root.Close() })
	fsys := faultfs.New(root)
	fsys.Blind = blind
	return fsys, store.ExamineOn(fsys, h.options())
}

func TestAfterAPowerCutOnlySyncedBytesCountWhereHolesAreNotReported(t *testing.T) {
	h := newHome(t, false)
	for what := range h.ids {
		if info, err := os.Stat(h.at(what, "")); err == nil {
			h.record(what, func(_, ours map[string]any) { ours["synced"] = info.Size() })
		}
	}
	h.record("receiving", func(_, ours map[string]any) { ours["synced"] = 4000 })
	h.powerCut(false)
	before := beside(h.tree(), h.ids["receiving"])
	for i, repair := range []bool{false, true, true} {
		_, f := h.onFaults(true)
		faults, _, err := collect(t.Context(), f, repair)
		h.must(err)
		found := len(faults) == 1 && faults[0].Invariant == invBytes && strings.Contains(faults[0].Problem, "4000 of 4800 bytes are provable")
		if i < 2 && !found || i == 2 && len(faults) > 0 {
			t.Errorf("run %d: got %+v", i, faults)
		}
		if info, err := os.Stat(h.at("receiving", "")); err != nil || (info.Size() == 4000) != repair {
			t.Errorf("run %d: the file ends at %d, %v", i, info.Size(), err)
		}
	}
	if diff := cmp.Diff(before, beside(h.tree(), h.ids["receiving"])); diff != "" {
		t.Errorf("other uploads changed:\n%s", diff)
	}
	stands("receiving", upload.Receiving, 4000, false)(h, h.open())
}

func TestWhatCannotBeReadIsNamedAndLeftAlone(t *testing.T) {
	h := newHome(t, false)
	before := h.tree()
	for _, tt := range []struct{ op, file, invariant string }{
		{"ReadFile", h.at("ready", ".info"), invRead},
		{"OpenFile", h.at("ready", ""), invOpen},
		{"File.Stat", h.at("ready", ""), invOpen},
		{"File.FirstHole", h.at("ready", ""), invOpen},
		{"List", filepath.Dir(h.at("ready", "")), invFan},
	} {
		t.Run(tt.op, func(t *testing.T) {
			for _, repair := range []bool{false, true} {
				fsys, f := h.onFaults(false)
				name, err := filepath.Rel(h.dir, tt.file)
				h.must(err)
				fsys.Fail(func(op faultfs.Op) (faultfs.How, error) {
					if op.Name == tt.op && op.Path == name {
						return faultfs.Refused, syscall.EACCES
					}
					return faultfs.Refused, nil
				})
				faults, _, err := collect(t.Context(), f, repair)
				h.must(err)
				if len(faults) != 1 || faults[0].Invariant != tt.invariant || faults[0].Mendable {
					t.Fatalf("got %+v, want %q alone", faults, tt.invariant)
				}
				if !strings.Contains(faults[0].Problem, "permission denied") {
					t.Errorf("got %q, want the reason", faults[0].Problem)
				}
			}
		})
	}
	if diff := cmp.Diff(besideOwn(before), besideOwn(h.tree())); diff != "" {
		t.Errorf("something changed:\n%s", diff)
	}
}

func TestWhatCannotBeListedIsAnError(t *testing.T) {
	h := newHome(t, false)
	for _, op := range []string{"List"} {
		fsys, f := h.onFaults(false)
		fsys.Fail(onPath(op, ".", syscall.EIO, 1))
		if _, _, err := collect(t.Context(), f, true); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: got %v, want %v", op, err, syscall.EIO)
		}
	}
}

// A full disk cannot be tried, and a torn mark does not tell what the last try was.
func TestOnAFullDiskATornMarkIsLeft(t *testing.T) {
	h := newHome(t, false)
	setMark(t, h.dir, "{")
	before := beside(h.tree(), "")
	fsys, f := h.onFaults(false)
	fsys.Fail(func(op faultfs.Op) (faultfs.How, error) {
		if op.Name == "File.WriteAt" {
			return faultfs.Refused, syscall.ENOSPC
		}
		return faultfs.Refused, nil
	})
	faults, _, err := collect(t.Context(), f, true)
	h.must(err)
	if len(faults) != 1 || faults[0].Invariant != invMark || faults[0].Mendable {
		t.Errorf("got %+v, want the mark alone, left to a person", faults)
	}
	if diff := cmp.Diff(before, beside(h.tree(), "")); diff != "" {
		t.Errorf("something changed:\n%s", diff)
	}
}

func TestWhereNothingIsDurableAPowerCutMayTakeWhatWasChecked(t *testing.T) {
	h := newHome(t, true)
	h.record("checked", func(_, ours map[string]any) { ours["synced"] = 0 })
	h.must(os.Truncate(h.at("checked", ""), 100))
	o := h.options()
	o.Durable = false
	f, err := store.Examine(o, true)
	h.must(err)
	if faults, _, err := collect(t.Context(), f, true); len(faults) > 0 || err != nil {
		t.Errorf("got %+v, %v", faults, err)
	}
	h.must(f.Close())
}

// What a crash leaves between two steps must not be taken for something else.
func TestARepairTakesItsStepsInTheRightOrder(t *testing.T) {
	healthy := newHome(t, false)
	zz := func(h *home, suffix string) string { return filepath.Join(h.dir, "zz", string(h.ids["ready"])+suffix) }
	for _, tt := range []struct {
		name, op string
		spoil    func(h *home)
		want     []string // suffixes
	}{
		{"bytes without a record might be swept, so it is moved aside last", "Rename", func(h *home) {
			h.must(os.Truncate(h.at("ready", ".info"), 0))
		}, []string{"", ".64", ".info"}},
		{"and moved to the right place first", "Rename", func(h *home) {
			for _, suffix := range []string{"", ".64", ".info"} {
				h.rename(h.at("ready", suffix), zz(h, suffix))
			}
		}, []string{".info", "", ".64"}},
		{"a removal is over when its record goes", "Remove", func(h *home) {
			h.rename(h.at("ready", ".info"), h.at("ready", ".gone"))
		}, []string{"", ".64", ".gone"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := healthy.copyOf(t, "ready")
			tt.spoil(h)
			fsys, f := h.onFaults(false)
			_, _, err := collect(t.Context(), f, true)
			h.must(err)
			var got []string
			for _, op := range fsys.Ops() {
				if suffix, found := strings.CutPrefix(op.Base(), string(h.ids["ready"])); found && op.Name == tt.op {
					got = append(got, suffix)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAMoveThatFailsIsTakenBack(t *testing.T) {
	h := newHome(t, false)
	for _, suffix := range []string{"", ".64", ".info"} {
		h.rename(h.at("ready", suffix), filepath.Join(h.dir, "zz", string(h.ids["ready"])+suffix))
	}
	before := beside(h.tree(), "")
	for _, suffix := range []string{".info", "", ".64"} {
		for _, how := range []faultfs.How{faultfs.Refused, faultfs.Unsaid} {
			fsys, f := h.onFaults(false)
			plan := onPath("Rename", string(h.ids["ready"])+suffix, syscall.EIO, 1)
			fsys.Fail(func(op faultfs.Op) (faultfs.How, error) {
				_, err := plan(op)
				return how, err
			})
			faults, _, err := collect(t.Context(), f, true)
			h.must(err)
			if len(faults) != 1 || faults[0].Repaired || !strings.Contains(faults[0].Remedy, syscall.EIO.Error()) {
				t.Errorf("%s: got %+v, want one that could not be repaired", suffix, faults)
			}
			if diff := cmp.Diff(before, beside(h.tree(), "")); diff != "" {
				t.Errorf("%s, %s: something changed:\n%s", suffix, how, diff)
			}
		}
	}
}

// changing are the operations that change something; flushing are those without which a change may be lost.
var (
	changing = []string{"Create", "Mkdir", "Remove", "Rename", "File.WriteAt", "File.Truncate"}
	flushing = []string{"SyncDir", "File.Datasync", "File.Close"}
)

// A repair that fails, or is cut short by a crash, at any step leaves nothing that another repair would not mend, with the same
// outcome.
func TestARepairThatFailsCanBeBegunAgain(t *testing.T) {
	if raced() {
		t.Skip("a repair is one goroutine's work")
	}
	for _, flat := range []bool{true, false} {
		healthy := newHome(t, flat)
		for _, row := range breaks {
			if row.left || flat != (row.only == layout(true)) {
				continue
			}
			t.Run(layout(flat)+"/"+row.name, func(t *testing.T) {
				t.Parallel()
				home := func() *home {
					if row.all { // it is about others too
						return healthy.copy(t)
					}
					return healthy.copyOf(t, append(row.with, "ready", row.victim)...)
				}
				for k := 1; row.failAt(home(), k, faultfs.Refused, slices.Concat(changing, flushing)); k++ {
				}
				for k := 1; row.failAt(home(), k, faultfs.Fatal, changing); k++ {
				}
			})
		}
	}
}

// failAt fails the k-th of some operations of a repair. It returns false if there is none.
func (b *brk) failAt(h *home, k int, how faultfs.How, ops []string) bool {
	h.Helper()
	good := beside(h.tree(), h.ids[b.victim])
	b.spoil(h)
	fsys, f := h.onFaults(false)
	n := 0
	var at faultfs.Op
	fsys.Fail(func(op faultfs.Op) (faultfs.How, error) {
		if op.Path == ".sluice/probe" || !slices.Contains(ops, op.Name) {
			return how, nil
		}
		if n++; n != k {
			return how, nil
		}
		at = op
		return how, faultfs.ErrInjected
	})
	_, _, err := collect(h.Context(), f, true)
	if n < k {
		h.must(err)
		return false
	}
	h.check(true)
	if faults, _ := h.check(false); len(faults) > 0 {
		h.Errorf("%s at %s: got %+v in the end", how, at, faults)
	}
	if diff := cmp.Diff(good, beside(h.tree(), h.ids[b.victim])); diff != "" && !b.all {
		h.Errorf("%s at %s: other uploads changed:\n%s", how, at, diff)
	}
	defer func() {
		if h.Failed() {
			h.Logf("%s at %s", how, at)
		}
	}()
	b.usable(h)
	return !h.Failed()
}

// BenchmarkFsck looks at uploads as they mostly are: ready, and fanned out.
func BenchmarkFsck(b *testing.B) {
	const uploads = 10_000
	o := store.Options{Dir: b.TempDir(), Profile: "test", Metrics: store.NewMetrics(), Logger: quiet}
	f, err := store.Open(o)
	for range uploads {
		id := upload.NewID()
		if err == nil {
			err = f.Create(upload.Record{ID: id, Length: 5})
		}
		if err == nil {
			_, err = f.WriteChunk(id, 0, strings.NewReader("whole"), upload.Check{})
		}
		if err == nil {
			_, err = f.Complete(id)
		}
		if err == nil {
			_, err = f.Publish(id, upload.Outcome{MediaType: "text/plain"})
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		f, err := store.Examine(o, true)
		if err != nil {
			b.Fatal(err)
		}
		n, err := f.Fsck(b.Context(), false, func(one store.Fault) { b.Error(one) })
		if err = errors.Join(err, f.Close()); n != uploads || err != nil {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(uploads)*float64(b.N)/b.Elapsed().Seconds(), "uploads/s")
}
