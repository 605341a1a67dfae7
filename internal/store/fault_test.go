package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"sluice/internal/durable"
	"sluice/internal/durable/faultfs"
	"sluice/internal/store"
	"sluice/internal/upload"
)

// The upload that everything fails on: larger than its head, in two chunks.
const victim upload.ID = "victim"

var (
	whole    = bytes.Repeat([]byte("0123456789abcdef"), 600)
	half     = int64(len(whole) / 2)
	picture  = []upload.VariantFile{{Variant: upload.Variant{Name: "64", MediaType: "image/png", Width: 64, Height: 64, Bytes: 3}, Data: []byte("abc")}}
	unwanted = upload.Reject(upload.CodeUnsupportedType, "No.")
)

// rig is a store on a directory with faults.
type rig struct {
	*testing.T
	dir     string
	blind   bool
	durable bool
	journal bool // else each file is synced by itself
	root    *durable.Root
	fs      *faultfs.FS
	s       *store.File
}

func newRig(t *testing.T, isDurable, blind bool) *rig {
	t.Helper()
	return (&rig{T: t, durable: isDurable, blind: blind}).begin()
}

// newJournalRig is a durable one with a journal.
func newJournalRig(t *testing.T) *rig {
	t.Helper()
	return (&rig{T: t, durable: true, journal: true}).begin()
}

func (r *rig) begin() *rig {
	r.Helper()
	t := r.T
	r.dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(r.dir, ".sluice"), 0o750); err != nil {
		t.Fatal(err)
	}
	r.open()
	t.Cleanup(func() { r.root.Close() })
	return r
}

func (r *rig) open() {
	r.Helper()
	r.openWith(nil)
}

// openWith opens the store on a directory with these faults.
func (r *rig) openWith(faults func(faultfs.Op) (faultfs.How, error)) {
	r.Helper()
	root, err := durable.OpenRoot(r.dir)
	if err != nil {
		r.Fatal(err)
	}
	r.root, r.fs = root, faultfs.New(root)
	r.fs.Fail(faults)
	r.fs.Blind, r.fs.NoFlush = r.blind, !r.journal
	r.s, err = store.OpenOn(r.fs, store.Options{Profile: "test", Flat: true, Durable: r.durable, Variants: []string{"64"},
		Judge: typed, Metrics: store.NewMetrics(), Logger: quiet}, nothing)
	if err != nil {
		r.Fatal(err)
	}
}

func nothing() error { return nil }

func typed([]byte) (string, error) { return "text/plain", nil }

// crash ends the process, or the power, and starts again.
func (r *rig) crash(power bool) {
	r.Helper()
	r.root.Close()
	if power {
		setMark(r.T, r.dir, otherBoot)
	}
	r.open()
}

// must fails the test if a step of its preparation failed.
func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) create() error { return r.s.Create(upload.Record{ID: victim, Length: int64(len(whole))}) }

func (r *rig) write(from, to int64) error {
	n, err := r.s.WriteChunk(victim, from, bytes.NewReader(whole[from:to]), upload.Check{})
	if rec, lookErr := r.s.Lookup(victim); lookErr == nil && rec.State == upload.Receiving && rec.Offset != from+n {
		r.Errorf("offset is %d, but %d bytes at %d were said to count", rec.Offset, n, from)
	}
	return err
}

// writeAll sends all bytes, and has the upload completed with them.
func (r *rig) writeAll() error {
	if _, err := r.s.WriteChunk(victim, 0, bytes.NewReader(whole), upload.Check{Whole: true}); err != nil {
		return err
	}
	_, err := r.s.Complete(victim)
	return err
}

// steps bring the victim from nothing to ready, each from where the one before leaves it.
func (r *rig) steps() []func() error {
	return []func() error{
		r.create,
		func() error { return r.write(0, half) },
		func() error { return r.write(half, int64(len(whole))) },
		func() error { _, err := r.s.Complete(victim); return err },
		func() error {
			_, err := r.s.Publish(victim, upload.Outcome{MediaType: "text/plain", Variants: picture})
			return err
		},
	}
}

