package events_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice/internal/durable"
	"sluice/internal/durable/faultfs"
	"sluice/internal/events"
	"sluice/internal/upload"
)

func TestEventsAreDeliveredInOrderForEachUpload(t *testing.T) {
	e := newEndpoint(t, func(n int, _ events.Message) int { return []int{204, 500, 204}[n%3] })
	b := open(t, options(newDir(t), e.configured()))
	var all sync.WaitGroup
	for n := range 50 {
		all.Go(func() { tell(t, b, upload.ID(fmt.Sprint("u", n)), life...) })
	}
	all.Wait()
	checkOrder(t, e.awaitTaken(t, 150))
}

func TestAnEventThatWaitsHoldsBackItsUploadAlone(t *testing.T) {
	e := newEndpoint(t, func(_ int, m events.Message) int {
		if m.Data.ID == "stuck" {
			return http.StatusBadRequest
		}
		return http.StatusNoContent
	})
	b := open(t, options(newDir(t), e.configured()))
	tell(t, b, "stuck", life...)
	tell(t, b, "other", life...)
	e.awaitTaken(t, 3)
	for _, g := range e.requests() {
		if g.Data.ID == "stuck" && g.Type != upload.EventCreated {
			t.Errorf("%s was sent before %s was taken", g.Type, upload.EventCreated)
		}
	}
}

