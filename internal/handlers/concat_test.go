package handlers

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/internal/upload"
)

// listing is an endpoint as far as it reads lists: at /files/, or where a proxy shows that.
func listing(basePath string) *endpoint {
	return &endpoint{profile: upload.Profile{Path: "/files/"}, base: "https://up.example" + basePath, basePath: basePath}
}

func TestListsNameUploadsByTheirURLs(t *testing.T) {
	const long = 128
	tests := []struct {
		name string
		list string
		want []upload.ID // nil: refused
	}{
		{"a path", "final;/files/a", []upload.ID{"a"}},
		{"several, in their order", "final;/files/b /files/a /files/b", []upload.ID{"b", "a", "b"}},
		{"white space of every kind and number", "final; \t/files/a  \t /files/b \t", []upload.ID{"a", "b"}},
		{"relative to the endpoint", "final;a ./b ../files/c", []upload.ID{"a", "b", "c"}},
		{"of any host", "final;http://a.example/files/a https://b.example:8080/files/b //c.example/files/c", []upload.ID{"a", "b", "c"}},
		{"with a slash at its end", "final;/files/a/ b/", []upload.ID{"a", "b"}},
		{"with a query and a fragment", "final;/files/a?x=/files/b /files/c#/files/d", []upload.ID{"a", "c"}},
		{"spelled in percent", "final;/%66iles/%61 %62", []upload.ID{"a", "b"}},
		{"of every letter of ids", "final;/files/AZaz09-_", []upload.ID{"AZaz09-_"}},
		{"as long as ids can be", "final;" + strings.Repeat("a", long), []upload.ID{upload.ID(strings.Repeat("a", long))}},
		{"longer than ids can be", "final;" + strings.Repeat("a", long+1), nil},
		{"no semicolon", "final", nil},
		{"another separator", "final /files/a", nil},
		{"another word", "finally;/files/a", nil},
		{"another case", "Final;/files/a", nil},
		{"no list", "final;", nil},
		{"a list of spaces", "final; \t ", nil},
		{"commas", "final;/files/a,/files/b", nil},
		{"semicolons", "final;/files/a;/files/b", nil},
		{"one that is wrong among others", "final;/files/a /files/b.c /files/d", nil},
		{"the endpoint", "final;/files/", nil},
		{"the endpoint without its slash", "final;/files", nil},
		{"another endpoint", "final;/videos/a", nil},
		{"what begins like the endpoint", "final;/filesystem/a", nil},
		{"what ends like it", "final;/x/files/a", nil},
		{"below an upload", "final;/files/a/status", nil},
		{"two slashes before", "final;/files//a", nil},
		{"two slashes behind", "final;/files/a//", nil},
		{"dots that lead out", "final;../a /files/../../a", nil},
		{"dots in percent", "final;/files/%2e%2e%2fa", nil},
		{"a slash in percent that is part of the name", "final;/files/a%2fb", nil},
		{"a zero byte", "final;/files/a%00", nil},
		{"percent of nothing", "final;/files/%zz", nil},
		{"a broken host", "final;http://[/files/a", nil},
		{"a host alone", "final;http://a", nil},
		{"what has no path", "final;mailto:a", nil},
		{"a query alone", "final;?a", nil},
		{"a fragment alone", "final;#a", nil},
		{"a backslash", `final;\files\a`, nil},
		{"a letter that is none of ids'", "final;/files/\u00e4", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { checkListed(t, listing("/files/"), test.list, test.want) })
	}
}

func TestListsNameUploadsBehindAProxy(t *testing.T) {
	tests := []struct {
		list string
		want []upload.ID
	}{
		{"final;https://up.example/x/y/files/a", []upload.ID{"a"}},
		{"final;/x/y/files/a /files/b c", []upload.ID{"a", "b", "c"}},
		{"final;/x/files/a", nil},
		{"final;/y/files/a", nil},
		{"final;/x/y/x/y/files/a", nil},
		{"final;/x/y/files/", nil},
		{"final;/x/y/videos/a", nil},
		{"final;x/y/files/a", nil},
	}
	for _, test := range tests {
		t.Run(test.list, func(t *testing.T) { checkListed(t, listing("/x/y/files/"), test.list, test.want) })
	}
}

func checkListed(t *testing.T, e *endpoint, list string, want []upload.ID) {
	t.Helper()
	got, err := e.parseConcat(list)
	if !slices.Equal(got, want) || (err == nil) != (want != nil) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if err != nil && err != errParts {
		t.Errorf("got %v, want %v", err, errParts)
	}
}

