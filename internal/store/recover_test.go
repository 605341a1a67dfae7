package store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"sluice/internal/durable"
	"sluice/internal/durable/faultfs"
	"sluice/internal/store"
	"sluice/internal/upload"
)

const (
	otherBoot = `{"format":1,"boot":"other"}`
	mib       = 1 << 20
)

// cut is a store whose power is cut while it is not open.
type cut struct {
	*rig
	data []byte
}

// newCut makes the victim, in state, of 3 MiB. While receiving, all but its last byte has arrived.
func newCut(t *testing.T, isDurable, blind bool, state upload.State) *cut {
	t.Helper()
	c := &cut{newRig(t, isDurable, blind), bytes.Repeat([]byte("sixteen bytes..."), 3*mib/16)}
	if reports, err := durable.ReportsHoles(c.root, "probe"); !blind && (err != nil || !reports) {
		t.Skipf("holes are not reported here: %v", err)
	}
	c.must(c.s.Create(upload.Record{ID: victim, Length: int64(len(c.data))}))
	c.send(0, int64(len(c.data))-1)
	if state == upload.Receiving {
		return c
	}
	c.send(int64(len(c.data))-1, int64(len(c.data)))
	_, err := c.s.Complete(victim)
	c.must(err)
	switch state {
	case upload.Ready:
		_, err = c.s.Publish(victim, upload.Outcome{MediaType: "text/plain", Variants: picture})
	case upload.Rejected:
		_, err = c.s.Reject(victim, unwanted)
	}
	c.must(err)
	return c
}

func (c *cut) send(from, to int64) {
	c.Helper()
	_, err := c.s.WriteChunk(victim, from, bytes.NewReader(c.data[from:to]), upload.Check{})
	c.must(err)
}

func (c *cut) file() string { return filepath.Join(c.dir, string(victim)) }

// record changes what is stored about the victim.
func (c *cut) record(change func(ours map[string]any)) {
	c.Helper()
	raw, err := os.ReadFile(c.file() + ".info")
	c.must(err)
	var rec map[string]any
	c.must(json.Unmarshal(raw, &rec))
	change(rec["Sluice"].(map[string]any))
	raw, err = json.Marshal(rec)
	c.must(err)
	c.must(os.WriteFile(c.file()+".info", raw, 0o600))
}

// hole takes the bytes of the victim from off away: the length stays, the rest was never written.
func (c *cut) hole(off int64) {
	c.Helper()
	info, err := os.Stat(c.file())
	c.must(err)
	c.must(os.Truncate(c.file(), off))
	c.must(os.Truncate(c.file(), info.Size()))
}

// tail adds n zeros that were never written.
func (c *cut) tail(n int64) {
	c.Helper()
	info, err := os.Stat(c.file())
	c.must(err)
	c.must(os.Truncate(c.file(), info.Size()+n))
}

