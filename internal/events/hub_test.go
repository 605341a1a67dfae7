package events_test

import (
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
	if s := h.Subscribe(first); len(s.Missed) != 1000 || s.Missed[0].Name == upload.NoticeReset {
		t.Errorf("got %d, want all that there is", len(s.Missed))
	}
	publish(h, 1001, 1002)
	boot, _, _ := strings.Cut(first, "-")
	for _, id := range []string{first, "x", "-", "00000000-1001", boot + "-5000", boot + "-x", strings.Repeat("9", 100)} {
		s := h.Subscribe(id)
		if len(s.Missed) != 1 || s.Missed[0].Name != upload.NoticeReset {
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

func TestWhoDoesNotKnowTheUploadIsToldNothingToFindItBy(t *testing.T) {
	h := events.NewHub(func(rec upload.Record) string { return "/videos/" + string(rec.ID) })
	s := h.Subscribe("")
	rec := record("secret", upload.Ready)
	rec.Metadata, rec.Owner, rec.MediaType = "filename c2VjcmV0", "secret", "video/mp4"
	h.Publish(upload.NewEvent(upload.EventReady, rec))
	n := <-s.C
	if !strings.Contains(string(n.Data), `"url":"/videos/secret"`) || strings.Contains(string(n.Data), `"path"`) {
		t.Errorf("got %s, want the address and no path", n.Data)
	}
	if strings.Contains(string(n.Anonymous), "secret") || strings.Contains(string(n.Anonymous), n.Event.ID()) {
		t.Errorf("got %s", n.Anonymous)
	}
	if !strings.Contains(string(n.Anonymous), `"type":"upload.ready"`) || !strings.Contains(string(n.Anonymous), `"mediaType":"video/mp4"`) {
		t.Errorf("got %s, want what happened", n.Anonymous)
	}
}
