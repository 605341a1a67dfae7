package events

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/upload"
)

// The outcomes of a delivery.
const (
	outcomeDelivered = "delivered"
	outcomeFailed    = "failed" // an attempt: it is tried again, or dead
	outcomeDead      = "dead"   // given up, and kept
	outcomeLost      = "lost"   // its record is damaged
)

// Metrics count what happens.
type Metrics struct {
	events     *prometheus.CounterVec
	of         map[upload.EventType]prometheus.Counter // those of events, which take longer to find there
	deliveries *prometheus.CounterVec
}

// NewMetrics makes the collectors; the caller registers what [Metrics.Collectors] returns, and the [Outbox].
func NewMetrics() *Metrics {
	m := &Metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_events_total",
			Help: "Changes of state of uploads, by type.",
		}, []string{"type"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_webhook_deliveries_total",
			Help: "Attempts to deliver an event, and events given up, by outcome.",
		}, []string{"endpoint", "outcome"}),
	}
	m.of = make(map[upload.EventType]prometheus.Counter)
	for _, typ := range upload.EventTypes() { // now, so that the first of each counts
		m.of[typ] = m.events.WithLabelValues(string(typ))
	}
	return m
}

// Collectors returns what to register, once.
func (m *Metrics) Collectors() []prometheus.Collector {
	return []prometheus.Collector{m.events, m.deliveries}
}

func (m *Metrics) begin(endpoint string) {
	for _, outcome := range []string{outcomeDelivered, outcomeFailed, outcomeDead, outcomeLost} {
		m.deliveries.WithLabelValues(endpoint, outcome)
	}
}

func (m *Metrics) delivered(endpoint, outcome string) {
	m.deliveries.WithLabelValues(endpoint, outcome).Inc()
}

var (
	pendingDesc = prometheus.NewDesc("sluice_webhook_pending",
		"Events that an endpoint has not taken yet.", []string{"endpoint"}, nil)
	deadDesc = prometheus.NewDesc("sluice_webhook_dead",
		"Events that were given up and can be replayed.", []string{"endpoint"}, nil)
	oldestDesc = prometheus.NewDesc("sluice_webhook_oldest_seconds",
		"Age of the oldest event that an endpoint has not taken yet; 0 if there is none.", []string{"endpoint"}, nil)
)

// Describe implements prometheus.Collector.
func (b *Outbox) Describe(descs chan<- *prometheus.Desc) {
	descs <- pendingDesc
	descs <- deadDesc
	descs <- oldestDesc
}

// Collect implements prometheus.Collector.
func (b *Outbox) Collect(metrics chan<- prometheus.Metric) {
	for _, d := range b.dispatchers {
		gauge := func(desc *prometheus.Desc, value float64) {
			metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, d.to.Name)
		}
		gauge(pendingDesc, float64(d.pending()))
		gauge(deadDesc, float64(d.dead.len()))
		age := 0.0
		if oldest := d.oldest.Load(); oldest > 0 {
			age = max(0, time.Since(time.UnixMilli(oldest)).Seconds())
		}
		gauge(oldestDesc, age)
	}
}