func TestAfterAPowerCutBytesCountAsFarAsTheyAreProvable(t *testing.T) {
	const all, sent = 3 * mib, 3*mib - 1
	synced := func(n float64) func(c *cut) {
		return func(c *cut) { c.record(func(ours map[string]any) { ours["synced"] = n }) }
	}
	for _, tt := range []struct {
		name           string
		durable, blind bool
		state          upload.State
		lose           func(c *cut)
		want           upload.State
		offset         int64
		damaged        bool
	}{
		{"whole", true, false, upload.Receiving, nil, upload.Receiving, sent, false},
		{"whole, received", true, false, upload.Received, nil, upload.Received, all, false},
		{"whole, ready", true, false, upload.Ready, nil, upload.Ready, all, false},
		{"whole, ready, not durable", false, false, upload.Ready, nil, upload.Ready, all, false},
		{"whole, last byte unrecorded", true, false, upload.Receiving, func(c *cut) { c.send(sent, all) }, upload.Received, all, false},
		{"tail never written", true, false, upload.Receiving, func(c *cut) { c.hole(mib) }, upload.Receiving, mib, false},
		{"nothing ever written", false, false, upload.Receiving, func(c *cut) { c.hole(0) }, upload.Receiving, 0, false},
		{"length before bytes", true, false, upload.Receiving, func(c *cut) { c.must(os.Truncate(c.file(), mib)); c.tail(8 * mib) }, upload.Receiving, mib, false},
		{"synced bytes never written", true, false, upload.Receiving, func(c *cut) { synced(2 * mib)(c); c.hole(mib) }, upload.Receiving, mib, true},
		{"shorter than synced", true, false, upload.Receiving, func(c *cut) { synced(2 * mib)(c); c.must(os.Truncate(c.file(), mib)) }, upload.Receiving, mib, true},
		{"longer than synced", true, false, upload.Receiving, synced(mib), upload.Receiving, sent, false},
		{"received, tail lost", true, false, upload.Received, func(c *cut) { c.hole(mib) }, upload.Receiving, mib, true},
		{"ready, tail lost", true, false, upload.Ready, func(c *cut) { c.hole(mib) }, upload.Receiving, mib, true},
		{"ready, tail lost, not durable", false, false, upload.Ready, func(c *cut) { c.hole(mib) }, upload.Receiving, mib, true},
		{"ready, short, not durable", false, false, upload.Ready, func(c *cut) { c.must(os.Truncate(c.file(), 5)) }, upload.Receiving, 5, true},
		{"ready, file lost", false, false, upload.Ready, func(c *cut) { c.must(os.Remove(c.file())) }, upload.Receiving, 0, true},
		{"receiving, file not made yet", true, false, upload.Receiving, func(c *cut) { c.must(os.Remove(c.file())) }, upload.Receiving, 0, false},
		{"rejected, bytes back", true, false, upload.Rejected, func(c *cut) { c.must(os.WriteFile(c.file(), c.data, 0o600)) }, upload.Rejected, 0, false},

		{"blind: whole", true, true, upload.Receiving, nil, upload.Receiving, sent, false},
		{"blind: ready", true, true, upload.Ready, nil, upload.Ready, all, false},
		{"blind: ready, not durable", false, true, upload.Ready, nil, upload.Ready, all, false},
		{"blind: received, not durable", false, true, upload.Received, nil, upload.Received, all, false},
		{"blind: receiving, not durable", false, true, upload.Receiving, nil, upload.Receiving, 0, false},
		{"blind: beyond synced", true, true, upload.Receiving, func(c *cut) { c.tail(mib) }, upload.Receiving, sent, false},
		{"blind: shorter than synced", true, true, upload.Receiving, func(c *cut) { c.must(os.Truncate(c.file(), mib)) }, upload.Receiving, mib, true},
		{"blind: ready, short", true, true, upload.Ready, func(c *cut) { c.must(os.Truncate(c.file(), mib)) }, upload.Receiving, mib, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newCut(t, tt.durable, tt.blind, tt.state)
			if tt.lose != nil {
				tt.lose(c)
			}
			c.crash(true)
			rec, err := c.s.Lookup(victim)
			if err != nil || rec.State != tt.want || rec.Offset != tt.offset || rec.Damaged != tt.damaged {
				t.Fatalf("got %s at %d, damaged %t, %v, want %s at %d, damaged %t", rec.State, rec.Offset, rec.Damaged, err, tt.want, tt.offset, tt.damaged)
			}
			c.usable(tt.want)
		})
	}
}

// usable checks that the victim can be brought to its end from where it stands, with the right bytes, and never is ready
// without them.
func (c *cut) usable(state upload.State) {
	c.Helper()
	if state == upload.Rejected {
		if left := namesOf(c.T, c.dir, victim); len(left) != 1 {
			c.Errorf("left: %q, want the record alone", left)
		}
		return
	}
	if state == upload.Receiving {
		if _, _, err := c.s.Open(victim); !errors.Is(err, upload.ErrNotReady) {
			c.Errorf("open: got %v, want %v", err, upload.ErrNotReady)
		}
		if _, _, err := c.s.OpenVariant(victim, "64"); !errors.Is(err, upload.ErrNotFound) {
			c.Errorf("variant: got %v, want %v", err, upload.ErrNotFound)
		}
		c.resumes(c.data)
	}
	_, err := c.s.Publish(victim, upload.Outcome{MediaType: "text/plain", Variants: picture})
	c.must(err)
	file, _, err := c.s.Open(victim)
	c.must(err)
	got, err := io.ReadAll(file)
	if err = errors.Join(err, file.Close()); err != nil || !bytes.Equal(got, c.data) {
		c.Errorf("content differs, or %v", err)
	}
}

