package durable_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/internal/durable"
	"sluice/internal/durable/faultfs"
)

// holdEnv makes the test binary another process, which holds a directory until its input ends.
const holdEnv = "SLUICE_TEST_HOLD"

func TestMain(m *testing.M) {
	dir, child := os.LookupEnv(holdEnv)
	if !child {
		os.Exit(m.Run())
	}
	f, err := durable.Hold(dir, "lock")
	if err != nil {
		os.Exit(1)
	}
	os.Stdout.WriteString("up\n")
	io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(f)
}

func openRoot(t *testing.T) (*durable.Root, string) {
	t.Helper()
	dir := t.TempDir()
	root, err := durable.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root, dir
}

// names are what is in dir.
func names(t *testing.T, fsys durable.FS, dir string) (list []string) {
	t.Helper()
	entries, err := durable.ReadDir(fsys, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	slices.Sort(list)
	return list
}

func TestWriteFileReplacesAFileWhole(t *testing.T) {
	root, _ := openRoot(t)
	if err := root.Mkdir("sub"); err != nil {
		t.Fatal(err)
	}
	for _, sync := range []bool{true, false} {
		for _, want := range []string{"", "first", "a longer second", "short"} {
			for _, name := range []string{"file", "sub/file"} {
				if err := durable.WriteFile(root, name, []byte(want), sync); err != nil {
					t.Fatal(err)
				}
				if got, err := root.ReadFile(name); err != nil || string(got) != want {
					t.Errorf("%s is %q, %v, want %q", name, got, err, want)
				}
			}
		}
	}
	if got := names(t, root, "sub"); !slices.Equal(got, []string{"file"}) {
		t.Errorf("left: %q", got)
	}
}

func TestWriteFileOverwritesWhatACrashLeft(t *testing.T) {
	root, _ := openRoot(t)
	if err := durable.WriteFile(root, "file.tmp", bytes.Repeat([]byte("x"), 100), false); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(root, "file", []byte("new"), true); err != nil {
		t.Fatal(err)
	}
	if got, err := root.ReadFile("file"); err != nil || string(got) != "new" {
		t.Errorf("got %q, %v, want new", got, err)
	}
}

func TestWriteFileFailsWithTheOldOrTheNewAndNothingElse(t *testing.T) {
	for _, how := range []faultfs.How{faultfs.Refused, faultfs.Unsaid, faultfs.Fatal} {
		for _, sync := range []bool{true, false} {
			for k := 1; ; k++ {
				root, _ := openRoot(t)
				if err := durable.WriteFile(root, "file", []byte("the old"), sync); err != nil {
					t.Fatal(err)
				}
				faulty := faultfs.New(root)
				faulty.FailAt(k, how)
				err := durable.WriteFile(faulty, "file", []byte("something new"), sync)
				if len(faulty.Ops()) < k {
					break
				}
				op := faulty.Ops()[k-1]
				if !errors.Is(err, faultfs.ErrInjected) {
					t.Errorf("%s %s: got %v, want %v", how, op, err, faultfs.ErrInjected)
				}
				want := "the old"
				if op.Name == "SyncDir" || op.Name == "Rename" && how == faultfs.Unsaid {
					want = "something new"
				}
				if got, err := root.ReadFile("file"); err != nil || string(got) != want {
					t.Errorf("%s %s: file is %q, %v, want %q", how, op, got, err, want)
				}
				if got := names(t, root, "."); how == faultfs.Refused && !slices.Equal(got, []string{"file"}) {
					t.Errorf("%s %s: left %q, want the file alone", how, op, got)
				}
			}
		}
	}
}

func TestWriteMakesAFileOrWritesOverIt(t *testing.T) {
	root, dir := openRoot(t)
	const makes = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if err := errors.Join(root.Mkdir("sub"), os.Symlink("file", filepath.Join(dir, "link")), unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name string
		flag int
		data string
		err  error
		want string
	}{
		{"sub/file", os.O_WRONLY, "x", fs.ErrNotExist, ""},
		{"sub/file", makes, "something", nil, "something"},
		{"sub/file", makes, "else", fs.ErrExist, "something"},
		{"sub/file", os.O_WRONLY, "any", nil, "anyething"},
		{"file", makes, "", nil, ""},
		{"file", os.O_WRONLY | os.O_CREATE | os.O_TRUNC, "abc", nil, "abc"},
		{"link", os.O_WRONLY, "x", unix.ELOOP, "abc"},
		{"pipe", os.O_WRONLY, "x", unix.ENXIO, ""},
		{"none/file", makes, "x", fs.ErrNotExist, ""},
		{"file/file", makes, "x", unix.ENOTDIR, ""},
	} {
		if err := root.Write(step.name, step.flag, []byte(step.data)); !errors.Is(err, step.err) {
			t.Errorf("%s: got %v, want %v", step.name, err, step.err)
		}
		if step.name == "pipe" {
			continue
		}
		if got, _ := root.ReadFile(step.name); string(got) != step.want {
			t.Errorf("%s is %q, want %q", step.name, got, step.want)
		}
	}
}

func TestWriteFileSyncsInOrder(t *testing.T) {
	root, _ := openRoot(t)
	faulty := faultfs.New(root)
	if err := durable.WriteFile(faulty, "file", []byte("x"), true); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, op := range faulty.Ops() {
		got = append(got, op.Name)
	}
	want := []string{"Create", "File.WriteAt", "File.Datasync", "File.Close", "Rename", "SyncDir"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestADirectoryIsHeldByOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "on the way")
	f, err := durable.Hold(dir, "lock")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := durable.Hold(dir, "lock"); !errors.Is(err, durable.ErrHeld) {
		t.Errorf("again: got %v, want %v", err, durable.ErrHeld)
	}
	if other, err := durable.Hold(dir, "another lock"); err != nil {
		t.Error(err)
	} else {
		other.Close()
	}
	f.Close()
	if f, err = durable.Hold(dir, "lock"); err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func TestAHoldEndsWithItsProcess(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdEnv+"="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	if _, err := durable.Hold(dir, "lock"); !errors.Is(err, durable.ErrHeld) {
		t.Errorf("while it lives: got %v, want %v", err, durable.ErrHeld)
	}
	cmd.Process.Kill() // as hard as can be
	cmd.Wait()
	f, err := durable.Hold(dir, "lock")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func TestHoldsFailWhereNoDirectoryCanBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := durable.Hold(filepath.Join(file, "dir"), "lock"); err == nil || errors.Is(err, durable.ErrHeld) {
		t.Errorf("got %v, want another error", err)
	}
	if _, err := durable.OpenRoot(filepath.Join(file, "dir")); err == nil {
		t.Error("got nil, want an error")
	}
}

func TestReportsHolesLeavesNothing(t *testing.T) {
	root, _ := openRoot(t)
	reports, err := durable.ReportsHoles(root, "probe")
	t.Logf("holes are reported here: %t", reports)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, root, "."); len(got) > 0 {
		t.Errorf("left: %q", got)
	}
}

func TestReportsHolesSaysNoWhereNothingCanBeAllocated(t *testing.T) {
	root, _ := openRoot(t)
	blind := faultfs.New(root)
	blind.Blind = true
	if reports, err := durable.ReportsHoles(blind, "probe"); err != nil || reports {
		t.Errorf("got %t, %v, want false", reports, err)
	}
}

// liar is a file system with its own idea of where the first hole is.
type liar struct {
	durable.FS
	hole int64
	err  error
}

type liarFile struct {
	durable.File
	liar liar
}

func (l liar) OpenFile(name string, flag int) (durable.File, error) {
	f, err := l.FS.OpenFile(name, flag)
	return liarFile{f, l}, err
}

func (f liarFile) FirstHole() (int64, error)   { return f.liar.hole, f.liar.err }
func (f liarFile) Allocate(off, n int64) error { return f.Truncate(off + n) }

func TestReportsHolesBelievesOnlyTheTruth(t *testing.T) {
	root, _ := openRoot(t)
	for _, tt := range []struct {
		hole int64
		err  error
		want bool
	}{
		{1 << 20, nil, true},
		{0, nil, false},       // written zeros are called a hole
		{2 << 20, nil, false}, // unwritten space is called data
		{0, errors.ErrUnsupported, false},
	} {
		if got, err := durable.ReportsHoles(liar{root, tt.hole, tt.err}, "probe"); err != nil || got != tt.want {
			t.Errorf("hole at %d, %v: got %t, %v, want %t", tt.hole, tt.err, got, err, tt.want)
		}
	}
}

func TestReportsHolesTellsOfAFailingDisk(t *testing.T) {
	for k := 1; ; k++ {
		root, _ := openRoot(t)
		faulty := faultfs.New(root)
		faulty.FailAt(k, faultfs.Refused)
		_, err := durable.ReportsHoles(faulty, "probe")
		if len(faulty.Ops()) < k {
			break
		}
		if !errors.Is(err, faultfs.ErrInjected) {
			t.Errorf("%s: got %v, want %v", faulty.Ops()[k-1], err, faultfs.ErrInjected)
		}
	}
}

func TestTheFirstHoleIsWhereBytesWereNeverWritten(t *testing.T) {
	root, _ := openRoot(t)
	if reports, err := durable.ReportsHoles(root, "probe"); err != nil || !reports {
		t.Skipf("holes are not reported here: %v", err)
	}
	const block = 1 << 20
	for _, tt := range []struct {
		name          string
		written, size int64
		want          int64
	}{
		{"empty", 0, 0, 0},
		{"one byte", 1, 1, 1},
		{"full", block, block, block},
		{"odd", block + 17, block + 17, block + 17},
		{"nothing but length", 0, block, 0},
		{"a tail", block, 3 * block, block},
		{"shortened", 2 * block, block, block},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := root.OpenFile("file", os.O_RDWR|os.O_CREATE|os.O_TRUNC)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			_, err = f.WriteAt(make([]byte, tt.written), 0) // zeros that were written are no hole
			if err = errors.Join(err, f.Truncate(tt.size), f.Datasync()); err != nil {
				t.Fatal(err)
			}
			if got, err := f.FirstHole(); err != nil || got != tt.want {
				t.Errorf("got %d, %v, want %d", got, err, tt.want)
			}
		})
	}
}