// scenarios are what is disturbed: after so many steps an act, which leads from one state to another.
var scenarios = []struct {
	name  string
	after int // steps
	acked int64
	act   func(r *rig) error
	from  upload.State // "" is no upload
	to    upload.State
}{
	{"create", 0, 0, (*rig).create, "", upload.Receiving},
	{"first chunk", 1, 0, func(r *rig) error { return r.write(0, half) }, upload.Receiving, upload.Receiving},
	{"next chunk", 2, half, func(r *rig) error { return r.write(half, half+100) }, upload.Receiving, upload.Receiving},
	{"chunk taken back", 2, half, refusedChunk, upload.Receiving, upload.Receiving},
	{"all at once", 1, 0, (*rig).writeAll, upload.Receiving, upload.Received},
	{"complete", 3, int64(len(whole)), func(r *rig) error { return r.steps()[3]() }, upload.Receiving, upload.Received},
	{"publish", 4, int64(len(whole)), func(r *rig) error { return r.steps()[4]() }, upload.Received, upload.Ready},
	{"reject", 4, int64(len(whole)), func(r *rig) error { _, err := r.s.Reject(victim, unwanted); return err }, upload.Received, upload.Rejected},
	{"terminate", 5, int64(len(whole)), func(r *rig) error { return r.s.Terminate(victim) }, upload.Ready, ""},
}

// refusedChunk sends right bytes that are refused in the end. What a crash leaves of them may count.
func refusedChunk(r *rig) error {
	src := io.MultiReader(bytes.NewReader(whole[half:half+50]), failing{upload.ErrTooLarge})
	n, err := r.s.WriteChunk(victim, half, src, upload.Check{})
	refused := errors.Is(err, upload.ErrTooLarge)
	if refused && n != 0 || !refused && !errors.Is(err, faultfs.ErrInjected) {
		r.Errorf("got %d, %v, want 0, %v", n, err, upload.ErrTooLarge)
	}
	if refused && !errors.Is(err, faultfs.ErrInjected) {
		return nil
	}
	return err
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestAFailureAnywhereLeavesTheTruth(t *testing.T) {
	for _, mode := range []struct {
		name string
		rig  rig
		hows []faultfs.How
	}{
		{"durable, by the journal", rig{durable: true, journal: true}, []faultfs.How{faultfs.Refused, faultfs.Unsaid, faultfs.Fatal}},
		{"durable", rig{durable: true}, []faultfs.How{faultfs.Refused, faultfs.Unsaid, faultfs.Fatal}},
		{"durable, holes not reported", rig{durable: true, blind: true}, []faultfs.How{faultfs.Refused, faultfs.Fatal}},
		{"not durable", rig{}, []faultfs.How{faultfs.Refused, faultfs.Fatal}},
	} {
		if !mode.rig.journal && raced() { // one goroutine
			continue
		}
		for _, how := range mode.hows {
			for i := range scenarios {
				t.Run(fmt.Sprintf("%s/%s/%s", mode.name, how, scenarios[i].name), func(t *testing.T) {
					t.Parallel()
					for k := 1; ; k++ {
						r := mode.rig
						r.T = t
						if !disturb(t, r.begin(), i, k, how) {
							return
						}
					}
				})
			}
		}
	}
}

// disturb fails the k-th operation of a scenario and checks what is left. It returns false when the scenario has no k-th.
func disturb(t *testing.T, r *rig, i, k int, how faultfs.How) bool {
	s := scenarios[i]
	for _, step := range r.steps()[:s.after] {
		r.must(step())
	}
	r.fs.FailAt(k, how)
	err := s.act(r)
	ops := r.fs.Ops()
	if len(ops) < k {
		r.must(err)
		return false
	}
	name := fmt.Sprintf("failed at %s (%v)", ops[k-1], err)
	allowed := []upload.State{s.from, s.to} // after an error memory may keep the old state where the disk has the new
	if err == nil {
		allowed = allowed[1:]
	}
	acked := s.acked
	if how != faultfs.Fatal {
		r.fs.Fail(nil)
		acked = r.truthful(name, allowed, acked)
	}
	r.crash(r.durable && k%2 == 0)
	r.truthful(name+", after a restart", allowed, acked)
	r.toTheEnd(name)
	return !t.Failed()
}

// truthful checks that the victim is in one of states, with at least acked bytes, all of them right. It returns how many.
func (r *rig) truthful(when string, states []upload.State, acked int64) int64 {
	r.Helper()
	rec, err := r.s.Lookup(victim)
	if err != nil && !errors.Is(err, upload.ErrNotFound) {
		r.Errorf("%s: look up: %v", when, err)
	}
	if !slices.Contains(states, rec.State) {
		r.Errorf("%s: state is %q, want one of %q", when, rec.State, states)
	}
	if rec.State == "" || rec.State == upload.Rejected {
		return 0
	}
	stored, err := os.ReadFile(filepath.Join(r.dir, string(victim)))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // it is made with the first byte
	}
	if err != nil || rec.Offset < acked || rec.Offset > int64(len(stored)) || !bytes.Equal(stored[:rec.Offset], whole[:rec.Offset]) {
		r.Errorf("%s: offset %d, want at least %d, of %d stored bytes, %v", when, rec.Offset, acked, len(stored), err)
	}
	return rec.Offset
}

