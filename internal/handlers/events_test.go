package handlers

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"sluice/internal/events"
	"sluice/internal/upload"
)

// withHub has uploads' events told by a real hub.
func withHub(alter func(*Options)) (*events.Hub, func(*Options)) {
	hub := events.NewHub(func(rec upload.Record) string { return "/files/" + string(rec.ID) })
	return hub, func(o *Options) {
		o.Listen = func(lastID string) ([]upload.Notice, <-chan upload.Notice, func()) {
			s := hub.Subscribe(lastID)
			return s.Missed, s.C, s.Close
		}
		if alter != nil {
			alter(o)
		}
	}
}

// sse is a server-sent event.
type sse struct{ id, name, data string }

// listenTo opens the stream at path. The events come until it ends.
func (s *testServer) listenTo(path string, h header) <-chan sse {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	s.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(h); i += 2 {
		req.Header.Add(h[i], h[i+1])
	}
	req.Host = req.Header.Get("Host")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || got != "text/event-stream" {
		s.t.Fatalf("got %d and %q", resp.StatusCode, got)
	}
	told := make(chan sse, 100)
	go func() {
		defer close(told)
		defer resp.Body.Close()
		var e sse
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			key, value, _ := strings.Cut(lines.Text(), ": ")
			switch key {
			case "id":
				e.id = value
			case "event":
				e.name = value
			case "data":
				e.data = value
			case "":
				if e.name != "" {
					told <- e
				}
				e = sse{}
			}
		}
	}()
	return told
}

// next is the next event that is no level; the zero event at the end.
func next(told <-chan sse) sse {
	for e := range told {
		if e.name != "level" {
			return e
		}
	}
	return sse{}
}

// waitFor waits for what must come to pass soon.
func waitFor(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come to pass")
		}
	}
}

func created(id upload.ID) upload.Event {
	return upload.NewEvent(upload.EventCreated, upload.Record{ID: id, Profile: "file", State: upload.Receiving, Created: time.Now(), Metadata: "secret"})
}

func TestWhoListensIsToldWhatHeMayKnow(t *testing.T) {
	for name, c := range map[string]struct {
		all         Audience
		query       string
		first, then string // in the data of the first notice, and the type of the second
		not         string
	}{
		"all":                           {Everybody, "", `"id":"aaa"`, "upload.created", "none"},
		"anonymous":                     {Nobody, "", `"type":"upload.created"`, "upload.created", "aaa"},
		"one that is named":             {Nobody, "?upload=/files/bbb", `"id":"bbb"`, "upload.ready", "aaa"},
		"named, while all may be known": {Everybody, "?upload=/files/bbb", `"id":"bbb"`, "upload.ready", "aaa"},
	} {
		t.Run(name, func(t *testing.T) {
			hub, alter := withHub(func(o *Options) { o.ShowEvents = c.all })
			s := start(t, alter)
			told := s.listenTo("/events"+c.query, nil)
			waitFor(t, func() bool { return hub.Listeners() == 1 })
			hub.Publish(created("aaa"))
			hub.Publish(created("bbb"))
			ready := created("bbb").Record
			ready.State = upload.Ready
			hub.Publish(upload.NewEvent(upload.EventReady, ready))
			first, then := next(told), next(told)
			if !strings.Contains(first.data, c.first) || strings.Contains(first.data, c.not) || first.id == "" || then.name != c.then {
				t.Errorf("got %+v, then %s", first, then.name)
			}
			if strings.Contains(first.data, `"path"`) || strings.Contains(first.data, "\n") {
				t.Errorf("got %s", first.data)
			}
		})
	}
}

