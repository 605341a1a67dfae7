package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tus/tusd/v2/pkg/filestore"
	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/durable"
	"sluice/internal/upload"
)

var everything = stored{
	Record: upload.Record{
		ID: "abc", Profile: "avatar", Owner: "me", Length: 12, Offset: 12, Metadata: "name eA==,b", State: upload.Ready,
		Reason: upload.Reject("code", "<&> \u2028 \"quoted\""), MediaType: "image/png", Damaged: true, Digest: "sha-256=:AA==:",
		Variants: []upload.Variant{
			{Name: "64", MediaType: "image/jpeg", Width: 64, Height: 64, Bytes: 99}, // all that there was before other formats
			{Name: "64-webp", MediaType: "image/webp", Width: 64, Height: 64, Bytes: 50, Of: "64"},
		},
		Created: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC), Changed: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC),
	},
	synced: 12,
}

// again encodes s and decodes it.
func again(t *testing.T, s stored) stored {
	t.Helper()
	raw, err := s.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeRecord(s.ID, raw)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestARecordIsReadAsWritten(t *testing.T) {
	receiving, rejected, deferred := everything, everything, everything
	receiving.State, receiving.Offset = upload.Receiving, 0 // the bytes tell
	rejected.State, rejected.Offset = upload.Rejected, 0
	deferred.State, deferred.Offset, deferred.Length = upload.Receiving, 0, upload.Deferred
	kept := rejected
	kept.kept = true
	for _, want := range []stored{everything, receiving, rejected, kept, deferred,
		{Record: upload.Record{ID: "x", State: upload.Receiving}}} {
		got := again(t, want)
		if diff := cmp.Diff(want.Record, got.Record); diff != "" || got.synced != want.synced || got.kept != want.kept {
			t.Errorf("synced %d, want %d; kept %t, want %t; record (-want +got):\n%s", got.synced, want.synced, got.kept, want.kept, diff)
		}
	}
}

// What comes instead of the lost bytes may be something else.
func TestWhatGoesBackHasNoDigest(t *testing.T) {
	s := everything
	s.goBack(5, true)
	if s.State != upload.Receiving || s.Digest != "" || !s.Damaged {
		t.Errorf("got %+v", s)
	}
}

// Of what is not rejected nothing is kept for an operator: its bytes are its owner's.
func TestOnlyTheRejectedIsKept(t *testing.T) {
	for state, want := range map[string]bool{"rejected": true, "expired": false, "receiving": false} {
		got, err := decodeRecord("abc", []byte(`{"ID":"abc","Size":1,"Sluice":{"state":"`+state+`","kept":true}}`))
		if err != nil || got.kept != want || got.emptied() == want && state != "receiving" {
			t.Errorf("%s: kept %t, emptied %t, %v, want kept %t", state, got.kept, got.emptied(), err, want)
		}
	}
}

func TestMetadataIsKeptByteForByte(t *testing.T) {
	for _, header := range []string{"", "a", "a ", "b eA==,a eQ==", " a  eA== , b", "a eA==,a eA==", "not base64 !!", "größe eA==", ",", "a\teA=="} {
		if got := again(t, stored{Record: upload.Record{ID: "x", State: upload.Receiving, Metadata: header}}).Metadata; got != header {
			t.Errorf("got %q, want %q", got, header)
		}
	}
}

// tusdRecords are as tusd v2.10.1 writes them.
var tusdRecords = map[string]struct {
	info string
	want upload.Record
}{
	"finished or not": {
		`{"ID":"abc","Size":12,"SizeIsDeferred":false,"Offset":0,"MetaData":{"filename":"x.txt","empty":""},"IsPartial":false,"IsFinal":false,"PartialUploads":null,"Storage":{"InfoPath":"/srv/abc.info","Path":"/srv/abc","Type":"filestore"}}`,
		upload.Record{Length: 12, Metadata: "empty,filename eC50eHQ="},
	},
	"deferred": {
		`{"ID":"abc","Size":0,"SizeIsDeferred":true,"Offset":0,"MetaData":{},"IsPartial":false,"IsFinal":false,"PartialUploads":null,"Storage":null}`,
		upload.Record{Length: upload.Deferred},
	},
	"partial": {
		`{"ID":"abc","Size":3,"SizeIsDeferred":false,"Offset":0,"MetaData":null,"IsPartial":true,"IsFinal":false,"PartialUploads":null}`,
		upload.Record{Length: 3, Partial: true},
	},
	"final": {
		`{"ID":"abc","Size":6,"SizeIsDeferred":false,"Offset":0,"MetaData":{"größe":"x"},"IsPartial":false,"IsFinal":true,"PartialUploads":["a","b"]}`,
		upload.Record{Length: 6, Metadata: "größe eA==", Final: true, Parts: []upload.ID{"a", "b"}},
	},
}

func TestTusdsRecordsAreReadAndLoseNothing(t *testing.T) {
	for name, tt := range tusdRecords {
		t.Run(name, func(t *testing.T) {
			got, err := decodeRecord("abc", []byte(tt.info))
			if err != nil {
				t.Fatal(err)
			}
			tt.want.ID, tt.want.State = "abc", upload.Receiving
			if diff := cmp.Diff(tt.want, got.Record); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
			raw, err := got.encode()
			if err != nil {
				t.Fatal(err)
			}
			var before, after handler.FileInfo
			if err := errors.Join(json.Unmarshal([]byte(tt.info), &before), json.Unmarshal(raw, &after)); err != nil {
				t.Fatal(err)
			}
			if len(before.MetaData) == 0 {
				before.MetaData, after.MetaData = nil, nil // {} or null: the same to tusd
			}
			if diff := cmp.Diff(before, after, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".stopUpload" }, cmp.Ignore())); diff != "" {
				t.Errorf("tusd's view (-before +after):\n%s", diff)
			}
		})
	}
}