// toTheEnd does everything that is still to be done, which must succeed now, and then removes the upload.
func (r *rig) toTheEnd(when string) {
	r.Helper()
	rec, err := r.s.Lookup(victim)
	if errors.Is(err, upload.ErrNotFound) {
		r.must(r.create())
	}
	switch rec.State {
	case "", upload.Receiving:
		r.must(r.write(rec.Offset, int64(len(whole))))
		fallthrough
	case upload.Received:
		r.must(r.steps()[3]())
		r.must(r.steps()[4]())
		fallthrough
	case upload.Ready:
		file, _, err := r.s.Open(victim)
		r.must(err)
		got, err := io.ReadAll(file)
		r.must(errors.Join(err, file.Close()))
		if !bytes.Equal(got, whole) {
			r.Errorf("%s: content differs in the end", when)
		}
	}
	r.must(r.s.Terminate(victim))
	if left := namesOf(r.T, r.dir, victim); len(left) > 0 {
		r.Errorf("%s: left in the end: %q", when, left)
	}
}

// onPath fails operations by their name and the end of their file's, the first times.
func onPath(name, suffix string, err error, times int) func(faultfs.Op) (faultfs.How, error) {
	return func(op faultfs.Op) (faultfs.How, error) {
		if op.Name != name || !strings.HasSuffix(op.Path, suffix) || times == 0 {
			return faultfs.Refused, nil
		}
		times--
		return faultfs.Refused, err
	}
}

func TestAFailedSyncFallsBackToTheLastGoodOne(t *testing.T) {
	const first = 32 << 20 // synced on the way
	data := bytes.Repeat(whole, (first+5<<20)/len(whole))
	for _, syncs := range []int{0, 1} {
		t.Run(fmt.Sprintf("after %d good ones", syncs), func(t *testing.T) {
			r := newRig(t, true, false)
			r.must(r.s.Create(upload.Record{ID: victim, Length: int64(len(data))}))
			good := syncs
			r.fs.Fail(func(op faultfs.Op) (faultfs.How, error) {
				if op.Name != "File.Datasync" {
					return faultfs.Refused, nil
				}
				if good--; good >= 0 {
					return faultfs.Refused, nil
				}
				return faultfs.Refused, syscall.EIO
			})
			n, err := r.s.WriteChunk(victim, 0, bytes.NewReader(data), upload.Check{})
			if !errors.Is(err, syscall.EIO) {
				t.Fatalf("got %v, want %v", err, syscall.EIO)
			}
			r.stands(n, int64(syncs)*n)
			if syncs > 0 && n < first {
				t.Errorf("%d bytes count, want at least %d", n, first)
			}
			r.fs.Fail(nil)
			r.resumes(data)
		})
	}
}

func TestAChunkWhoseOnlySyncFailsDoesNotCount(t *testing.T) {
	r := newRig(t, true, false)
	r.must(r.create())
	r.fs.Fail(onPath("File.Datasync", string(victim), syscall.EIO, 1))
	n, err := r.s.WriteChunk(victim, 0, bytes.NewReader(whole), upload.Check{})
	if !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v, want %v", err, syscall.EIO)
	}
	r.stands(n, 0)
	r.resumes(whole)
}

func TestAFileThatIsMadeLateHasADurableName(t *testing.T) {
	for name, before := range map[string]func(r *rig){
		"at once":       func(*rig) {},
		"after a crash": func(r *rig) { r.crash(false) },
		"after a chunk that brought nothing": func(r *rig) {
			if _, err := r.s.WriteChunk(victim, 0, failing{io.ErrNoProgress}, upload.Check{}); !errors.Is(err, io.ErrNoProgress) {
				r.Fatal(err)
			}
		},
		"after a chunk that brought nothing, and a crash": func(r *rig) {
			if _, err := r.s.WriteChunk(victim, 0, failing{io.ErrNoProgress}, upload.Check{}); !errors.Is(err, io.ErrNoProgress) {
				r.Fatal(err)
			}
			r.crash(false)
		},
	} {
		r := newRig(t, true, false)
		r.must(r.create())
		before(r)
		r.fs.Fail(nil)
		r.must(r.write(0, half))
		synced := slices.ContainsFunc(r.fs.Ops(), func(op faultfs.Op) bool { return op.Name == "SyncDir" })
		if !synced {
			t.Errorf("%s: its directory was not synced: %v", name, r.fs.Ops())
		}
	}
}

