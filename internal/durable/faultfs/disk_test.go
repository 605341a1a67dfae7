package faultfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"sluice/internal/durable"
	"sluice/internal/durable/faultfs"
)

const pageSize = 4096

// must is for what cannot fail.
func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// kind is an error as a caller tells it from others.
func kind(err error) string {
	for _, of := range []error{fs.ErrNotExist, fs.ErrExist, fs.ErrClosed, io.EOF} {
		if errors.Is(err, of) {
			return of.Error()
		}
	}
	return map[bool]string{true: "ok", false: "another error"}[err == nil]
}

// acts are what can be done to a file system, each with a result that can be compared.
var acts = []func(fsys durable.FS, name, other string, n int) string{
	func(fsys durable.FS, name, _ string, n int) string { return kind(fsys.Mkdir(name)) },
	func(fsys durable.FS, name, _ string, n int) string { return kind(fsys.Remove(name)) },
	func(fsys durable.FS, name, other string, n int) string {
		if info, err := fsys.Stat(name); err == nil && info.IsDir() {
			return "no file"
		}
		return kind(fsys.Rename(name, other))
	},
	func(fsys durable.FS, name, _ string, n int) string {
		raw, err := fsys.ReadFile(name)
		return kind(err) + string(raw)
	},
	func(fsys durable.FS, name, _ string, n int) string {
		info, err := fsys.Stat(name)
		if err != nil || info.IsDir() {
			return kind(err)
		}
		return fmt.Sprint(info.Name(), info.Size(), info.Mode())
	},
	func(fsys durable.FS, name, _ string, n int) string {
		return kind(fsys.SyncDir(name))
	},
	func(fsys durable.FS, name, _ string, n int) string {
		flag := []int{os.O_WRONLY, os.O_WRONLY | os.O_CREATE, os.O_WRONLY | os.O_CREATE | os.O_EXCL, os.O_WRONLY | os.O_TRUNC}[n%4]
		return kind(fsys.Write(name, flag, bytes.Repeat([]byte{byte('a' + n%26)}, n)))
	},
	func(fsys durable.FS, name, _ string, n int) string {
		entries, err := durable.ReadDir(fsys, name)
		var list []string
		for _, e := range entries {
			list = append(list, fmt.Sprint(e.Name(), e.IsDir()))
		}
		slices.Sort(list)
		return fmt.Sprint(kind(err), list)
	},
	func(fsys durable.FS, name, _ string, n int) string {
		return change(fsys, name, os.O_RDWR|os.O_CREATE, func(f durable.File) error {
			_, err := f.WriteAt(bytes.Repeat([]byte{byte('a' + n%26)}, n), int64(n/2))
			return err
		})
	},
	func(fsys durable.FS, name, _ string, n int) string {
		return change(fsys, name, os.O_RDWR, func(f durable.File) error { return f.Truncate(int64(n)) })
	},
	func(fsys durable.FS, name, _ string, n int) string {
		return change(fsys, name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, func(f durable.File) error { return f.Datasync() })
	},
	func(fsys durable.FS, name, _ string, n int) string {
		return change(fsys, name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, func(f durable.File) error {
			_, err := f.WriteAt([]byte("new"), 0)
			_, unreadable := f.ReadAt(make([]byte, 1), 0)
			return errors.Join(err, errors.New(kind(unreadable)))
		})
	},
	func(fsys durable.FS, name, _ string, n int) string {
		r, err := fsys.Open(name)
		if err != nil {
			return kind(err)
		}
		if info, err := r.Stat(); err == nil && info.IsDir() {
			return kind(errors.Join(errors.New("a directory"), r.Close()))
		}
		end, err := r.Seek(-int64(n/100), io.SeekEnd)
		raw, readErr := io.ReadAll(r)
		at := make([]byte, 10)
		m, atErr := r.ReadAt(at, int64(n))
		return fmt.Sprint(end, kind(err), kind(readErr), string(raw), kind(atErr), string(at[:m]), kind(r.Close()), kind(r.Close()))
	},
}

// change opens a file, does something, and tells what came of it.
func change(fsys durable.FS, name string, flag int, do func(durable.File) error) string {
	f, err := fsys.OpenFile(name, flag)
	if err != nil {
		return kind(err)
	}
	done := kind(do(f))
	info, err := f.Stat()
	all := make([]byte, info.Size())
	n, _ := f.ReadAt(all, 0)
	return fmt.Sprint(done, kind(err), info.Size(), string(all[:n]), kind(f.Close()), kind(f.Close()))
}