// FuzzConcatList: whatever the list, each of its elements stands for one valid id, the same as alone, or none of it counts.
func FuzzConcatList(f *testing.F) {
	for _, seed := range []string{
		"/files/a", "a b", "http://h/files/a //h/files/b/ /x/files/c", "../files/a?b#c", "%61 %2e%2e%2f %00", "\u0085a\u00a0b", "a\x00", "a http://[ b", "",
	} {
		f.Add(seed)
	}
	e := listing("/x/files/")
	f.Fuzz(func(t *testing.T, list string) {
		ids, err := e.parseConcat("final;" + list)
		elements := strings.Fields(list)
		if err != nil {
			if ids != nil {
				t.Fatalf("%q: %v, but also %q", list, err, ids)
			}
			return
		}
		if len(ids) == 0 || len(ids) != len(elements) {
			t.Fatalf("%q: %d ids, %d elements", list, len(ids), len(elements))
		}
		for i, id := range ids {
			if _, err := upload.ParseID(string(id)); err != nil {
				t.Errorf("%q: %q is no id", list, id)
			}
			if alone, err := e.parseConcat("final;" + elements[i]); err != nil || alone[0] != id {
				t.Errorf("%q: %q is %q, and alone %q, %v", list, elements[i], id, alone, err)
			}
		}
	})
}

func TestFinalOfUploadsUnderAPublicURL(t *testing.T) {
	public, err := url.Parse("https://up.example/x")
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, func(o *Options) { o.PublicURL = public })
	part := s.create("/files/", "Upload-Length", "5", "Upload-Concat", "partial")
	s.patch(strings.TrimPrefix(part, public.String()), "0", strings.NewReader("hello")).want(t, statusIs(204))
	if !strings.HasPrefix(part, public.String()+"/files/") {
		t.Fatalf("the part is at %s, want it under %s", part, public)
	}
	list := "final;" + part + " " + strings.TrimPrefix(part, "https://up.example")
	whole := strings.TrimPrefix(s.create("/files/", "Upload-Concat", list), public.String())
	s.await(whole, upload.Ready)
	s.do(http.MethodHead, whole, tus, nil).want(t, statusIs(200), has("Upload-Concat", list), has("Upload-Length", "10"))
	s.do(http.MethodGet, whole, nil, nil).want(t, statusIs(200), bodyIs("hellohello"))
}

func TestFinalOfTusdsSaysWhatItIsMadeOf(t *testing.T) {
	e := listing("/x/files/")
	for want, rec := range map[string]upload.Record{
		"":        {},
		"partial": {Partial: true},
		"final;https://up.example/x/files/a https://up.example/x/files/b": {Final: true, Parts: []upload.ID{"a", "b"}},
		"final;as sent": {Final: true, Parts: []upload.ID{"a", "b"}, Concat: "final;as sent"},
	} {
		if got := e.concatOf(rec); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// idle is a finisher that does nothing until it is woken, as the real one after the last of its tries.
type idle struct {
	Finisher
	awake atomic.Bool
}

func (i *idle) Join(ctx context.Context, rec upload.Record) (upload.Record, error) {
	if !i.awake.Load() {
		return rec, nil
	}
	return i.Finisher.Join(ctx, rec)
}

func (i *idle) Resume(rec upload.Record) {
	if i.awake.Load() {
		i.Finisher.Resume(rec)
	}
}

func TestWhoAsksForAFinalThatWasGivenUpHasItAssembled(t *testing.T) {
	for name, look := range map[string]func(*testServer, string) answer{
		"HEAD":   func(s *testServer, path string) answer { return s.do(http.MethodHead, path, tus, nil) },
		"status": func(s *testServer, path string) answer { return s.do(http.MethodGet, path+"/status", nil, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			finisher := &idle{}
			s := start(t, func(o *Options) { finisher.Finisher, o.Finisher = o.Finisher, finisher })
			part := s.create("/files/", "Upload-Length", "5", "Upload-Concat", "partial")
			s.patch(part, "0", strings.NewReader("hello")).want(t, statusIs(204))
			whole := s.create("/files/", "Upload-Concat", "final;"+part+" "+part)
			if got := s.state(whole).State; got != upload.Receiving {
				t.Fatalf("the final is %s, want it to wait", got)
			}
			finisher.awake.Store(true)
			look(s, whole).want(t, statusIs(200))
			s.awaitStored(whole, upload.Ready)
			s.do(http.MethodGet, whole, nil, nil).want(t, bodyIs("hellohello"))
		})
	}
}

// await waits until an upload is in that state.
func (s *testServer) await(path string, want upload.State) {
	s.t.Helper()
	s.until(path, want, func() upload.State { return s.state(path).State })
}

// awaitStored is await for who must not ask the server: that would have it do something.
func (s *testServer) awaitStored(path string, want upload.State) {
	s.t.Helper()
	s.until(path, want, func() upload.State {
		rec, err := s.stores["file"].Lookup(upload.ID(strings.TrimPrefix(path, "/files/")))
		if err != nil {
			s.t.Fatal(err)
		}
		return rec.State
	})
}

func (s *testServer) until(path string, want upload.State, now func() upload.State) {
	s.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); now() != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s is %s, want %s", path, now(), want)
		}
	}
}
