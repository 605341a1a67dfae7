package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/store"
	"sluice/internal/upload"
)

// diary is a recorder that remembers, and can be out of order.
type diary struct {
	lines  []string // "created/receiving", the event and the state that it tells
	broken bool
}

var errDiary = errors.New("the diary is full")

func (d *diary) record(events ...upload.Event) error {
	if d.broken {
		return errDiary
	}
	for _, e := range events {
		d.lines = append(d.lines, strings.TrimPrefix(string(e.Type), "upload.")+"/"+string(e.Record.State))
	}
	return nil
}

// take returns what was recorded since the last call.
func (d *diary) take() (lines []string) {
	lines, d.lines = d.lines, nil
	return lines
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// fill adds all the bytes of an upload and completes it.
func fill(f *store.File, id upload.ID, content string) error {
	if _, err := f.WriteChunk(id, 0, strings.NewReader(content), upload.Check{}); err != nil {
		return err
	}
	_, err := f.Complete(id)
	return err
}

func TestEachChangeOfStateIsRecordedOnceAndInOrder(t *testing.T) {
	no := upload.Reject(upload.CodeUnsupportedType, "No.")
	judge := func(head []byte) (string, error) {
		if head[0] == '!' {
			return "", no
		}
		return "text/plain", nil
	}
	rec := upload.Record{ID: "a", Length: 5}
	second := func(_ upload.Record, err error) error { return err }
	for name, c := range map[string]struct {
		direct bool
		do     func(f *store.File) error
		want   []string
	}{
		"created": {false, func(f *store.File) error { return f.Create(rec) }, []string{"created/receiving"}},
		"processed": {false, func(f *store.File) error {
			return errors.Join(f.Create(rec), fill(f, "a", "hello"), second(f.Publish("a", upload.Outcome{})), second(f.Publish("a", upload.Outcome{})))
		}, []string{"created/receiving", "received/received", "ready/ready"}},
		"with its bytes, ready at once": {true, func(f *store.File) error {
			return errors.Join(f.Announce(rec), fill(f, "a", "hello"), f.Confirm("a"))
		}, []string{"created/receiving", "received/received", "ready/ready"}},
		"announced, and cut off": {true, func(f *store.File) error {
			_, err := f.Lookup("a")
			if !errors.Is(err, upload.ErrNotFound) {
				return err
			}
			return f.Announce(rec)
		}, nil},
		"refused": {false, func(f *store.File) error {
			return errors.Join(f.Create(rec), fill(f, "a", "hello"), second(f.Reject("a", no)), second(f.Reject("a", no)))
		}, []string{"created/receiving", "received/received", "rejected/rejected"}},
		"refused by its first bytes": {false, func(f *store.File) error {
			if err := errors.Join(f.Create(rec), fill(f, "a", "!ello")); !errors.As(err, new(*upload.Rejection)) {
				return errors.New("it is taken")
			}
			return nil
		}, []string{"created/receiving", "rejected/rejected"}},
		"deleted": {false, func(f *store.File) error { return errors.Join(f.Create(rec), f.Terminate("a")) },
			[]string{"created/receiving", "terminated/terminated"}},
		"refused, then deleted": {false, func(f *store.File) error {
			return errors.Join(f.Create(rec), fill(f, "a", "hello"), second(f.Reject("a", no)), f.Terminate("a"))
		}, []string{"created/receiving", "received/received", "rejected/rejected"}},
		"a length declared, and bytes in pieces": {false, func(f *store.File) error {
			deferred := rec
			deferred.Length = upload.Deferred
			_, err := f.WriteChunk("a", 0, strings.NewReader("he"), upload.Check{})
			if !errors.Is(err, upload.ErrNotFound) {
				return errors.New("it is there")
			}
			err = f.Create(deferred)
			_, first := f.WriteChunk("a", 0, strings.NewReader("he"), upload.Check{})
			err = errors.Join(err, first, f.DeclareLength("a", 5))
			_, last := f.WriteChunk("a", 2, strings.NewReader("llo"), upload.Check{})
			_, done := f.Complete("a")
			return errors.Join(err, last, done)
		}, []string{"created/receiving", "received/received"}},
	} {
		t.Run(name, func(t *testing.T) {
			var d diary
			o := store.Options{Durable: true, Judge: judge, Record: d.record}
			if c.direct {
				o.Direct = func(string) bool { return true }
			}
			f := openFile(t, t.TempDir(), o)
			defer f.Close()
			must(t, c.do(f))
			if diff := cmp.Diff(c.want, d.take()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestAnUploadThatACrashLeftFullIsReceivedOnce(t *testing.T) {
	dir := t.TempDir()
	var d diary
	o := store.Options{Durable: true, Record: d.record}
	f := openFile(t, dir, o)
	must(t, f.Create(upload.Record{ID: "a", Length: 5}))
	_, first := f.WriteChunk("a", 0, strings.NewReader("he"), upload.Check{})
	_, last := f.WriteChunk("a", 2, strings.NewReader("llo"), upload.Check{})
	must(t, first, last, f.Crash())
	d.take()
	for _, want := range [][]string{{"received/received"}, nil} { // the second start finds it recorded
		f = openFile(t, dir, o)
		rec, err := f.Lookup("a")
		must(t, err)
		if diff := cmp.Diff(want, d.take()); diff != "" || rec.State != upload.Received {
			t.Errorf("it is %s; -want +got\n%s", rec.State, diff)
		}
		must(t, f.Crash())
	}
}

func TestWhatACrashLeftFullIsJudgedAlsoAfterAnother(t *testing.T) {
	dir := t.TempDir()
	var d diary
	f := openFile(t, dir, store.Options{Durable: true, Record: d.record})
	must(t, f.Create(upload.Record{ID: "a", Length: 5}))
	_, err := f.WriteChunk("a", 0, strings.NewReader("hello"), upload.Check{}) // by nobody judged
	must(t, err, f.Crash())
	f = openFile(t, dir, store.Options{Durable: true, Record: d.record})
	_, err = f.Lookup("a")
	must(t, err, f.Crash())
	no := upload.Reject(upload.CodeUnsupportedType, "No.")
	f = openFile(t, dir, store.Options{Durable: true, Record: d.record, Judge: func([]byte) (string, error) { return "", no }})
	defer f.Close()
	if _, err := f.Publish("a", upload.Outcome{}); !errors.As(err, new(*upload.Rejection)) {
		t.Errorf("got %v, want the judge's word", err)
	}
}

func TestARemovalThatACrashCutShortIsRecorded(t *testing.T) {
	dir := t.TempDir()
	var d diary
	o := store.Options{Flat: true, Record: d.record}
	f := openFile(t, dir, o)
	must(t, f.Create(upload.Record{ID: "a", Length: 5}), f.Create(upload.Record{ID: "b", Length: 5}), f.Crash())
	d.take()
	must(t, os.Rename(filepath.Join(dir, "a.info"), filepath.Join(dir, "a.gone")))
	must(t, os.WriteFile(filepath.Join(dir, "b.gone"), nil, 0o600)) // whose record somebody has put back
	f = openFile(t, dir, o)
	defer f.Close()
	if diff := cmp.Diff([]string{"terminated/terminated"}, d.take()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestWhatExpiresIsRecordedAndATombstoneThatGoesIsNot(t *testing.T) {
	dir := t.TempDir()
	var d diary
	o := store.Options{Flat: true, Lifetime: time.Hour, Record: d.record}
	f := openFile(t, dir, o)
	must(t, f.Create(upload.Record{ID: "a", Length: 5}), f.Close())
	d.take()
	for _, want := range [][]string{{"expired/expired"}, nil} { // a second sweep, days later, removes the record
		age(t, append(namesOf(t, dir, "a"), filepath.Join(dir, ".sluice", "mark.json")), 10*24*time.Hour)
		f = openFile(t, dir, o)
		must(t, f.Sweep(t.Context(), false, func(upload.Swept) {}), f.Close())
		if diff := cmp.Diff(want, d.take()); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
	if left := namesOf(t, dir, "a"); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

func TestAnEventThatCannotBeRecordedStopsNothing(t *testing.T) {
	d := diary{broken: true}
	f := openFile(t, t.TempDir(), store.Options{Durable: true, Record: d.record})
	defer f.Close()
	must(t, f.Create(upload.Record{ID: "a", Length: 5}), fill(f, "a", "hello"), f.Terminate("a"))
}

func TestChangesAreFoundByTheirTime(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, dir, store.Options{})
	defer f.Close()
	must(t, f.Create(upload.Record{ID: "old", Length: 5}), f.Create(upload.Record{ID: "new", Length: 5}), f.Create(upload.Record{ID: "torn", Length: 5}))
	age(t, namesOf(t, dir, "old"), time.Hour)
	must(t, os.WriteFile(namesOf(t, dir, "torn")[0], []byte("{"), 0o600))
	var found []upload.ID
	look := func(rec upload.Record) error {
		found = append(found, rec.ID)
		if rec.Profile != "test" || rec.State != upload.Receiving {
			t.Errorf("got %+v", rec)
		}
		return nil
	}
	must(t, f.Changed(t.Context(), time.Now().Add(-time.Minute), look))
	if diff := cmp.Diff([]upload.ID{"new"}, found); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if err := f.Changed(t.Context(), time.Time{}, func(upload.Record) error { return errDiary }); !errors.Is(err, errDiary) {
		t.Errorf("got %v", err)
	}
}
