package events_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"sluice/internal/events"
	"sluice/internal/upload"
)

func publish(h *events.Hub, from, to int) {
	for n := from; n < to; n++ {
		h.Publish(upload.NewEvent(upload.EventCreated, record(upload.ID(fmt.Sprint("u", n)), upload.Receiving)))
	}
}

func TestListenersAreToldInOrder(t *testing.T) {
	h := events.NewHub(nil)
	a, b := h.Subscribe(""), h.Subscribe("")
	publish(h, 0, 10)
	for _, s := range []*events.Subscription{a, b} {
		for n := range 10 {
			if item := <-s.C; string(item.Event.Record.ID) != fmt.Sprint("u", n) {
				t.Errorf("got %s at %d", item.Event.Record.ID, n)
			}
		}
		s.Close()
		s.Close()
		if _, more := <-s.C; more {
			t.Error("there is more after the end")
		}
	}
	if n := h.Listeners(); n != 0 {
		t.Errorf("%d listeners are left", n)
	}
}

func TestAListenerGoesOnWhereItWas(t *testing.T) {
	h := events.NewHub(nil)
	s := h.Subscribe("")
	publish(h, 0, 3)
	var ids []string
	for range 3 {
		ids = append(ids, (<-s.C).ID)
	}
	s.Close()
	publish(h, 3, 1000)
	for i, id := range ids {
		s := h.Subscribe(id)
		if len(s.Missed) != 999-i || string(s.Missed[0].Event.Record.ID) != fmt.Sprint("u", i+1) {
			t.Errorf("after %s: got %d, the first %+v", id, len(s.Missed), s.Missed[0].Event.Record.ID)
		}
		last := s.Missed[len(s.Missed)-1].ID
		s.Close()
		if s := h.Subscribe(last); len(s.Missed) != 0 {
			t.Errorf("after the last: got %d", len(s.Missed))
		}
	}
}

func TestAListenerThatMissedTooMuchIsTold(t *testing.T) {
	h := events.NewHub(nil)
	s := h.Subscribe("")
	publish(h, 0, 1)
	first := (<-s.C).ID
	publish(h, 1, 1001)
	if s := h.Subscribe(first); len(s.Missed) != 1000 || s.Missed[0].Name == events.Reset {
		t.Errorf("got %d, want all that there is", len(s.Missed))
	}
	publish(h, 1001, 1002)
	boot, _, _ := strings.Cut(first, "-")
	for _, id := range []string{first, "x", "-", "00000000-1001", boot + "-5000", boot + "-x", strings.Repeat("9", 100)} {
		s := h.Subscribe(id)
		if len(s.Missed) != 1 || s.Missed[0].Name != events.Reset {
			t.Errorf("after %q: got %d", id, len(s.Missed))
			continue
		}
		if again := h.Subscribe(s.Missed[0].ID); len(again.Missed) != 0 {
			t.Errorf("after a reset: got %d", len(again.Missed))
		}
	}
}

func TestASlowListenerIsDroppedAndNobodyWaits(t *testing.T) {
	h := events.NewHub(nil)
	slow, quick := h.Subscribe(""), h.Subscribe("")
	for n := range 200 {
		publish(h, n, n+1)
		<-quick.C
	}
	n := 0
	for range slow.C {
		n++
	}
	if n != 64 || h.Listeners() != 1 {
		t.Errorf("it was told %d times, and %d are left, want 64 and 1", n, h.Listeners())
	}
}

func TestAClosedHubEndsListening(t *testing.T) {
	h := events.NewHub(nil)
	before := h.Subscribe("")
	h.Close()
	for _, s := range []*events.Subscription{before, h.Subscribe("")} {
		if _, more := <-s.C; more {
			t.Error("there is more")
		}
	}
	publish(h, 0, 1)
}

func TestWhatIsOfTheMomentIsNotKept(t *testing.T) {
	h := events.NewHub(nil)
	publish(h, 0, 1)
	s := h.Subscribe("")
	publish(h, 1, 2)
	id := (<-s.C).ID
	h.Tell("level", []byte(`{"resident":1}`))
	if item := <-s.C; item.ID != "" || item.Name != "level" {
		t.Errorf("got %+v", item)
	}
	if s := h.Subscribe(id); len(s.Missed) != 0 {
		t.Errorf("got %d", len(s.Missed))
	}
}

func TestAnItemIsWrittenAsAServerSentEvent(t *testing.T) {
	h := events.NewHub(func(rec upload.Record) string { return "/videos/" + string(rec.ID) })
	s := h.Subscribe("")
	publish(h, 0, 1)
	item := <-s.C
	var b bytes.Buffer
	if err := events.WriteSSE(&b, item); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	if len(lines) != 5 || lines[0] != "id: "+item.ID || lines[1] != "event: upload.created" || lines[3] != "" || lines[4] != "" ||
		!strings.HasPrefix(lines[2], `data: {"type":"upload.created"`) || !strings.Contains(lines[2], `"url":"/videos/u0"`) ||
		strings.Contains(lines[2], `"path"`) {
		t.Errorf("got %q", b.String())
	}
	b.Reset()
	if err := events.WriteSSE(&b, events.Item{Name: "level", Data: []byte("1\n2")}); err != nil || b.String() != "event: level\ndata: 1\ndata: 2\n\n" {
		t.Errorf("got %q, %v", b.String(), err)
	}
}
