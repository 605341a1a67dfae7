package finish

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"sluice/internal/upload"
)

// shelf is a store whose uploads are as long as their records say.
type shelf struct{ Store }

type volume struct{ *strings.Reader }

func (volume) Close() error { return nil }

func (shelf) Open(upload.ID) (io.ReadSeekCloser, upload.Record, error) {
	return volume{strings.NewReader(strings.Repeat("x", 100))}, upload.Record{}, nil
}

// visitor is a job behind the gate, which stays until it is let go.
type visitor struct {
	entered bool
	leave   chan struct{}
	cancel  context.CancelFunc
	err     error
}

// enters has a job of 100 bytes and extra more come to the gate of p.
func enters(t *testing.T, p *Pipeline, extra int64) *visitor {
	ctx, cancel := context.WithCancel(t.Context())
	v := &visitor{leave: make(chan struct{}), cancel: cancel}
	go func() {
		v.err = p.hold(ctx, Lane{Store: shelf{}}, upload.Record{Length: 100}, extra, func([]byte) error {
			v.entered = true
			<-v.leave
			return nil
		})
	}()
	synctest.Wait()
	return v
}

// wantGate compares what the metrics say of the gate.
func wantGate(t *testing.T, p *Pipeline, used, waiting float64) {
	t.Helper()
	if got := testutil.ToFloat64(p.metrics.gate); got != used {
		t.Errorf("%v bytes are in use, want %v", got, used)
	}
	if got := testutil.ToFloat64(p.metrics.waiting); got != waiting {
		t.Errorf("%v jobs wait, want %v", got, waiting)
	}
	if got := testutil.ToFloat64(p.metrics.capacity); got != 1000 {
		t.Errorf("the capacity is %v, want 1000", got)
	}
}

func TestLargeJobIsNotOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{ImageMemory: 1000, Metrics: NewMetrics(), Logger: quiet})
		first, large, small := enters(t, p, 500), enters(t, p, 800), enters(t, p, 0)
		if !first.entered || large.entered || small.entered {
			t.Errorf("the first is in: %t, the large one: %t, the small one, which came last: %t", first.entered, large.entered, small.entered)
		}
		wantGate(t, p, 600, 2)
		close(first.leave)
		synctest.Wait()
		if !large.entered || !small.entered {
			t.Errorf("the large one is in: %t, and the small one beside it: %t", large.entered, small.entered)
		}
		wantGate(t, p, 1000, 0)
		close(large.leave)
		close(small.leave)
		synctest.Wait()
		wantGate(t, p, 0, 0)
	})
}

func TestWaitingAtTheGateIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{ImageMemory: 1000, Metrics: NewMetrics(), Logger: quiet})
		first, large, small := enters(t, p, 500), enters(t, p, 800), enters(t, p, 200)
		large.cancel()
		synctest.Wait()
		if !errors.Is(large.err, context.Canceled) || large.entered || !small.entered {
			t.Errorf("got %v; entered: %t; the one behind it: %t", large.err, large.entered, small.entered)
		}
		wantGate(t, p, 900, 0)
		close(first.leave)
		close(small.leave)
	})
}