func TestAListenerGoesOnAfterTheLastThatItHeard(t *testing.T) {
	hub, alter := withHub(func(o *Options) { o.ShowEvents = Everybody })
	s := start(t, alter)
	told := s.listenTo("/events", nil)
	waitFor(t, func() bool { return hub.Listeners() == 1 })
	hub.Publish(created("a"))
	heard := next(told).id
	hub.Publish(created("b"))
	for name, told := range map[string]<-chan sse{
		"header": s.listenTo("/events", header{"Last-Event-ID", heard}),
		"query":  s.listenTo("/events?lastEventId="+heard, nil),
	} {
		if missed := next(told); !strings.Contains(missed.data, `"id":"b"`) {
			t.Errorf("%s: got %+v", name, missed)
		}
	}
	if reset := next(s.listenTo("/events?upload=/files/a", header{"Last-Event-ID", "elsewhere-1"})); reset.name != "reset" || reset.id == "" {
		t.Errorf("got %+v, want a reset", reset)
	}
}

func TestTheLevelIsTold(t *testing.T) {
	_, alter := withHub(func(o *Options) { o.ShowLevel = true })
	s := start(t, alter)
	s.patch(s.create("/files/", "Upload-Length", "5"), "0", strings.NewReader("hello"))
	level := <-s.listenTo("/events", nil)
	var got struct{ ResidentBytes, ReceivedBytes, Receiving int64 }
	if err := json.Unmarshal([]byte(level.data), &got); err != nil || level.name != "level" {
		t.Fatalf("got %+v: %v", level, err)
	}
	if got.ResidentBytes < 1<<20 || got.ReceivedBytes != 5 || got.Receiving != 0 {
		t.Errorf("got %s", level.data)
	}
}

func TestTheLevelCanBeKeptBack(t *testing.T) {
	hub, alter := withHub(nil)
	s := start(t, alter)
	told := s.listenTo("/events", nil)
	waitFor(t, func() bool { return hub.Listeners() == 1 })
	hub.Publish(created("a"))
	if e := <-told; e.name != "upload.created" {
		t.Errorf("got %+v", e)
	}
}

func TestListenersAreLetGoWhenTheServerStops(t *testing.T) {
	_, alter := withHub(func(o *Options) { o.ShowLevel = true })
	s := start(t, alter)
	told := s.listenTo("/events", nil)
	<-told
	s.Drain()
	for range told { // ends
	}
	s.Wait()
}

func TestListeningThatCannotBeIsRefused(t *testing.T) {
	_, alter := withHub(nil)
	s := start(t, alter)
	s.do(http.MethodPost, "/events", nil, nil).want(t, statusIs(http.StatusMethodNotAllowed))
	s.do(http.MethodGet, "/events?upload=/etc/passwd", nil, nil).want(t, statusIs(http.StatusBadRequest))
	s.do(http.MethodGet, "/events?"+strings.Repeat("upload=/files/a&", 101), nil, nil).want(t, statusIs(http.StatusBadRequest))
	s.listeners.Store(maxListeners)
	s.do(http.MethodGet, "/events", nil, nil).want(t, statusIs(http.StatusServiceUnavailable))
}

func TestWhoComesFromThisMachineMayKnowAll(t *testing.T) {
	hub, alter := withHub(func(o *Options) { o.ShowEvents = ThisMachine })
	s := start(t, alter)
	listeners := map[string]struct {
		h    header
		all  bool
		told <-chan sse
	}{
		"a program":                      {nil, true, nil},
		"the page":                       {header{"Origin", s.url}, true, nil},
		"a page elsewhere":               {header{"Origin", "https://elsewhere.example"}, false, nil},
		"somebody behind a proxy":        {header{"X-Forwarded-For", "192.0.2.1"}, false, nil},
		"another one":                    {header{"Forwarded", "for=192.0.2.1"}, false, nil},
		"a name that was made lead here": {header{"Host", "elsewhere.example"}, false, nil},
	}
	for name, l := range listeners {
		l.told = s.listenTo("/events", l.h)
		listeners[name] = l
	}
	waitFor(t, func() bool { return hub.Listeners() == len(listeners) })
	hub.Publish(created("secret"))
	for name, l := range listeners {
		if got := next(l.told); got.name != "upload.created" || strings.Contains(got.data, `"id":"secret"`) != l.all {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}