func TestADiskIsLikeARealDirectory(t *testing.T) {
	names := []string{"a", "b", "dir", "dir/a", "dir/b", "other", "other/a", ".", "none/a"}
	for seed := range uint64(10) {
		root, err := durable.OpenRoot(t.TempDir())
		must(t, err)
		disk, dice := faultfs.NewDisk(), rand.New(rand.NewPCG(seed, 0))
		must(t, root.Mkdir("dir"), disk.Mkdir("dir"))
		for i := range 300 {
			act, n := dice.IntN(len(acts)), dice.IntN(3*pageSize)
			name, other := names[dice.IntN(len(names))], names[dice.IntN(len(names))]
			got, want := acts[act](disk, name, other, n), acts[act](root, name, other, n)
			if got != want {
				t.Fatalf("seed %d, act %d: %d on %s, %s with %d: got %.80q, want %.80q", seed, i, act, name, other, n, got, want)
			}
		}
		must(t, root.Close())
	}
}

func TestADiskReportsHoles(t *testing.T) {
	if holes, err := durable.ReportsHoles(faultfs.NewDisk(), "probe"); err != nil || !holes {
		t.Errorf("got %t, %v, want true", holes, err)
	}
}

// work is what is done to a disk before its power is cut, in short words.
type work struct {
	*testing.T
	*faultfs.Disk
}

// write puts n pages, or for a fraction less, of c at page from.
func (w work) write(name, c string, from, n float64) {
	w.Helper()
	f, err := w.OpenFile(name, os.O_RDWR|os.O_CREATE)
	must(w.T, err)
	_, err = f.WriteAt(bytes.Repeat([]byte(c), int(n*pageSize)), int64(from*pageSize))
	f.Writeback(0, 1<<20) // promises nothing
	must(w.T, err, f.Close())
}

func (w work) truncate(name string, pages float64) {
	w.Helper()
	f, err := w.OpenFile(name, os.O_RDWR)
	must(w.T, err)
	must(w.T, f.Truncate(int64(pages*pageSize)), f.Close())
}

func (w work) sync(name string) {
	w.Helper()
	f, err := w.OpenFile(name, os.O_RDWR)
	must(w.T, err)
	must(w.T, f.Datasync(), f.Close())
}

// shape is a file in short: a letter for each half page, "0" for zeros, "." for what was never written, "~~" for a page of which
// some sectors are old.
func shape(t *testing.T, d *faultfs.Disk, name string) string {
	raw, err := d.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "none"
	}
	f, openErr := d.OpenFile(name, os.O_RDWR)
	must(t, err, openErr)
	hole, err := f.FirstHole()
	must(t, err, f.Close())
	var s strings.Builder
	for off := 0; off < len(raw); off += pageSize {
		page := raw[off:min(len(raw), off+pageSize)]
		first, second := halfShape(page[:min(len(page), pageSize/2)]), halfShape(page[min(len(page), pageSize/2):])
		switch torn := first == "?" || second == "?" || first+second == "AB" || first+second == "BA"; {
		case torn:
			s.WriteString("~~")
		case int64(off) >= hole:
			s.WriteString(strings.ReplaceAll(first+second, "0", "."))
		default:
			s.WriteString(first + second)
		}
	}
	return s.String()
}

func halfShape(half []byte) string {
	switch {
	case len(half) == 0:
		return ""
	case len(bytes.Trim(half, string(half[0]))) > 0:
		return "?"
	case half[0] == 0:
		return "0"
	}
	return string(half[0])
}