func TestUnknownFieldsAreKept(t *testing.T) {
	const odd = `{"ID":"abc","Size":1,"Storage":{"Path":"/x","n":[1,2.50,{"deep":null}]},"Later":12345678901234567890,"":"no name"}`
	s, err := decodeRecord("abc", []byte(odd))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := again(t, s).encode()
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"Storage": `{"Path":"/x","n":[1,2.50,{"deep":null}]}`, "Later": "12345678901234567890", "": `"no name"`} {
		if got := string(fields[key]); got != want {
			t.Errorf("field %q is %s, want %s", key, got, want)
		}
	}
}

// Readers of JSON do not agree on which of two names counts that differ by case.
func TestNamesThatDifferFromKnownOnesByCaseAreDropped(t *testing.T) {
	s, err := decodeRecord("abc", []byte(`{"id":"other","ID":"abc","Size":5,"size":4,"sizeIsDeferred":true,"SLUICE":1}`))
	if err != nil || s.Length != 5 {
		t.Fatalf("got %+v, %v, want a length of 5", s, err)
	}
	raw, err := s.encode()
	if err != nil {
		t.Fatal(err)
	}
	var info handler.FileInfo
	if err := json.Unmarshal(raw, &info); err != nil || info.ID != "abc" || info.Size != 5 || info.SizeIsDeferred {
		t.Errorf("tusd reads %+v, %v", info, err)
	}
}