func TestRepairedUploadsAreJudgedAgain(t *testing.T) {
	c := newCut(t, true, false, upload.Ready)
	c.hole(0)
	c.crash(true)
	if rec, err := c.s.Lookup(victim); err != nil || rec.MediaType != "" || len(rec.Variants) != 0 {
		t.Errorf("got type %q, variants %v, %v, want none", rec.MediaType, rec.Variants, err)
	}
}

func TestUploadsAreCheckedOnlyAfterAPowerCut(t *testing.T) {
	for _, tt := range []struct {
		name, mark string // "" leaves what the store wrote itself
		checked    bool
	}{
		{"same boot", "", false},
		{"another boot, clean", otherBoot, false},
		{"another boot", otherBoot, true},
		{"unknown boot", `{"format":1}`, true},
		{"torn", `{"form`, true},
		{"empty", ``, true},
		{"none", "none", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCut(t, true, false, upload.Receiving)
			c.hole(mib)
			c.root.Close()
			switch {
			case tt.mark == "none":
				c.must(os.Remove(filepath.Join(c.dir, ".sluice", "mark.json")))
			case tt.mark != "" || tt.name == "empty":
				setMark(t, c.dir, tt.mark)
			}
			if tt.name == "another boot, clean" {
				c.must(os.WriteFile(filepath.Join(c.dir, ".sluice", "clean"), nil, 0o600))
			}
			c.open()
			want := map[bool]int64{true: mib, false: 3*mib - 1}[tt.checked]
			if rec, err := c.s.Lookup(victim); err != nil || rec.Offset != want {
				t.Errorf("got %d, %v, want %d", rec.Offset, err, want)
			}
		})
	}
}