func TestATailIsCutBeforeBytesAreAdded(t *testing.T) {
	r := newRig(t, true, false)
	for _, step := range r.steps()[:2] {
		r.must(step())
	}
	r.fs.Fail(onPath("File.Truncate", string(victim), syscall.EIO, 1))
	src := io.MultiReader(bytes.NewReader(whole[half:half+50]), failing{upload.ErrTooLarge})
	if n, err := r.s.WriteChunk(victim, half, src, upload.Check{}); n != 0 || !errors.Is(err, syscall.EIO) || !errors.Is(err, upload.ErrTooLarge) {
		t.Fatalf("got %d, %v, want 0, %v and %v", n, err, upload.ErrTooLarge, syscall.EIO)
	}
	n, err := r.s.WriteChunk(victim, half, bytes.NewReader(whole[half:half+10]), upload.Check{})
	r.must(err)
	r.stands(half+n, half+10)
	r.crash(false)
	r.stands(half+n, half+10)
}

func TestAFailedCreationLeavesNothing(t *testing.T) {
	for _, how := range []faultfs.How{faultfs.Refused, faultfs.Unsaid} {
		for k := 1; ; k++ {
			r := newRig(t, true, false)
			r.fs.FailAt(k, how)
			err := r.create()
			if len(r.fs.Ops()) < k {
				r.must(err)
				break
			}
			op := r.fs.Ops()[k-1]
			r.fs.Fail(nil)
			if err == nil || how == faultfs.Unsaid && strings.HasSuffix(op.Path, ".tmp") {
				continue // absence reported as an error is absence; a file nobody knows of goes at the next start
			}
			if left := namesOf(t, r.dir, victim); len(left) > 0 {
				t.Errorf("%s %s: left %q, want nothing", how, op, left)
			}
			r.must(r.create())
		}
	}
}

// stands checks the offset, that the file ends there, and that it is want.
func (r *rig) stands(n, want int64) {
	r.Helper()
	rec, err := r.s.Lookup(victim)
	r.must(err)
	info, err := os.Stat(filepath.Join(r.dir, string(victim)))
	r.must(err)
	if n != want || rec.Offset != want || info.Size() != want {
		r.Fatalf("%d bytes count, offset is %d, file ends at %d, want %d", n, rec.Offset, info.Size(), want)
	}
	if want < upload.HeadBytes && rec.MediaType != "" {
		r.Errorf("media type is %q, though its bytes are gone", rec.MediaType)
	}
}

// resumes sends what is missing of data and checks the content, which is read again from disk.
func (r *rig) resumes(data []byte) {
	r.Helper()
	rec, err := r.s.Lookup(victim)
	r.must(err)
	if rec.Length == upload.Deferred {
		r.must(r.s.DeclareLength(victim, int64(len(data))))
	}
	_, err = r.s.WriteChunk(victim, rec.Offset, bytes.NewReader(data[rec.Offset:]), upload.Check{})
	r.must(err)
	_, err = r.s.Complete(victim)
	r.must(err)
	got, err := os.ReadFile(filepath.Join(r.dir, string(victim)))
	if err != nil || !bytes.Equal(got, data) {
		r.Errorf("content differs, or %v", err)
	}
}

func TestAFullDiskKeepsWhatItTookAndResumes(t *testing.T) {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		for _, isDurable := range []bool{true, false} {
			t.Run(fmt.Sprintf("%v, durable %t", full, isDurable), func(t *testing.T) {
				r := newRig(t, isDurable, false)
				r.must(r.create())
				r.fs.Fail(func(op faultfs.Op) (faultfs.How, error) { // of the first write one half is taken
					if op.Name == "File.WriteAt" && op.Path == string(victim) {
						return faultfs.Refused, full
					}
					return faultfs.Refused, nil
				})
				n, err := r.s.WriteChunk(victim, 0, bytes.NewReader(whole), upload.Check{})
				if !errors.Is(err, upload.ErrInsufficientStorage) {
					t.Fatalf("got %v, want %v", err, upload.ErrInsufficientStorage)
				}
				r.stands(n, int64(len(whole))/2)
				r.fs.Fail(nil)
				r.crash(false)
				r.resumes(whole)
			})
		}
	}
}