func TestAPowerCutTakesWhatIsNotSyncedInEveryWay(t *testing.T) {
	for _, tt := range []struct {
		name  string
		do    func(w work)
		files string // that are looked at
		want  string // every outcome, and no other
	}{
		{"a new file", func(w work) { w.write("f", "A", 0, 1); w.sync("f") }, "f", "none|AA"},
		{"a new file and its bytes", func(w work) { w.write("f", "A", 0, 1) }, "f", "none||AA|.."},
		{"all synced", func(w work) { w.write("f", "A", 0, 1); w.sync("f"); w.SyncDir(".") }, "f", "AA"},
		{"all flushed", func(w work) { w.Mkdir("d"); w.write("d/f", "A", 0, 1); w.Flush() }, "d/f", "AA"},
		{"two pages", func(w work) { w.write("old", "A", 1, 2) }, "old", "AA|AAAA|AA..|AAAAAA|AA..AA|AAAA..|AA...."},
		{"a page over another", func(w work) { w.write("old", "B", 0, 1) }, "old", "AA|BB|~~"},
		{"a page that grows", func(w work) { w.write("half", "A", .5, .5) }, "half", "A|AA|A0|~~"},
		{"cut", func(w work) { w.write("two", "A", 0, 2); w.sync("two"); w.truncate("two", 1) }, "two", "AAAA|AA"},
		{"cut and grown", func(w work) { w.truncate("two", 1); w.truncate("two", 2) }, "two", "AAAA|AA|AA.."},
		{"cut and written to", func(w work) { w.truncate("two", 1); w.write("two", "B", 1, 1) }, "two", "AAAA|AA|AABB|AA.."},
		{"cut to nothing and written to", func(w work) { w.truncate("old", 0); w.write("old", "B", 0, .5) }, "old", "AA||B|."},
		{"removed", func(w work) { w.Remove("old") }, "old", "AA|none"},
		{"renamed", func(w work) { w.Rename("old", "new") }, "old new", "AA none|none AA"},
		{"replaced", func(w work) { w.write("f", "B", 0, 1); w.sync("f"); w.Rename("f", "old") }, "old", "AA|BB"},
		{"replaced by what is not synced", func(w work) { w.write("f", "B", 0, 1); w.Rename("f", "old") }, "old", "AA||..|BB"},
		{"two names", func(w work) { w.write("f", "B", 0, 0); w.write("g", "C", 0, 0) }, "f g", "none none| none|none | "},
		{"in a directory of unknown fate", func(w work) { w.Mkdir("d"); w.write("d/f", "A", 0, 1); w.sync("d/f"); w.SyncDir("d") }, "d/f", "none|AA"},
		{"nothing", func(w work) {}, "old half two", "AA A AAAA"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := strings.Split(tt.want, "|")
			seen := make(map[string]uint64)
			for seed := range uint64(400) {
				d := faultfs.NewDisk()
				w := work{t, d}
				w.write("old", "A", 0, 1)
				w.write("half", "A", 0, .5)
				w.write("two", "A", 0, 2)
				must(t, d.Flush())
				tt.do(w)
				d.PowerCut(seed)
				var got []string
				for _, name := range strings.Fields(tt.files) {
					got = append(got, shape(t, d, name))
				}
				outcome := strings.Join(got, " ")
				if _, known := seen[outcome]; !known {
					seen[outcome] = seed
				}
			}
			got := slices.Sorted(maps.Keys(seen))
			slices.Sort(want)
			if !slices.Equal(got, slices.Compact(want)) {
				t.Errorf("got %q, want %q; first seeds: %v", got, want, seen)
			}
		})
	}
}