func TestACleanStopIsMarkedAndAStartTakesTheMarkAway(t *testing.T) {
	dir := t.TempDir()
	clean := func() bool {
		_, err := os.Stat(filepath.Join(dir, ".sluice", "clean"))
		return err == nil
	}
	for range 2 {
		f := openFile(t, dir, store.Options{})
		if clean() {
			t.Error("marked clean while open")
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if !clean() {
			t.Skip("one file system alone cannot be flushed here")
		}
	}
}

// litter are files that a store in a flat directory does not know. Some look much like its own.
var litter = map[string]string{
	"notes.txt": "x", "notes.tmp": "x", "no id.info": "x", "no id.info.tmp": "x", "über.gone": "x", strings.Repeat("x", 129): "x",
	"orphan": "bytes without a record", "a.b.tmp": "x", ".hidden": "x", ".info": "x", ".info.tmp": "x", ".gone": "x", "sub/id.info.tmp": "x",
	"sub/id.gone": "x", "sub.info/file": "x", "x.lock": "not a number", "y.lock": "-1", "z.lock": "", "y.stop": "x", "victim.65.tmp": "x",
}

func TestForeignFilesAreLeftAlone(t *testing.T) {
	for _, flat := range []bool{true, false} {
		dir := t.TempDir()
		want := maps.Clone(litter)
		if !flat {
			want = map[string]string{"top": "x", "top.info.tmp": "x", "to/other.info.tmp": "x", "to/other.gone": "x", "vi/no id.gone": "x",
				"vi/victim.txt": "x", "vi/victim.info/x": "x", "vi/victim.gone/x": "x", "deep/er/deeper.gone": "x"}
		}
		for name, data := range want {
			writeFile(t, filepath.Join(dir, name), data)
		}
		for range 2 { // the second time after a power cut
			f := openFile(t, dir, store.Options{Flat: flat, Variants: []string{"64"}})
			if err := f.Due(t.Context(), func(upload.Record) bool { return true }); err != nil {
				t.Error(err)
			}
			if err := f.Crash(); err != nil {
				t.Fatal(err)
			}
			setMark(t, dir, otherBoot)
		}
		for name, data := range want {
			if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != data {
				t.Errorf("flat %t: %s is %q, %v, want %q", flat, name, got, err, data)
			}
		}
	}
}

func writeFile(t *testing.T, name, data string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(name), 0o750)
	if err = errors.Join(err, os.WriteFile(name, []byte(data), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestLeftoversOfACrashGo(t *testing.T) {
	for _, flat := range []bool{true, false} {
		dir := t.TempDir()
		at := map[bool]string{true: "", false: "le/"}[flat]
		for _, name := range []string{"left.info.tmp", "left.64.tmp", "left2", "left2.64", "left2.gone", "left3.gone", "left3"} {
			writeFile(t, filepath.Join(dir, at+name), `{"ID":"left2"}`) // not the record of left3: a torn one
		}
		f := openFile(t, dir, store.Options{Flat: flat, Variants: []string{"64"}})
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		for _, id := range []upload.ID{"left", "left2", "left3"} {
			if left := namesOf(t, dir, id); len(left) > 0 {
				t.Errorf("flat %t: left: %q", flat, left)
			}
		}
	}
}

func TestNoRecordStopsTheStart(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, info string){
		"empty":      func(t *testing.T, info string) { writeFile(t, info, "") },
		"of another": func(t *testing.T, info string) { writeFile(t, info, `{"ID":"other"}`) },
		"senseless": func(t *testing.T, info string) {
			writeFile(t, info, `{"ID":"victim","Sluice":{"state":"ready","synced":-9}}`)
		},
		"of a directory": func(t *testing.T, info string) { data(t, info, os.Mkdir) },
		"of nothing":     func(t *testing.T, info string) { data(t, info, func(string, os.FileMode) error { return nil }) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, true, true)
			for _, step := range r.steps() {
				r.must(step())
			}
			spoil(t, filepath.Join(r.dir, string(victim)+".info"))
			r.crash(true)
			r.must(r.s.Create(upload.Record{ID: "other", Length: 0}))
		})
	}
}

// data replaces the content of the record info by what replace makes.
func data(t *testing.T, info string, replace func(string, os.FileMode) error) {
	t.Helper()
	name := strings.TrimSuffix(info, ".info")
	if err := errors.Join(os.Remove(name), replace(name, 0o750)); err != nil {
		t.Fatal(err)
	}
}

func TestALaterFormatIsRefusedUntouched(t *testing.T) {
	dir := t.TempDir()
	const later = `{"format":3,"boot":"other","new":"field"}`
	writeFile(t, filepath.Join(dir, ".sluice", "mark.json"), later)
	writeFile(t, filepath.Join(dir, "left.info.tmp"), "x")
	_, err := store.Open(store.Options{Dir: dir, Flat: true, Metrics: store.NewMetrics(), Logger: quiet})
	if err == nil || !strings.Contains(err.Error(), "format 3") || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v, want the directory and its format", err)
	}
	if raw, err := os.ReadFile(filepath.Join(dir, ".sluice", "mark.json")); string(raw) != later {
		t.Errorf("mark is %q, %v, want it untouched", raw, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "left.info.tmp")); err != nil {
		t.Error(err)
	}
}

// child starts the test binary as another process: one that holds dir, or for "" only lives. It ends with the test, or when
// stop is called.
func child(t *testing.T, dir string) (pid int, stop func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdEnv+"="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			in.Close()
			cmd.Wait()
		}
	}
	t.Cleanup(stop)
	if _, err := io.ReadFull(out, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid, stop
}