func TestAFullDiskIsInsufficientStorageEverywhere(t *testing.T) {
	for _, s := range scenarios {
		if s.name == "chunk taken back" || s.name == "terminate" {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			r := newRig(t, true, true)
			for _, step := range r.steps()[:s.after] {
				r.must(step())
			}
			r.fs.Fail(onPath("File.WriteAt", "", syscall.ENOSPC, 1))
			if err := s.act(r); !errors.Is(err, upload.ErrInsufficientStorage) {
				t.Errorf("got %v, want %v", err, upload.ErrInsufficientStorage)
			}
		})
	}
}

func TestAnUnwrittenRecordLeavesTheOldState(t *testing.T) {
	for _, s := range scenarios {
		if s.from == s.to || s.from == "" || s.to == "" || s.name == "all at once" {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			r := newRig(t, true, false)
			for _, step := range r.steps()[:s.after] {
				r.must(step())
			}
			before, err := r.s.Lookup(victim)
			r.must(err)
			for _, op := range []string{"Create", "File.WriteAt", "File.Datasync", "File.Close", "Rename"} {
				r.fs.Fail(onPath(op, map[bool]string{true: ".info", false: ".info.tmp"}[op == "Rename"], syscall.EIO, 1))
				if err := s.act(r); !errors.Is(err, syscall.EIO) {
					t.Errorf("%s: got %v, want %v", op, err, syscall.EIO)
				}
				if got, err := r.s.Lookup(victim); err != nil || got.State != before.State || got.Changed != before.Changed {
					t.Errorf("%s: record is %+v, %v, want %+v", op, got, err, before)
				}
			}
			r.fs.Fail(nil)
			r.must(s.act(r))
		})
	}
}

func TestAnUploadThatCouldNotBeMadeDoesNotComeBack(t *testing.T) {
	for name, make := range map[string]func(r *rig) error{
		"created": (*rig).create,
		"announced": func(r *rig) error {
			r.must(r.s.Announce(upload.Record{ID: victim, Length: int64(len(whole))}))
			return r.writeAll()
		},
	} {
		r := newJournalRig(t)
		r.fs.Fail(onPath("Create", ".info", syscall.ENOSPC, 1))
		if err := make(r); !errors.Is(err, upload.ErrInsufficientStorage) {
			t.Errorf("%s: got %v, want %v", name, err, upload.ErrInsufficientStorage)
		}
		r.fs.Fail(nil)
		r.crash(true)
		if rec, err := r.s.Lookup(victim); !errors.Is(err, upload.ErrNotFound) {
			t.Errorf("%s: got %+v, %v, want %v", name, rec, err, upload.ErrNotFound)
		}
	}
}

func TestAVerdictIsToldOnlyOnceItIsRecorded(t *testing.T) {
	r := newRig(t, true, false)
	r.must(r.s.Close())
	s, err := store.OpenOn(r.fs, store.Options{Profile: "test", Flat: true, Durable: true, Metrics: store.NewMetrics(), Logger: quiet,
		Judge: func([]byte) (string, error) { return "", unwanted }}, nothing)
	r.must(err)
	r.s = s
	r.must(r.create())
	r.fs.Fail(onPath("Rename", ".info", syscall.EIO, 1))
	n, err := r.s.WriteChunk(victim, 0, bytes.NewReader(whole), upload.Check{})
	if errors.Is(err, unwanted) || !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v, want %v and no verdict", err, syscall.EIO)
	}
	if rec, err := r.s.Lookup(victim); err != nil || rec.State != upload.Receiving || rec.Offset != n {
		t.Errorf("record is %+v, %v, want receiving at %d", rec, err, n)
	}
	if _, err := r.s.WriteChunk(victim, n, bytes.NewReader(whole[n:]), upload.Check{}); !errors.Is(err, unwanted) {
		t.Errorf("got %v, want %v", err, unwanted)
	}
}