func TestHintsAndSyncsChangeNothing(t *testing.T) {
	root, _ := openRoot(t)
	f, err := root.OpenFile("file", os.O_RDWR|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("abc"), 0); err != nil {
		t.Fatal(err)
	}
	f.Writeback(0, 3)
	f.Writeback(0, 1<<40)
	if err := errors.Join(f.Datasync(), root.SyncDir(".")); err != nil {
		t.Error(err)
	}
	if err := root.Flush(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	if got, err := root.ReadFile("file"); err != nil || string(got) != "abc" {
		t.Errorf("got %q, %v, want abc", got, err)
	}
}

func TestFreeIsWhatTheDiskHas(t *testing.T) {
	root, _ := openRoot(t)
	if free, err := root.Free(); err != nil || free <= 0 || free > 1<<56 {
		t.Errorf("got %d, %v", free, err)
	}
}

func TestABootHasOneName(t *testing.T) {
	if first, second := durable.BootID(), durable.BootID(); first != second || len(first) > 64 {
		t.Errorf("got %q, then %q", first, second)
	}
}

// ways are all that can be done to a name.
var ways = map[string]func(fsys durable.FS, name string) error{
	"Open": func(fsys durable.FS, name string) error { _, err := fsys.Open(name); return err },
	"OpenFile": func(fsys durable.FS, name string) error {
		_, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE)
		return err
	},
	"Write":       func(fsys durable.FS, name string) error { return fsys.Write(name+"/x", os.O_WRONLY|os.O_CREATE, nil) },
	"Write over":  func(fsys durable.FS, name string) error { return fsys.Write(name, os.O_WRONLY, []byte("y")) },
	"ReadFile":    func(fsys durable.FS, name string) error { _, err := fsys.ReadFile(name); return err },
	"Mkdir":       func(fsys durable.FS, name string) error { return fsys.Mkdir(name + "/new") },
	"Remove":      func(fsys durable.FS, name string) error { return fsys.Remove(name + "/secret") },
	"Rename from": func(fsys durable.FS, name string) error { return fsys.Rename(name+"/secret", "stolen") },
	"Rename to":   func(fsys durable.FS, name string) error { return fsys.Rename("mine", name+"/mine") },
	"Stat":        func(fsys durable.FS, name string) error { _, err := fsys.Stat(name); return err },
	"List":        func(fsys durable.FS, name string) error { _, err := durable.ReadDir(fsys, name); return err },
	"SyncDir":     func(fsys durable.FS, name string) error { return fsys.SyncDir(name) },
	"WriteFile":   func(fsys durable.FS, name string) error { return durable.WriteFile(fsys, name+"/x", nil, true) },
}