func TestWhereTheLengthComesLastZerosAreHoles(t *testing.T) {
	seen := make(map[string]bool)
	for seed := range uint64(400) {
		d := faultfs.NewDisk()
		d.LengthLast = true
		w := work{t, d}
		w.write("f", "A", 0, .5)
		must(t, d.Flush())
		w.write("f", "A", .5, 1)
		d.PowerCut(seed)
		seen[shape(t, d, "f")] = true
	}
	if got, want := slices.Sorted(maps.Keys(seen)), []string{"A", "AA", "AA.", "AAA"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNamesAreLostInOrderOrItIsSaid(t *testing.T) {
	seen := make(map[string]bool)
	for seed := range uint64(200) {
		d := faultfs.NewDisk()
		w := work{t, d}
		must(t, d.Mkdir("d"), d.Flush())
		w.write("d/first", "", 0, 0)
		w.write("second", "", 0, 0)
		loss := d.PowerCut(seed)
		seen[fmt.Sprint(shape(t, d, "d/first"), shape(t, d, "second"), loss.InOrder)] = true
	}
	for _, disorder := range []string{"none  true", "none true"} {
		if seen[disorder] {
			t.Errorf("%q: the first name is lost, the second is not, and that is called order", disorder)
		}
	}
	if !seen["nonefalse"] && !seen["none false"] {
		t.Errorf("never was the first name lost and the second kept: %v", seen)
	}
}

func TestAPowerCutIsTheSameForTheSameSeed(t *testing.T) {
	outcome := func(seed uint64) string {
		d := faultfs.NewDisk()
		w := work{t, d}
		for i := range 20 {
			name := fmt.Sprint("f", i)
			w.write(name, "A", 0, 2)
			w.sync(name)
			w.write(name, "B", 0, 3)
		}
		loss := d.PowerCut(seed).String()
		for i := range 20 {
			loss += shape(t, d, fmt.Sprint("f", i))
		}
		return loss
	}
	for seed := range uint64(20) {
		if got, want := outcome(seed), outcome(seed); got != want {
			t.Errorf("seed %d: got %s, then %s", seed, want, got)
		}
	}
}

func TestFilesOpenAtAPowerCutBelongToThePast(t *testing.T) {
	d := faultfs.NewDisk()
	w := work{t, d}
	w.write("f", "A", 0, 1)
	must(t, d.Flush())
	f, err := d.OpenFile("f", os.O_RDWR)
	must(t, err)
	d.PowerCut(0)
	_, err = f.WriteAt([]byte("B"), 0)
	must(t, err, f.Datasync(), f.Truncate(0))
	if got := shape(t, d, "f"); got != "AA" {
		t.Errorf("got %q, want AA", got)
	}
}

func TestARefusedSyncMakesTheNextOneLie(t *testing.T) {
	for _, tt := range []struct {
		name string
		then func(f durable.File) error // after the first, refused, sync of B over A
		want string
	}{
		{"nothing", func(durable.File) error { return nil }, "AA|BB|~~"},
		{"written again", func(f durable.File) error { return write(f, "B") }, "BB"},
		{"cut away", func(f durable.File) error { return errors.Join(f.Truncate(0), write(f, "B")) }, "BB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seen := make(map[string]bool)
			for seed := range uint64(400) {
				d := faultfs.NewDisk()
				w := work{t, d}
				w.write("f", "A", 0, 1)
				must(t, d.Flush())
				faulty := faultfs.New(d)
				f, err := faulty.OpenFile("f", os.O_RDWR)
				must(t, err, write(f, "B"))
				faulty.FailAt(1, faultfs.Refused)
				if err := f.Datasync(); !errors.Is(err, faultfs.ErrInjected) {
					t.Fatalf("got %v, want %v", err, faultfs.ErrInjected)
				}
				must(t, tt.then(f), f.Datasync(), f.Close())
				d.PowerCut(seed)
				seen[shape(t, d, "f")] = true
			}
			want := strings.Split(tt.want, "|")
			slices.Sort(want)
			if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// write writes a page of c.
func write(f durable.File, c string) error {
	_, err := f.WriteAt(bytes.Repeat([]byte(c), pageSize), 0)
	return err
}

func TestADeadProcessDoesNothing(t *testing.T) {
	for how, want := range map[faultfs.How]string{faultfs.Killed: "", faultfs.Fatal: "AA"} {
		d := faultfs.NewDisk()
		faulty := faultfs.New(d)
		f, err := faulty.OpenFile("f", os.O_RDWR|os.O_CREATE)
		must(t, err)
		faulty.FailAt(1, how)
		for name, err := range map[string]error{
			"write": write(f, "AA"), "write again": write(f, "B"), "sync": f.Datasync(), "cut": f.Truncate(1 << 20),
			"rename": faulty.Rename("f", "g"), "make": faulty.Mkdir("d"), "flush": faulty.Flush(),
		} {
			if !errors.Is(err, faultfs.ErrInjected) {
				t.Errorf("%s: %s: got %v, want %v", how, name, err, faultfs.ErrInjected)
			}
		}
		if got := shape(t, d, "f"); got != want || !faulty.Dead() {
			t.Errorf("%s: file is %q, want %q; dead: %t", how, got, want, faulty.Dead())
		}
	}
}

// What durable.WriteFile promises, held against every way to lose it.
func TestAFileIsReplacedWholeWhereverThePowerIsCut(t *testing.T) {
	before, after := strings.Repeat("before", 1500), strings.Repeat("after it", 1000)
	for k := 1; ; k++ {
		ops := 0
		for seed := range uint64(100) {
			d := faultfs.NewDisk()
			must(t, durable.WriteFile(d, "f", []byte(before), true))
			faulty := faultfs.New(d)
			faulty.FailAt(k, []faultfs.How{faultfs.Killed, faultfs.Fatal}[seed%2])
			err := durable.WriteFile(faulty, "f", []byte(after), true)
			ops = len(faulty.Ops())
			loss := d.PowerCut(seed)
			raw, readErr := d.ReadFile("f")
			if got := string(raw); readErr != nil || got != after && (err == nil || got != before) {
				t.Fatalf("at %d, %v: answered %v, then the file is %.20q..., %v", k, loss, err, got, readErr)
			}
		}
		if ops < k {
			break
		}
	}
}