func TestAFailedTerminationIsNotFoundAndEndsAtTheNextStart(t *testing.T) {
	for _, fault := range []struct{ op, suffix string }{
		{"SyncDir", "."}, {"Remove", string(victim)}, {"Remove", ".64"}, {"Remove", ".gone"},
	} {
		t.Run(fault.op+" "+fault.suffix, func(t *testing.T) {
			r := newRig(t, true, false)
			for _, step := range r.steps() {
				r.must(step())
			}
			r.fs.Fail(onPath(fault.op, fault.suffix, syscall.EIO, 1))
			if err := r.s.Terminate(victim); !errors.Is(err, syscall.EIO) {
				t.Fatalf("got %v, want %v", err, syscall.EIO)
			}
			if _, err := r.s.Lookup(victim); !errors.Is(err, upload.ErrNotFound) {
				t.Errorf("look up: got %v, want %v", err, upload.ErrNotFound)
			}
			r.crash(false)
			if left := namesOf(t, r.dir, victim); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
			r.must(r.create())
		})
	}
}

// What is taken back must not count while that is done.
func TestAChunkThatIsTakenBackDoesNotCountOnTheWay(t *testing.T) {
	for _, isDurable := range []bool{true, false} {
		for name, send := range map[string]func(r *rig, more []byte) error{
			"wrong at the end": func(r *rig, more []byte) error {
				_, err := r.s.WriteChunk(victim, 3, bytes.NewReader(more), upload.Check{Quiet: true, Verify: func(io.Reader) error { return unwanted }})
				return err
			},
			"too long": func(r *rig, more []byte) error {
				_, err := r.s.WriteChunk(victim, 3, io.MultiReader(bytes.NewReader(more), broken{upload.ErrTooLarge}), upload.Check{Quiet: true})
				return err
			},
		} {
			r := newRig(t, isDurable, false)
			r.must(r.s.Create(upload.Record{ID: victim, Length: 1 << 20}))
			_, err := r.s.WriteChunk(victim, 0, strings.NewReader("abc"), upload.Check{})
			r.must(err)
			r.fs.Fail(func(op faultfs.Op) (faultfs.How, error) {
				if op.Name == "File.Truncate" && op.Path == string(victim) {
					return faultfs.Killed, faultfs.ErrInjected
				}
				return faultfs.Killed, nil
			})
			if err := send(r, bytes.Repeat([]byte("x"), 9000)); err == nil || !r.fs.Dead() {
				t.Fatalf("durable %t, %s: got %v, and it is not cut", isDurable, name, err)
			}
			r.crash(false)
			if rec, err := r.s.Lookup(victim); err != nil || rec.Offset != 3 {
				t.Errorf("durable %t, %s: offset is %d, %v, want 3", isDurable, name, rec.Offset, err)
			}
		}
	}
}

// broken is a source that fails.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

func TestBytesOfARejectedUploadGoInTheEnd(t *testing.T) {
	for name, end := range map[string]func(r *rig){
		"told again": func(r *rig) { _, err := r.s.Reject(victim, unwanted); r.must(err) },
		"restarted": func(r *rig) {
			r.crash(false)
			r.must(r.s.Due(r.Context(), func(upload.Record) bool { return true }))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, true, false)
			for _, step := range r.steps()[:4] {
				r.must(step())
			}
			r.fs.Fail(onPath("Remove", string(victim), syscall.EIO, 1))
			if rec, err := r.s.Reject(victim, unwanted); rec.State != upload.Rejected || !errors.Is(err, syscall.EIO) {
				t.Fatalf("got %s, %v, want rejected, %v", rec.State, err, syscall.EIO)
			}
			end(r)
			if left := namesOf(t, r.dir, victim); len(left) != 1 {
				t.Errorf("left: %q, want the record alone", left)
			}
		})
	}
}

func TestNothingWorksOnADeadDiskAndNothingIsClaimed(t *testing.T) {
	r := newJournalRig(t)
	for _, step := range r.steps()[:2] {
		r.must(step())
	}
	r.fs.FailAt(1, faultfs.Fatal)
	for name, act := range map[string]func() error{
		"check":     r.s.Check,
		"create":    func() error { return r.s.Create(upload.Record{ID: "other", Length: 1}) },
		"write":     func() error { return r.write(half, half+1) },
		"terminate": func() error { return r.s.Terminate(victim) },
		"due":       func() error { return r.s.Due(t.Context(), nil) },
		"close":     r.s.Close,
	} {
		if err := act(); !errors.Is(err, faultfs.ErrInjected) {
			t.Errorf("%s: got %v, want %v", name, err, faultfs.ErrInjected)
		}
	}
}