func TestNoNameLeadsOutOfTheDirectory(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	root, dir := openRoot(t)
	relative, err := filepath.Rel(dir, outside)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(os.Symlink(outside, filepath.Join(dir, "link")), os.Symlink(relative, filepath.Join(dir, "relative")),
		durable.WriteFile(root, "mine", nil, false), root.Mkdir("sub"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"..", relative, "sub/../../" + filepath.Base(outside), outside, "link", "link/.", "relative", "sub/../link"} {
		for way, do := range ways {
			if err := do(root, name); err == nil {
				t.Errorf("%s %s: got nil, want an error", way, name)
			}
		}
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
		t.Errorf("outside are %v, %v, want the secret alone", entries, err)
	}
}

func TestAbsenceAndPresenceHaveTheirErrors(t *testing.T) {
	root, _ := openRoot(t)
	if err := root.Mkdir("dir"); err != nil {
		t.Fatal(err)
	}
	_, openErr := root.Open("none")
	_, openFileErr := root.OpenFile("none", os.O_RDWR)
	_, readErr := root.ReadFile("none")
	_, statErr := root.Stat("none")
	_, listErr := durable.ReadDir(root, "none")
	for i, err := range []error{openErr, openFileErr, readErr, statErr, listErr, root.Remove("none"), root.Rename("none", "x"), root.SyncDir("none")} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%d: got %v, want %v", i, err, fs.ErrNotExist)
		}
	}
	_, err := root.OpenFile("dir", os.O_CREATE|os.O_EXCL|os.O_RDWR)
	for _, err := range []error{err, root.Mkdir("dir"), root.Write("dir", os.O_WRONLY|os.O_CREATE|os.O_EXCL, nil)} {
		if !errors.Is(err, fs.ErrExist) {
			t.Errorf("got %v, want %v", err, fs.ErrExist)
		}
	}
}

