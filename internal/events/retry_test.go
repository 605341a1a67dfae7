package events_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/durable/faultfs"
	"sluice/internal/events"
	"sluice/internal/upload"
)

// Time is not the real one here, so no socket may be: the endpoint is asked by calls.

// stamped is an endpoint that notes when it was asked.
type stamped struct {
	endpoint
	at []time.Time
}

func newStamped(answer func(n int, m events.Message) int) *stamped {
	s := &stamped{}
	s.change = make(chan struct{}, 1)
	s.answer = func(n int, m events.Message) int {
		s.at = append(s.at, time.Now())
		return answer(n, m)
	}
	return s
}

// start opens an outbox for s on fsys, with the default backoff.
func (s *stamped) start(t *testing.T, fsys *faultfs.Disk, format upload.Format) *events.Outbox {
	t.Helper()
	b, err := events.Open(events.WithTransport(events.Options{FS: fsys, Durable: true, Logger: quiet, Endpoints: []upload.Endpoint{
		{Name: "back-end", URL: "http://back.end", Format: format},
	}}, s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func always(status int) func(int, events.Message) int {
	return func(int, events.Message) int { return status }
}

func TestAFailedDeliveryIsTriedForThreeDaysMoreAndMoreSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStamped(always(http.StatusInternalServerError))
		b := s.start(t, faultfs.NewDisk(), "")
		defer b.Close()
		tell(t, b, "u", upload.EventCreated)
		time.Sleep(80 * time.Hour)
		synctest.Wait()
		wait := time.Second
		for i := 1; i < len(s.at); i++ {
			if got := s.at[i].Sub(s.at[i-1]); got < wait/2 || got > wait {
				t.Errorf("attempt %d came after %v, want between %v and %v", i+1, got, wait/2, wait)
			}
			wait = min(2*wait, time.Hour)
		}
		if span := s.at[len(s.at)-1].Sub(s.at[0]); span < 72*time.Hour || span > 73*time.Hour {
			t.Errorf("it was tried for %v, want 72h", span)
		}
	})
}

func TestTheTimesOfAttemptsAreOfChance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStamped(always(http.StatusInternalServerError))
		b := s.start(t, faultfs.NewDisk(), "")
		defer b.Close()
		for _, id := range []upload.ID{"a", "b", "c"} {
			tell(t, b, id, upload.EventCreated)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		seen := make(map[time.Duration]bool)
		for _, at := range s.at[3:] {
			seen[at.Sub(s.at[0])] = true
		}
		if len(seen) < len(s.at[3:])-1 {
			t.Errorf("%d attempts came at %d times", len(s.at[3:]), len(seen))
		}
	})
}

func TestRetryAfterIsHeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStamped(func(n int, _ events.Message) int {
			if n == 0 {
				return http.StatusTooManyRequests // with Retry-After: 600
			}
			return http.StatusOK
		})
		b := s.start(t, faultfs.NewDisk(), "")
		defer b.Close()
		tell(t, b, "u", upload.EventCreated)
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := s.at[1].Sub(s.at[0]); got != 600*time.Second {
			t.Errorf("got %v, want 10m", got)
		}
	})
}

func TestAfterAnOutageWhatWaitedIsTriedWithinAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := false
		s := newStamped(func(int, events.Message) int {
			if up {
				return http.StatusOK
			}
			return http.StatusBadGateway
		})
		disk := faultfs.NewDisk()
		b := s.start(t, disk, "")
		tell(t, b, "a", life...)
		tell(t, b, "b", life...)
		time.Sleep(10 * time.Hour) // from now on each is tried once an hour
		b.Close()
		b = s.start(t, disk, "") // which makes no difference
		defer b.Close()
		time.Sleep(10 * time.Hour)
		s.mu.Lock()
		up = true
		s.mu.Unlock()
		tell(t, b, "c", upload.EventCreated) // is tried at once
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if n := len(s.taken()); n != 7 {
			t.Errorf("a minute later %d events are taken, want 7", n)
		}
	})
}

func TestARestartKeepsCountOfAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, disk := newStamped(always(http.StatusInternalServerError)), faultfs.NewDisk()
		for day := range 4 {
			b := s.start(t, disk, "")
			if day == 0 {
				tell(t, b, "u", upload.EventCreated)
			}
			time.Sleep(24*time.Hour + time.Minute)
			synctest.Wait()
			b.Close()
		}
		if span := s.at[len(s.at)-1].Sub(s.at[0]); span > 73*time.Hour {
			t.Errorf("it was tried for %v, want 72h", span)
		}
		if len(s.at) > 125 { // of 109, more or less; each start that begins anew costs a dozen
			t.Errorf("%d attempts: each start began anew", len(s.at))
		}
	})
}

func TestEventsThatAreRefusedDoNotStopAllOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStamped(func(_ int, m events.Message) int {
			if m.Data.ID[0] == 'p' {
				return http.StatusUnprocessableEntity
			}
			return http.StatusOK
		})
		b, err := events.Open(events.WithOpen(events.WithTransport(events.Options{FS: faultfs.NewDisk(), Durable: true, Logger: quiet,
			Endpoints: []upload.Endpoint{{Name: "back-end", URL: "http://back.end"}}}, s), 20))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		for n := range 30 {
			tell(t, b, upload.ID(fmt.Sprint("p", n)), upload.EventCreated)
		}
		tell(t, b, "good", upload.EventCreated)
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if got := brief(s.taken()); got != "good created" {
			t.Errorf("got %q", got)
		}
		n, err := b.Replay(t.Context(), upload.Replay{})
		if n < 11 || n > 30 || err != nil {
			t.Errorf("%d were given up, %v, want no more than had to", n, err)
		}
	})
}

