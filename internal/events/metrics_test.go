package events_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"sluice/internal/events"
	"sluice/internal/upload"
)

func TestMetricsTellHowEndpointsAre(t *testing.T) {
	e := newEndpoint(t, func(_ int, m events.Message) int {
		if m.Data.ID == "stuck" {
			return http.StatusBadRequest
		}
		return http.StatusOK
	})
	o := options(newDir(t), e.configured())
	o.Metrics = events.NewMetrics()
	b := open(t, o)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(b)
	registry.MustRegister(o.Metrics.Collectors()...)
	tell(t, b, "stuck", life...)
	tell(t, b, "u", life[:2]...)
	const want = `
# HELP sluice_events_total Changes of state of uploads, by type.
# TYPE sluice_events_total counter
sluice_events_total{type="upload.created"} 2
sluice_events_total{type="upload.expired"} 0
sluice_events_total{type="upload.ready"} 1
sluice_events_total{type="upload.received"} 2
sluice_events_total{type="upload.rejected"} 0
sluice_events_total{type="upload.terminated"} 0
# HELP sluice_webhook_dead Events that were given up and can be replayed.
# TYPE sluice_webhook_dead gauge
sluice_webhook_dead{endpoint="back-end"} 0
# HELP sluice_webhook_pending Events that an endpoint has not taken yet.
# TYPE sluice_webhook_pending gauge
sluice_webhook_pending{endpoint="back-end"} 3
`
	compare := func() error {
		return testutil.GatherAndCompare(registry, strings.NewReader(want), "sluice_events_total", "sluice_webhook_pending", "sluice_webhook_dead")
	}
	e.await(t, "agreement of metrics", func() bool { return compare() == nil })
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("got %v, %v", problems, err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		switch f.GetName() {
		case "sluice_webhook_oldest_seconds":
			if age := f.Metric[0].Gauge.GetValue(); age < 1e6 { // they are of a noon that is long over
				t.Errorf("the oldest is %v seconds old", age)
			}
		case "sluice_webhook_deliveries_total":
			if n := len(f.Metric); n != 4 {
				t.Errorf("%d outcomes, want 4", n)
			}
		}
	}
}

func TestGivenUpEventsAreCounted(t *testing.T) {
	e := newEndpoint(t, func(int, events.Message) int { return http.StatusBadRequest })
	root := newDir(t)
	o := options(root, e.configured())
	o.Backoff.Give = 1
	var said words
	o.Logger = said.logger()
	b := open(t, o)
	tell(t, b, "u", upload.EventCreated)
	const want = `
# HELP sluice_webhook_dead Events that were given up and can be replayed.
# TYPE sluice_webhook_dead gauge
sluice_webhook_dead{endpoint="back-end"} 1
`
	said.await(t, "given up")
	if err := testutil.CollectAndCompare(b, strings.NewReader(want), "sluice_webhook_dead"); err != nil {
		t.Error(err)
	}
	b.Close()
	b = open(t, o)
	if err := testutil.CollectAndCompare(b, strings.NewReader(want), "sluice_webhook_dead"); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}