func TestTusdReadsOurRecords(t *testing.T) {
	dir := t.TempDir()
	root, err := durable.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	f := newFile(root, Options{Flat: true, Profile: "file", Metrics: NewMetrics()})
	for _, length := range []int64{12, upload.Deferred} {
		id := upload.NewID()
		if err := f.Create(upload.Record{ID: id, Length: length, Metadata: "name eA==,flag"}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteChunk(id, 0, strings.NewReader("five!"), upload.Check{}); err != nil {
			t.Fatal(err)
		}
		u, err := filestore.New(dir).GetUpload(t.Context(), string(id))
		if err != nil {
			t.Fatal(err)
		}
		got, err := u.GetInfo(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got.ID != string(id) || got.Offset != 5 || got.Size != max(length, 0) || got.SizeIsDeferred != (length < 0) ||
			!cmp.Equal(got.MetaData, handler.MetaData{"name": "x", "flag": ""}) {
			t.Errorf("tusd reads %+v", got)
		}
	}
}

// unreadable records, each with what is wrong with it.
var unreadable = map[string]string{
	"empty":                     ``,
	"torn":                      `{"ID":"abc","Si`,
	"zeros":                     "\x00\x00\x00\x00",
	"of another kind":           `[]`,
	"null":                      `null`,
	"a word":                    `"abc"`,
	"of another":                `{"ID":"abd","Size":1}`,
	"of nobody":                 `{"Size":1}`,
	"trailing":                  `{"ID":"abc"}{}`,
	"size below nothing":        `{"ID":"abc","Size":-1}`,
	"size of words":             `{"ID":"abc","Size":"1"}`,
	"state unknown":             `{"ID":"abc","Sluice":{"state":"later"}}`,
	"state missing":             `{"ID":"abc","Sluice":{}}`,
	"ours of another kind":      `{"ID":"abc","Sluice":[]}`,
	"synced below nothing":      `{"ID":"abc","Size":1,"Sluice":{"state":"receiving","synced":-1}}`,
	"received of no length":     `{"ID":"abc","SizeIsDeferred":true,"Sluice":{"state":"received"}}`,
	"ready of no length":        `{"ID":"abc","SizeIsDeferred":true,"Sluice":{"state":"ready"}}`,
	"variant with a path":       `{"ID":"abc","Size":1,"Sluice":{"state":"ready","variants":[{"name":"/../other"}]}}`,
	"time of words":             `{"ID":"abc","Size":1,"Sluice":{"state":"receiving","created":"today"}}`,
	"variant without a name":    `{"ID":"abc","Size":1,"Sluice":{"state":"ready","variants":[{}]}}`,
	"terminated is never saved": `{"ID":"abc","Sluice":{"state":"terminated"}}`,
}

func TestABadRecordIsUnreadableAndCanBeDeleted(t *testing.T) {
	root, err := durable.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	f := newFile(root, Options{Flat: true, Metrics: NewMetrics()})
	for name, raw := range unreadable {
		t.Run(name, func(t *testing.T) {
			err := errors.Join(durable.WriteFile(root, "abc.info", []byte(raw), false), durable.WriteFile(root, "abc", []byte("x"), false))
			if err != nil {
				t.Fatal(err)
			}
			if rec, err := f.Lookup("abc"); !errors.Is(err, upload.ErrUnreadable) {
				t.Errorf("look up: got %+v, %v, want %v", rec, err, upload.ErrUnreadable)
			}
			if err := f.Terminate("abc"); err != nil {
				t.Errorf("terminate: %v", err)
			}
			if names, err := durable.ReadDir(root, "."); err != nil || len(names) > 0 {
				t.Errorf("left: %v, %v, want nothing", names, err)
			}
			if len(f.entries) > 0 {
				t.Errorf("%d entries are kept, want 0", len(f.entries))
			}
		})
	}
}

func FuzzDecodeRecord(f *testing.F) {
	for _, raw := range unreadable {
		f.Add([]byte(raw))
	}
	for _, tt := range tusdRecords {
		f.Add([]byte(tt.info))
	}
	raw, err := everything.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"ID":"abc","id":"abc","size":4,"Size":5,"sluice":1}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := decodeRecord("abc", raw)
		if err != nil {
			if !errors.Is(err, upload.ErrUnreadable) {
				t.Errorf("got %v, want %v", err, upload.ErrUnreadable)
			}
			return
		}
		if fault := senseless(got); fault != "" {
			t.Errorf("%s: %+v", fault, got)
		}
		if diff := cmp.Diff(got.Record, again(t, got).Record); diff != "" {
			t.Errorf("a rewrite changes it (-before +after):\n%s", diff)
		}
	})
}

// senseless says what of s the store could not bear.
func senseless(s stored) string {
	switch {
	case s.ID != "abc":
		return "another's"
	case s.Length < upload.Deferred || s.Offset < 0 || s.synced < 0:
		return "negative"
	case s.State.Complete() && s.State != upload.Rejected && s.Offset != s.Length:
		return "complete without its bytes"
	case s.State == "" || s.State == upload.Terminated:
		return fmt.Sprintf("state %q", s.State)
	}
	return ""
}