func TestAnEndpointThatIsDownLosesNothing(t *testing.T) {
	e, root := newEndpoint(t, nil), newDir(t)
	down := e.configured()
	down.URL = "http://127.0.0.1:1"
	for n := range 3 {
		b := open(t, options(root, down))
		tell(t, b, upload.ID(fmt.Sprint("u", n)), life...)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b := open(t, options(root, e.configured()))
	if _, behind := b.Behind(); behind {
		t.Error("a clean stop counts as a crash")
	}
	checkOrder(t, e.awaitTaken(t, 9))
}

func TestWhatIsDeliveredIsNotSentAgainAfterARestart(t *testing.T) {
	e, root := newEndpoint(t, nil), newDir(t)
	for n := range 3 {
		b := open(t, options(root, e.configured()))
		tell(t, b, upload.ID(fmt.Sprint("u", n)), life...)
		e.awaitTaken(t, 3*(n+1))
		b.Close()
	}
	if n := len(e.requests()); n != 9 {
		t.Errorf("got %d requests, want 9", n)
	}
}

func TestWithoutEndpointsNothingIsWritten(t *testing.T) {
	root, hub := newDir(t), events.NewHub(nil)
	fsys := faultfs.New(root)
	o := options(fsys)
	o.Hub = hub
	s := hub.Subscribe("")
	b := open(t, o)
	tell(t, b, "u", upload.EventCreated)
	if item := <-s.C; item.Event.Record.ID != "u" {
		t.Errorf("got %+v", item)
	}
	b.Close()
	if ops := fsys.Ops(); len(ops) > 0 {
		t.Errorf("got %v, want no operation", ops)
	}
}

func TestABacklogCostsNoMemory(t *testing.T) {
	e, root := newEndpoint(t, nil), newDir(t)
	down := e.configured()
	down.URL = "http://127.0.0.1:1"
	o := options(root, down)
	o.Durable, o.SegmentBytes = false, 1<<20
	b := open(t, o)
	n := 0
	one := func() {
		tell(t, b, upload.ID(fmt.Sprint("u", n)), upload.EventCreated)
		n++
	}
	for b.Open() < events.MaxOpen {
		if one(); n > 10*events.MaxOpen {
			t.Fatalf("of %d events %d are in memory: the others are not even read", n, b.Open())
		}
	}
	for range 3000 { // each has the dispatcher look for more
		one()
	}
	if got := b.Open(); got > events.MaxOpen {
		t.Errorf("%d events are in memory, want at most %d", got, events.MaxOpen)
	}
	b.Close()

	o.Endpoints[0] = e.configured()
	b = open(t, o)
	e.awaitTaken(t, n)
	if got := len(e.requests()); got != n {
		t.Errorf("got %d requests, want %d", got, n)
	}
}

func TestAFullDiskIsSaidAndCostsNoEvent(t *testing.T) {
	e, fsys := newEndpoint(t, nil), faultfs.New(newDir(t))
	b := open(t, options(fsys, e.configured()))
	fsys.Fail(func(op faultfs.Op) (faultfs.How, error) {
		if op.Name == "File.WriteAt" && strings.HasSuffix(op.Path, ".log") {
			return faultfs.Refused, syscall.ENOSPC
		}
		return 0, nil
	})
	for _, typ := range life[:2] {
		if err := b.Record(t.Context(), upload.NewEvent(typ, record("u", ""))); !errors.Is(err, upload.ErrInsufficientStorage) {
			t.Errorf("got %v, want %v", err, upload.ErrInsufficientStorage)
		}
	}
	if err := b.Check(); !errors.Is(err, upload.ErrInsufficientStorage) {
		t.Errorf("got %v, want %v", err, upload.ErrInsufficientStorage)
	}
	fsys.Fail(nil)
	tell(t, b, "u", life[2])
	checkOrder(t, e.awaitTaken(t, 3))
	if err := b.Check(); err != nil {
		t.Error(err)
	}
}

func TestARecordedEventSurvivesEveryCrash(t *testing.T) {
	for _, tt := range []struct {
		name           string
		durable, power bool
	}{{"power cut", true, true}, {"death", false, false}, {"power cut, not durable", false, true}} {
		for _, how := range []faultfs.How{faultfs.Fatal, faultfs.Killed, faultfs.Refused, faultfs.Unsaid} {
			t.Run(tt.name+"/"+how.String(), func(t *testing.T) {
				step := 1
				if raceEnabled { // slow, and about something else: every fifth operation, different ones for each way
					step = 5
				}
				for k, more := 1+int(how)%step, true; more; k += step {
					more = crashAt(t, k, how, tt.durable, tt.power, uint64(k)*7)
				}
			})
		}
	}
}

// crashAt has the k-th operation fail while events are recorded and delivered, cuts the power, and checks that all that
// were recorded arrive; where that is not promised, that all which are recorded later do. It returns false if there is no
// k-th operation.
func crashAt(t *testing.T, k int, how faultfs.How, isDurable, power bool, seed uint64) bool {
	t.Helper()
	e := &endpoint{change: make(chan struct{}, 1), answer: func(int, events.Message) int { return 503 }}
	disk := faultfs.NewDisk()
	fsys := faultfs.New(disk)
	o := options(fsys, upload.Endpoint{Name: "back-end", URL: "http://back.end", AllowPrivate: true})
	o.Durable, o.SegmentBytes, o.Window = isDurable, 1500, time.Nanosecond
	b, err := events.Open(events.WithTransport(o, e))
	if err != nil {
		t.Fatal(err)
	}
	said := recordSome(b, "old", 3) // a start that finds something has more to do
	b.Close()
	e.answer = func(n int, _ events.Message) int { return []int{204, 500}[n%2] }
	fsys.FailAt(k, how)
	b, err = events.Open(events.WithTransport(o, e))
	if err == nil {
		maps.Copy(said, recordSome(b, "u", 6))
		b.Close()
	}
	reached := len(fsys.Ops()) >= k
	var loss faultfs.Loss
	if power {
		loss = disk.PowerCut(seed)
	}
	if power && !isDurable {
		clear(said)
	}
	o.FS = disk
	b, err = events.Open(events.WithTransport(o, e))
	if err != nil {
		t.Fatalf("operation %d, %s: %v", k, loss, err)
	}
	defer b.Close()
	rec := record("late", "")
	for _, typ := range life {
		ev := upload.NewEvent(typ, rec)
		said[ev.ID()] = true
		if err := b.Record(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
	timeout := time.After(10 * time.Second)
	for missing(e, said) > 0 {
		select {
		case <-e.change:
		case <-timeout:
			t.Fatalf("operation %d (%v), %s: %d of %d recorded events are lost; taken: %s", k, fsys.Ops()[min(k, len(fsys.Ops()))-1], loss,
				missing(e, said), len(said), brief(e.taken()))
		}
	}
	if isDurable || !power {
		checkOrder(t, e.taken())
	}
	return reached
}

// recordSome returns the ids of the events of n uploads that were recorded, as far as they were.
func recordSome(b *events.Outbox, prefix string, n int) map[string]bool {
	said := make(map[string]bool)
	for i := range n {
		for _, typ := range life {
			ev := upload.NewEvent(typ, record(upload.ID(fmt.Sprint(prefix, i)), ""))
			if b.Record(context.Background(), ev) != nil {
				return said // as a server that has died
			}
			said[ev.ID()] = true
		}
	}
	return said
}

func TestAFullDiskDoesNotStopAStart(t *testing.T) {
	e, root := newEndpoint(t, nil), newDir(t)
	down := e.configured()
	down.URL = "http://127.0.0.1:1"
	b := open(t, options(root, down))
	tell(t, b, "u", life[0])
	b.Close()
	fsys := faultfs.New(root)
	fsys.Fail(func(op faultfs.Op) (faultfs.How, error) {
		if op.Name == "File.WriteAt" || op.Name == "Create" {
			return faultfs.Refused, syscall.ENOSPC
		}
		return 0, nil
	})
	b = open(t, options(fsys, e.configured()))
	e.awaitTaken(t, 1)
	if err := b.Record(t.Context(), upload.NewEvent(life[1], record("u", ""))); !errors.Is(err, upload.ErrInsufficientStorage) {
		t.Errorf("got %v, want %v", err, upload.ErrInsufficientStorage)
	}
	fsys.Fail(nil)
	tell(t, b, "u", life[2])
	checkOrder(t, e.awaitTaken(t, 3))
	crash(t, b, fsys)
	b = open(t, options(fsys, e.configured()))
	if _, behind := b.Behind(); !behind {
		t.Error("nobody noticed that the process died")
	}
}

func TestAFileThatCouldNotBeSyncedIsNotWrittenToAgain(t *testing.T) {
	e, fsys := newEndpoint(t, nil), faultfs.New(newDir(t))
	b := open(t, options(fsys, e.configured()))
	tell(t, b, "u", life[0])
	failed := false
	fsys.Fail(func(op faultfs.Op) (faultfs.How, error) {
		if op.Name == "File.Datasync" && strings.HasSuffix(op.Path, ".log") && !failed {
			failed = true
			return faultfs.Refused, faultfs.ErrInjected
		}
		return 0, nil
	})
	if err := b.Record(t.Context(), upload.NewEvent(life[1], record("u", ""))); !errors.Is(err, faultfs.ErrInjected) {
		t.Errorf("got %v, want %v", err, faultfs.ErrInjected)
	}
	tell(t, b, "u", life[2])
	checkOrder(t, e.awaitTaken(t, 3))
	var paths []string
	for _, op := range fsys.Ops() {
		if op.Name == "File.WriteAt" && strings.HasSuffix(op.Path, ".log") {
			paths = append(paths, op.Path)
		}
	}
	if len(paths) < 2 || paths[0] == paths[1] {
		t.Errorf("what was written after the failure went to %q", paths)
	}
}

// Where the outbox is not durable a power cut may take the log, and leave what was delivered of it.
func TestANewEventIsNotTakenForOneThatWasLost(t *testing.T) {
	e, dir := newEndpoint(t, nil), t.TempDir()
	o := options(newDirAt(t, dir), e.configured())
	b := open(t, o)
	tell(t, b, "old", life...)
	e.awaitTaken(t, 3)
	b.Close()
	for _, name := range logs(t, dir) {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	b = open(t, o)
	tell(t, b, "new", life...)
	checkOrder(t, e.awaitTaken(t, 6))
}

func TestADamagedEventIsToldAndSkipped(t *testing.T) {
	e, dir := newEndpoint(t, nil), newDir(t)
	down := e.configured()
	down.URL = "http://127.0.0.1:1"
	b := open(t, options(dir, down))
	tell(t, b, "one", upload.EventCreated)
	tell(t, b, "two", upload.EventCreated)
	tell(t, b, "three", upload.EventCreated)
	b.Close()
	names, err := durable.ReadDir(dir, ".")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(names, func(d fs.DirEntry) bool { return strings.HasSuffix(d.Name(), ".log") })
	f, err := dir.OpenFile(names[i].Name(), os.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw, err := dir.ReadFile(names[i].Name())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("X"), int64(strings.Index(string(raw), `two"`))); err != nil {
		t.Fatal(err)
	}

	var said words
	o := options(dir, e.configured())
	o.Logger = said.logger()
	open(t, o)
	if got, want := brief(e.awaitTaken(t, 2)), []string{"one created, three created", "three created, one created"}; !slices.Contains(want, got) {
		t.Errorf("got %s, want %s", got, want[0])
	}
	if !strings.Contains(said.String(), "damaged") {
		t.Errorf("nothing was said of it: %s", said.String())
	}
}

func TestWhatEverybodyHasIsRemoved(t *testing.T) {
	e, dir := newEndpoint(t, nil), t.TempDir()
	root := newDirAt(t, dir)
	slow := newEndpoint(t, func(int, events.Message) int { return http.StatusServiceUnavailable })
	other := slow.configured()
	other.Name = "slow"
	o := options(root, e.configured(), other)
	o.SegmentBytes, o.Window = 1000, time.Nanosecond
	b := open(t, o)
	for n := range 20 {
		tell(t, b, upload.ID(fmt.Sprint("u", n)), life...)
	}
	e.awaitTaken(t, 60)
	if n := len(logs(t, dir)); n < 10 {
		t.Errorf("%d files are left, though an endpoint has nothing of them", n)
	}
	slow.mu.Lock()
	slow.answer = nil
	slow.mu.Unlock()
	slow.awaitTaken(t, 60)
	e.await(t, "removal", func() bool {
		if len(logs(t, dir)) == 1 {
			return true
		}
		tell(t, b, "more", upload.EventCreated) // a dispatcher that has something to do looks around
		return false
	})
}

func logs(t *testing.T, dir string) []string {
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestANewEndpointIsToldWhatHappensFromNowOn(t *testing.T) {
	e, root := newEndpoint(t, nil), newDir(t)
	b := open(t, options(root, e.configured()))
	tell(t, b, "old", upload.EventCreated)
	e.awaitTaken(t, 1)
	b.Close()
	late := newEndpoint(t, nil)
	other := late.configured()
	other.Name = "late"
	b = open(t, options(root, e.configured(), other))
	tell(t, b, "new", upload.EventCreated)
	if got := brief(late.awaitTaken(t, 1)); got != "new created" {
		t.Errorf("got %s", got)
	}
}

func TestCloseDoesNotWaitForAnEndpointThatHangs(t *testing.T) {
	asked, end := make(chan struct{}), make(chan struct{})
	hanging := newEndpoint(t, func(int, events.Message) int {
		close(asked)
		<-end
		return 204
	})
	root := newDir(t)
	patient := hanging.configured()
	patient.Timeout = time.Hour
	b := open(t, options(root, patient))
	tell(t, b, "u", upload.EventCreated)
	<-asked
	if err := b.Close(); err != nil { // the test's own time limit is the assertion
		t.Error(err)
	}
	if err := b.Record(t.Context(), upload.NewEvent(upload.EventReady, record("u", ""))); !errors.Is(err, upload.ErrShutdown) {
		t.Errorf("got %v, want %v", err, upload.ErrShutdown)
	}
	close(end)
	e := newEndpoint(t, nil)
	open(t, options(root, e.configured()))
	e.awaitTaken(t, 1)
}
