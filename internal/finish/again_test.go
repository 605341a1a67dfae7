package finish

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/store"
	"sluice/internal/upload"
)

// inBubble runs a pipeline over a disk that fails some times, in a time that passes at once.
func inBubble(t *testing.T, fails int32, cause error, do func(t *testing.T, pl *Pipeline, files *store.File, rec upload.Record)) {
	p := profile(t, "file")
	files := openStore(t, p)
	rec := receive(t, files, "hello")
	synctest.Test(t, func(t *testing.T) {
		disk := &failing{Store: files, cause: cause}
		disk.left.Store(fails)
		pl := New(Options{Lanes: []Lane{{p, disk}}, ImageMemory: 1, Metrics: NewMetrics(), Logger: quiet})
		defer pl.Close()
		do(t, pl, files, rec)
	})
}

func state(t *testing.T, files *store.File, id upload.ID) upload.Record {
	t.Helper()
	rec, err := files.Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestAStepThatFailsIsTriedAgainWhileTheClientWaits(t *testing.T) {
	inBubble(t, 2, errors.New("trouble"), func(t *testing.T, pl *Pipeline, _ *store.File, rec upload.Record) {
		if got, err := pl.Whole(t.Context(), rec); got.State != upload.Ready || err != nil {
			t.Errorf("got %s, %v", got.State, err)
		}
	})
}

func TestAStepThatGoesOnFailingIsTriedAgainForHours(t *testing.T) {
	inBubble(t, 4+2, errors.New("trouble"), func(t *testing.T, pl *Pipeline, files *store.File, rec upload.Record) {
		got, err := pl.Whole(t.Context(), rec)
		if got.State != upload.Received || got.Tries != 1 || err == nil {
			t.Errorf("got %s after %d tries, %v; want it to be left for later", got.State, got.Tries, err)
		}
		pl.Resume(got) // who asks does not hurry it
		if again, err := pl.Stream(t.Context(), got); again.State != upload.Received || err != nil {
			t.Errorf("got %s, %v", again.State, err)
		}
		if found := state(t, files, rec.ID); found.Tries != 1 {
			t.Errorf("%d tries are recorded, want 1", found.Tries)
		}
		time.Sleep(lateAfter[0] + time.Minute)
		if found := state(t, files, rec.ID); found.State != upload.Ready || found.Tries != 0 {
			t.Errorf("got %s after %d tries, want ready", found.State, found.Tries)
		}
	})
}

func TestAStepThatNeverSucceedsIsGivenUpAndCanBeRevived(t *testing.T) {
	inBubble(t, 1000, errors.New("trouble"), func(t *testing.T, pl *Pipeline, files *store.File, rec upload.Record) {
		pl.Resume(rec)
		time.Sleep(24 * time.Hour)
		found := state(t, files, rec.ID)
		if found.State != upload.Rejected || found.Reason.Code != upload.CodeNotProcessed {
			t.Fatalf("got %s, %v", found.State, found.Reason)
		}
		if _, _, err := files.Open(rec.ID); !errors.Is(err, upload.ErrGone) {
			t.Errorf("got %v, want its content to be nobody's", err)
		}
		pl.lanes["file"].Store.(*failing).left.Store(0)
		revived, err := files.Revive(rec.ID)
		if err != nil || revived.State != upload.Received || revived.Offset != 5 {
			t.Fatalf("got %+v, %v", revived, err)
		}
		if got, err := pl.Stream(t.Context(), revived); got.State != upload.Ready || err != nil {
			t.Errorf("got %s, %v", got.State, err)
		}
		file, _, err := files.Open(rec.ID)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if raw, err := io.ReadAll(file); string(raw) != "hello" || err != nil {
			t.Errorf("got %q, %v", raw, err)
		}
	})
}

func TestAFullDiskIsNoReasonToGiveUp(t *testing.T) {
	inBubble(t, 1<<30, upload.ErrInsufficientStorage, func(t *testing.T, pl *Pipeline, files *store.File, rec upload.Record) {
		pl.Resume(rec)
		time.Sleep(24 * time.Hour)
		if found := state(t, files, rec.ID); found.State != upload.Received || found.Tries != 0 {
			t.Errorf("got %s after %d tries", found.State, found.Tries)
		}
		pl.lanes["file"].Store.(*failing).left.Store(0)
		time.Sleep(troubleAfter + time.Minute)
		if found := state(t, files, rec.ID); found.State != upload.Ready {
			t.Errorf("got %s, want ready: there is room", found.State)
		}
	})
}

func TestWhoAsksAfterAFullDiskNeedNotWait(t *testing.T) {
	inBubble(t, 4, upload.ErrInsufficientStorage, func(t *testing.T, pl *Pipeline, _ *store.File, rec upload.Record) {
		if got, err := pl.Whole(t.Context(), rec); got.State != upload.Received || err == nil {
			t.Errorf("got %s, %v", got.State, err)
		}
		began := time.Now()
		if got, err := pl.Stream(t.Context(), rec); got.State != upload.Ready || err != nil || time.Since(began) > 0 {
			t.Errorf("got %s, %v after %v", got.State, err, time.Since(began))
		}
	})
}

func TestWhatEndsTheProcessAgainAndAgainIsGivenUp(t *testing.T) {
	p := profile(t, "file")
	files := openStore(t, p)
	rec := receive(t, files, "hello")
	for range len(lateAfter) + 1 {
		if found := state(t, files, rec.ID); found.State != upload.Received {
			t.Fatalf("got %s after %d tries", found.State, found.Tries)
		}
		dies := &dying{Store: files, begun: make(chan struct{})}
		pl := New(Options{Lanes: []Lane{{p, dies}}, ImageMemory: 1, Metrics: NewMetrics(), Logger: quiet})
		dies.end = pl.ctx.Done()
		recovered := pl.Recover()
		select {
		case <-dies.begun: // and here the process would end, with all that it knew
		case <-recovered:
		}
		tries := state(t, files, rec.ID).Tries
		pl.Close()
		if tries > 0 {
			if _, err := files.Tried(rec.ID, tries); err != nil { // an orderly stop does not count, a death does
				t.Fatal(err)
			}
		}
	}
	if found := state(t, files, rec.ID); found.State != upload.Rejected || found.Reason.Code != upload.CodeNotProcessed {
		t.Errorf("got %s after %d tries", found.State, found.Tries)
	}
}

func TestAnOrderlyStopIsNoTry(t *testing.T) {
	p := profile(t, "file")
	files := openStore(t, p)
	rec := receive(t, files, "hello")
	dies := &dying{Store: files, begun: make(chan struct{})}
	pl := New(Options{Lanes: []Lane{{p, dies}}, ImageMemory: 1, Metrics: NewMetrics(), Logger: quiet})
	dies.end = pl.ctx.Done()
	pl.Recover()
	<-dies.begun
	if found := state(t, files, rec.ID); found.Tries != 1 {
		t.Errorf("%d tries while it is tried", found.Tries)
	}
	pl.Close()
	if found := state(t, files, rec.ID); found.State != upload.Received || found.Tries != 0 {
		t.Errorf("got %s after %d tries", found.State, found.Tries)
	}
}

// dying is a store in the middle of whose work the process ends.
type dying struct {
	Store
	begun chan struct{}
	end   <-chan struct{}
}

func (d *dying) Publish(id upload.ID, _ upload.Outcome) (upload.Record, error) {
	close(d.begun)
	<-d.end
	return upload.Record{}, errors.New("the end")
}