func TestAnEndpointThatIsDownHasNoEventGivenUpEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStamped(always(http.StatusServiceUnavailable))
		b, err := events.Open(events.WithOpen(events.WithTransport(events.Options{FS: faultfs.NewDisk(), Durable: true, Logger: quiet,
			Endpoints: []upload.Endpoint{{Name: "back-end", URL: "http://back.end"}}}, s), 20))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		for n := range 30 {
			tell(t, b, upload.ID(fmt.Sprint("u", n)), upload.EventCreated)
		}
		time.Sleep(70 * time.Hour)
		synctest.Wait()
		if n, err := b.Replay(t.Context(), upload.Replay{}); n != 0 || err != nil {
			t.Errorf("%d were given up, %v", n, err)
		}
	})
}

func TestDeadLettersAreKeptUntilReplayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status := http.StatusGone
		s := newStamped(func(int, events.Message) int { return status })
		disk := faultfs.NewDisk()
		b := s.start(t, disk, "")
		tell(t, b, "a", life...)
		tell(t, b, "b", upload.EventCreated)
		time.Sleep(300 * time.Hour) // one after the other, three days each
		synctest.Wait()
		b.Close()
		if n := len(s.taken()); n != 0 {
			t.Fatalf("%d were taken", n)
		}

		b = s.start(t, disk, "")
		defer b.Close()
		s.mu.Lock()
		status = http.StatusOK
		s.mu.Unlock()
		if _, err := b.Replay(t.Context(), upload.Replay{Endpoint: "nobody"}); err == nil {
			t.Error("an endpoint that is none was replayed to")
		}
		if n, err := b.Replay(t.Context(), upload.Replay{ID: "b"}); n != 1 || err != nil {
			t.Errorf("got %d, %v, want 1", n, err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := brief(s.taken()); got != "b created" {
			t.Errorf("got %s, want that of b", got)
		}
		if n, err := b.Replay(t.Context(), upload.Replay{Endpoint: "back-end"}); n != 3 || err != nil {
			t.Errorf("got %d, %v, want 3", n, err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		checkOrder(t, s.taken()[1:])
		if n, err := b.Replay(t.Context(), upload.Replay{}); n != 0 || err != nil {
			t.Errorf("got %d, %v, want 0: nothing is left", n, err)
		}
	})
}

func TestAReplayThatCannotBeWrittenLeavesTheDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStamped(always(http.StatusGone))
		fsys := faultfs.New(faultfs.NewDisk())
		o := events.WithTransport(events.Options{FS: fsys, Durable: true, Logger: quiet,
			Endpoints: []upload.Endpoint{{Name: "back-end", URL: "http://back.end"}}}, s)
		b, err := events.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		tell(t, b, "a", upload.EventCreated)
		time.Sleep(100 * time.Hour)
		fsys.Fail(func(op faultfs.Op) (faultfs.How, error) {
			if strings.HasSuffix(op.Path, ".log") && op.Name == "File.WriteAt" {
				return faultfs.Refused, faultfs.ErrInjected
			}
			return 0, nil
		})
		if n, err := b.Replay(t.Context(), upload.Replay{}); n != 0 || err == nil {
			t.Errorf("got %d, %v, want an error", n, err)
		}
		fsys.Fail(nil)
		if n, err := b.Replay(t.Context(), upload.Replay{}); n != 1 || err != nil {
			t.Errorf("got %d, %v, want 1", n, err)
		}
	})
}

func TestADeadLetterThatCannotBeKeptIsTriedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStamped(always(http.StatusGone))
		fsys := faultfs.New(faultfs.NewDisk())
		b, err := events.Open(events.WithTransport(events.Options{FS: fsys, Durable: true, Logger: quiet,
			Endpoints: []upload.Endpoint{{Name: "back-end", URL: "http://back.end"}}}, s))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		tell(t, b, "a", upload.EventCreated)
		fsys.Fail(func(op faultfs.Op) (faultfs.How, error) {
			if strings.HasSuffix(op.Path, ".dead") {
				return faultfs.Refused, faultfs.ErrInjected
			}
			return 0, nil
		})
		time.Sleep(100 * time.Hour)
		fsys.Fail(nil)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if n, err := b.Replay(t.Context(), upload.Replay{}); n != 1 || err != nil {
			t.Errorf("got %d, %v, want 1", n, err)
		}
	})
}

func TestWhatAnUploadsEndpointHasHadCanBeSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStamped(always(http.StatusOK))
		b := s.start(t, faultfs.NewDisk(), "")
		defer b.Close()
		tell(t, b, "a", life...)
		tell(t, b, "b", life...)
		time.Sleep(time.Second)
		for range 2 { // what was sent again is not sent twice the next time
			if n, err := b.Replay(t.Context(), upload.Replay{ID: "a", Delivered: true}); n != 3 || err != nil {
				t.Errorf("got %d, %v, want 3", n, err)
			}
		}
		if _, err := b.Replay(t.Context(), upload.Replay{Delivered: true}); err == nil {
			t.Error("everything was sent again")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := len(s.taken()); n != 12 {
			t.Errorf("got %d, want 12: %s", n, brief(s.taken()))
		}
	})
}

func TestRecordReturnsWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStamped(always(http.StatusOK))
		b := s.start(t, faultfs.NewDisk(), "")
		defer b.Close()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		b.Record(ctx, upload.NewEvent(upload.EventCreated, record("u", ""))) // either may come first
		time.Sleep(time.Second)
		synctest.Wait()
		if n := len(s.taken()); n != 1 {
			t.Errorf("got %d deliveries, want 1", n)
		}
	})
}