// TestAListIsWholeWhileItsFilesGo is of a directory larger than what is held of one: 20,000 names, each a quarter of a kilobyte long.
func TestAListIsWholeWhileItsFilesGo(t *testing.T) {
	root, _ := openRoot(t)
	const n = 20_000
	long := strings.Repeat("x", 240)
	for i := range n {
		if err := root.Write(fmt.Sprintf("%06d%s", i, long), os.O_WRONLY|os.O_CREATE|os.O_EXCL, nil); err != nil {
			t.Fatal(err)
		}
	}
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	seen, grown := make(map[string]bool, n), uint64(0)
	err := root.List(".", func(entry fs.DirEntry) error {
		seen[strings.Clone(entry.Name()[:6])] = true // not the whole of it
		if len(seen)%(n/10) == 1 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			grown = max(grown, now.HeapAlloc-min(now.HeapAlloc, before.HeapAlloc))
		}
		return root.Remove(entry.Name())
	})
	if left := names(t, root, "."); err != nil || len(seen) != n || len(left) > 0 {
		t.Errorf("%d of %d names, %d left, %v", len(seen), n, len(left), err)
	}
	if whole := uint64(n * len(long)); grown > whole/2 {
		t.Errorf("%d bytes are held, and all names have %d", grown, whole)
	}
}

func TestAListEndsWhenItIsTold(t *testing.T) {
	root, _ := openRoot(t)
	for _, name := range []string{"a", "b", "c"} {
		if err := durable.WriteFile(root, name, nil, false); err != nil {
			t.Fatal(err)
		}
	}
	enough, seen := errors.New("enough"), 0
	err := root.List(".", func(fs.DirEntry) error { seen++; return enough })
	if err != enough || seen != 1 {
		t.Errorf("seen %d, %v, want 1, %v", seen, err, enough)
	}
}

func TestWhatIsOpenedCanBeSentByTheKernel(t *testing.T) {
	root, _ := openRoot(t)
	if err := durable.WriteFile(root, "file", []byte("abc"), false); err != nil {
		t.Fatal(err)
	}
	r, err := root.Open("file")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := fmt.Sprintf("%T", r); got != "*os.File" {
		t.Errorf("got %s, want *os.File", got)
	}
}

func TestWhatIsMadeIsPrivate(t *testing.T) {
	root, _ := openRoot(t)
	if err := errors.Join(root.Mkdir("dir"), durable.WriteFile(root, "file", nil, false), root.Write("new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, nil)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dir", "file", "new"} {
		if info, err := root.Stat(name); err != nil || info.Mode().Perm()&0o007 != 0 {
			t.Errorf("%s: %v, %v, want nothing for others", name, info.Mode(), err)
		}
	}
}