func TestADirectoryBelongsToOneProcess(t *testing.T) {
	dir := t.TempDir()
	_, stop := child(t, dir)
	o := store.Options{Dir: dir, Flat: true, Metrics: store.NewMetrics(), Logger: quiet}
	if _, err := store.Open(o); !errors.Is(err, durable.ErrHeld) {
		t.Errorf("while another has it: got %v, want %v", err, durable.ErrHeld)
	}
	stop()
	f, err := store.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(o); !errors.Is(err, durable.ErrHeld) {
		t.Errorf("a second time: got %v, want %v", err, durable.ErrHeld)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f, err = store.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func TestADirectoryThatALivingTusdUsesIsRefused(t *testing.T) {
	dir := t.TempDir()
	pid, stop := child(t, "")
	writeFile(t, filepath.Join(dir, "abc.lock"), strconv.Itoa(pid)+"\n")
	o := store.Options{Dir: dir, Flat: true, Metrics: store.NewMetrics(), Logger: quiet}
	if _, err := store.Open(o); err == nil || !strings.Contains(err.Error(), "abc.lock") || !strings.Contains(err.Error(), strconv.Itoa(pid)) {
		t.Errorf("got %v, want an error that names the lock and the process", err)
	}
	stop()
	f, err := store.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	writeFile(t, filepath.Join(dir, "abc.lock"), strconv.Itoa(os.Getpid())) // of one that had our number before us
	f, err = store.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func TestEachNamesEveryUpload(t *testing.T) {
	for _, flat := range []bool{true, false} {
		f := openFile(t, t.TempDir(), store.Options{Flat: flat})
		var want, got []upload.ID
		for range 5 {
			id := upload.NewID()
			if err := f.Create(upload.Record{ID: id}); err != nil {
				t.Fatal(err)
			}
			want = append(want, id)
		}
		if err := f.Each(func(id upload.ID) bool { got = append(got, id); return true }); err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		f.Close()
	}
}

// Half a backup that was restored, say.
func TestAnUploadWhoseRecordWasPutBackStays(t *testing.T) {
	r := newRig(t, true, false)
	for _, step := range r.steps() {
		r.must(step())
	}
	writeFile(t, filepath.Join(r.dir, string(victim)+".gone"), "{}")
	r.crash(false)
	if rec, _ := r.s.Lookup(victim); rec.State == upload.Ready {
		if _, err := os.Stat(filepath.Join(r.dir, string(victim))); err != nil {
			t.Errorf("it is ready, but %v", err)
		}
	}
}

// What a torn mark would tell, whether the file system tells of holes, decides how much of an upload is kept. So a store does
// not start without.
func TestATornMarkOnAFullDiskCostsNothing(t *testing.T) {
	r := newRig(t, true, false)
	r.must(r.create())
	r.must(r.write(0, half))
	setMark(t, r.dir, "{")
	full := true
	r.fs.Fail(func(op faultfs.Op) (faultfs.How, error) {
		if full && op.Path == ".sluice/probe" && op.Name == "File.WriteAt" {
			return faultfs.Refused, syscall.ENOSPC
		}
		return faultfs.Refused, nil
	})
	o := store.Options{Profile: "test", Flat: true, Durable: true, Metrics: store.NewMetrics(), Logger: quiet}
	if _, err := store.OpenOn(r.fs, o, nothing); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want %v", err, syscall.ENOSPC)
	}
	full = false
	s, err := store.OpenOn(r.fs, o, nothing)
	r.must(err)
	if rec, err := s.Lookup(victim); rec.Offset != half {
		t.Errorf("offset is %d, damaged %t, %v; %d were acknowledged", rec.Offset, rec.Damaged, err, half)
	}
}

// The parts of a final go when it is put together, so it cannot be put together anew.
func TestAFinalThatLostAByteIsReceivedAgainFromThere(t *testing.T) {
	r := newRig(t, true, false)
	for id, data := range map[upload.ID][]byte{"a": whole[:half], "b": whole[half:]} {
		r.must(r.s.Create(upload.Record{ID: id, Length: half, Partial: true, Concat: "partial"}))
		_, err := r.s.WriteChunk(id, 0, bytes.NewReader(data), upload.Check{})
		r.must(err)
		_, err = r.s.Complete(id)
		r.must(err)
	}
	r.must(r.s.Create(upload.Record{ID: victim, Length: 2 * half, Final: true, Parts: []upload.ID{"a", "b"}, Concat: "final;"}))
	_, err := r.s.Assemble(t.Context(), victim)
	r.must(err)
	r.must(os.Truncate(filepath.Join(r.dir, string(victim)), 2*half-1))
	r.crash(true)
	r.must(r.s.Due(t.Context(), func(rec upload.Record) bool { t.Errorf("due: %+v", rec); return true }))
	rec, err := r.s.Lookup(victim)
	if r.must(err); rec.State != upload.Receiving || rec.Offset != 2*half-1 || !rec.Damaged || rec.Final {
		t.Errorf("got %+v, want an upload at %d that was damaged", rec, 2*half-1)
	}
	r.must(r.write(2*half-1, 2*half))
	_, err = r.s.Complete(victim)
	r.must(err)
	reads(t, r.s, victim, string(whole))
}

// Death comes between the cut and the record that says how much was synced before it.
func TestARefusedChunkIsNoDamageLater(t *testing.T) {
	for _, blind := range []bool{true, false} {
		r := newRig(t, true, blind)
		r.must(r.s.Create(upload.Record{ID: victim, Length: 100 << 20}))
		cut := false
		r.fs.Fail(func(op faultfs.Op) (faultfs.How, error) {
			cut = cut || op.Name == "File.Truncate"
			if cut && op.Name == "Create" && strings.HasSuffix(op.Path, ".info.tmp") {
				return faultfs.Fatal, faultfs.ErrInjected
			}
			return faultfs.Refused, nil
		})
		refuse := upload.Check{Quiet: true, Verify: func(io.Reader) error { return unwanted }}
		if _, err := r.s.WriteChunk(victim, 0, bytes.NewReader(make([]byte, 33<<20)), refuse); !errors.Is(err, unwanted) {
			t.Fatal(err)
		}
		r.crash(false)
		_, err := r.s.Lookup(victim)
		r.must(errors.Join(err, r.s.Close()))
		r.crash(true)
		if rec, err := r.s.Lookup(victim); rec.Damaged || err != nil {
			t.Errorf("holes not reported %t: it is damaged, though no byte of it was ever acknowledged; %v", blind, err)
		}
	}
}

// Nobody asks for them before it comes, on a file system that does not tell of holes.
func TestAPowerCutTakesNothingOfWhatTusdLeft(t *testing.T) {
	h := &home{T: t, dir: t.TempDir(), flat: true, ids: map[string]upload.ID{}}
	h.fillByTusd()
	o := store.Options{Flat: true, Durable: true}
	f := openBlind(t, h.dir, o)
	h.must(errors.Join(f.Due(t.Context(), func(upload.Record) bool { return true }), f.Crash()))
	h.powerCut(false)
	f = openBlind(t, h.dir, o)
	defer f.Close()
	for _, what := range []string{"tusd's unfinished", "tusd's part"} {
		if rec, err := f.Lookup(h.ids[what]); rec.Offset != 4 {
			t.Errorf("%s: %d of 4 bytes are left, damaged %t, %v", what, rec.Offset, rec.Damaged, err)
		}
	}
}

// What a failed sync leaves to be found out is of no interest once the upload is deleted.
func TestAnUploadWhoseSyncFailedCanBeDeleted(t *testing.T) {
	r := newRig(t, true, false)
	r.must(r.create())
	r.must(r.write(0, half))
	r.crash(false)
	r.fs.Fail(func(op faultfs.Op) (faultfs.How, error) {
		if op.Path == string(victim) && op.Name == "File.Datasync" {
			return faultfs.Refused, syscall.EIO
		}
		return faultfs.Refused, nil
	})
	if _, err := r.s.Lookup(victim); !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v, want %v", err, syscall.EIO)
	}
	r.fs.Fail(nil)
	r.must(r.s.Terminate(victim))
	if _, err := r.s.Lookup(victim); !errors.Is(err, upload.ErrNotFound) {
		t.Errorf("got %v, want %v", err, upload.ErrNotFound)
	}
	r.must(r.s.Close())
}
