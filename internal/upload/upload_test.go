package upload_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"sluice/internal/upload"
)

var ids = map[string]bool{
	"a": true, "A": true, "0": true, "-": true, "_": true, "aZ09-_": true, strings.Repeat("x", 128): true,
	"": false, strings.Repeat("x", 129): false, ".": false, "..": false, "a.b": false, "a/b": false, `a\b`: false, "a b": false,
	"a\x00": false, "é": false, "a%2f": false, "a\n": false, "ａ": false, "a+": false, "a~": false, ".info": false,
}

func TestParseIDTakesTheAlphabetOfIDs(t *testing.T) {
	for s, valid := range ids {
		id, err := upload.ParseID(s)
		if valid && (err != nil || string(id) != s) {
			t.Errorf("%q: got %q, %v", s, id, err)
		}
		if !valid && (!errors.Is(err, upload.ErrNotFound) || id != "") {
			t.Errorf("%q: got %q, %v, want %v", s, id, err, upload.ErrNotFound)
		}
	}
}

func TestNewIDsAreValidAndDistinct(t *testing.T) {
	seen := make(map[upload.ID]bool)
	for range 1000 {
		id := upload.NewID()
		if _, err := upload.ParseID(string(id)); err != nil || len(id) != 32 || strings.ToLower(string(id)) != string(id) {
			t.Fatalf("got %q, %v", id, err)
		}
		seen[id] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d of 1000 are distinct", len(seen))
	}
}

func FuzzParseID(f *testing.F) {
	for s := range ids {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := upload.ParseID(s)
		odd := strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
		valid := s != "" && len(s) <= 128 && odd == "" && !strings.ContainsAny(s, "./\\\x00 ")
		if !valid && err == nil && (odd != "" || len(id) > 128 || id == "") || err == nil && string(id) != s {
			t.Errorf("%q became %q", s, id)
		}
	})
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

var headers = []struct {
	name, header string
	want         map[string]string // nil with bad is an error
	bad          bool
}{
	{"none", "", nil, false},
	{"blank", "  \t ", nil, false},
	{"a pair", "filename " + b64("x.txt"), map[string]string{"filename": "x.txt"}, false},
	{"two", "a " + b64("1") + ",b " + b64("2"), map[string]string{"a": "1", "b": "2"}, false},
	{"spaces about", " a " + b64("1") + " , b  " + b64("2") + " ", map[string]string{"a": "1", "b": "2"}, false},
	{"no value", "is_confidential", map[string]string{"is_confidential": ""}, false},
	{"an empty value", "a ,b " + b64("2"), map[string]string{"a": "", "b": "2"}, false},
	{"any bytes", "a " + b64("\x00\xff\n"), map[string]string{"a": "\x00\xff\n"}, false},
	{"keys differ by case", "a,A", map[string]string{"a": "", "A": ""}, false},
	{"visible ASCII", `!~"@=;:`, map[string]string{`!~"@=;:`: ""}, false},

	{"an empty pair", "a,,b", nil, true},
	{"a comma", ",", nil, true},
	{"at the end", "a,", nil, true},
	{"twice", "a MQ==,a Mg==", nil, true},
	{"not ASCII", "größe MQ==", nil, true},
	{"a tab", "a\tMQ==", nil, true},
	{"a control", "a\x00 MQ==", nil, true},
	{"delete", "a\x7f MQ==", nil, true},
	{"not base64", "a !!!!", nil, true},
	{"no padding", "a MQ", nil, true},
	{"of URLs", "a _-__", nil, true},
	{"two values", "a MQ== MQ==", nil, true},
}

func TestParseMetadataReadsTheHeader(t *testing.T) {
	for _, tt := range headers {
		t.Run(tt.name, func(t *testing.T) {
			got, err := upload.ParseMetadata(tt.header)
			if errors.Is(err, upload.ErrBadMetadata) != tt.bad || (err != nil) != tt.bad || !maps.Equal(got, tt.want) {
				t.Errorf("got %q, %v, want %q, bad %t", got, err, tt.want, tt.bad)
			}
		})
	}
}

func FuzzParseMetadata(f *testing.F) {
	for _, tt := range headers {
		f.Add(tt.header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got, err := upload.ParseMetadata(header)
		if err != nil {
			if !errors.Is(err, upload.ErrBadMetadata) || got != nil {
				t.Errorf("got %q, %v, want %v", got, err, upload.ErrBadMetadata)
			}
			return
		}
		var pairs []string
		for _, key := range slices.Sorted(maps.Keys(got)) {
			if key == "" || strings.ContainsAny(key, ", \t\r\n\x00") {
				t.Errorf("key %q", key)
			}
			pairs = append(pairs, key+" "+b64(got[key]))
		}
		again, err := upload.ParseMetadata(strings.Join(pairs, ","))
		if err != nil || !maps.Equal(again, got) {
			t.Errorf("got %q, again %q, %v", got, again, err)
		}
	})
}

func TestAFileHasTheNameThatItsClientGave(t *testing.T) {
	for header, want := range map[string]string{
		"": "", "filename": "", "filename " + b64("../x"): "../x", "name " + b64("n"): "n", "filename,name " + b64("n"): "n",
		"name " + b64("n") + ",filename " + b64("f"): "f", "filename !": "",
	} {
		if got := (upload.Record{Metadata: header}).Filename(); got != want {
			t.Errorf("%q: got %q, want %q", header, got, want)
		}
	}
}

// The example of RFC 9530, appendix B.1.
func TestDigestsAreWrittenAsTheRFCHasThem(t *testing.T) {
	sum := sha256.Sum256([]byte("{\"hello\": \"world\"}\n"))
	if got, want := upload.FormatDigest(upload.SHA256, sum[:]), "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOnlyReceivingIsNotComplete(t *testing.T) {
	for state, want := range map[upload.State]bool{
		"": false, upload.Receiving: false, upload.Received: true, upload.Ready: true, upload.Rejected: true, upload.Terminated: true,
	} {
		if got := state.Complete(); got != want {
			t.Errorf("%q: got %t, want %t", state, got, want)
		}
	}
}

func TestARecordIsFullWhenEveryByteIsThere(t *testing.T) {
	for _, tt := range []struct {
		length, offset int64
		want           bool
	}{{0, 0, true}, {1, 0, false}, {5, 5, true}, {5, 4, false}, {upload.Deferred, 0, false}, {upload.Deferred, 5, false}} {
		if got := (upload.Record{Length: tt.length, Offset: tt.offset}).Full(); got != tt.want {
			t.Errorf("%d of %d: got %t, want %t", tt.offset, tt.length, got, tt.want)
		}
	}
}

func TestARejectionIsFoundInWhatWrapsIt(t *testing.T) {
	err := errors.Join(errors.New("other"), upload.Reject(upload.CodeTooManyPixels, "%d of %d", 3, 2))
	var r *upload.Rejection
	if !errors.As(err, &r) || r.Code != upload.CodeTooManyPixels || r.Message != "3 of 2" || !strings.Contains(r.Error(), "3 of 2") {
		t.Errorf("got %+v", r)
	}
}
