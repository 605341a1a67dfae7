package finish

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/upload"
)

// Metrics tell what the pipeline does.
type Metrics struct {
	seconds  *prometheus.HistogramVec
	jobs     *prometheus.GaugeVec
	later    prometheus.Gauge
	gate     prometheus.Gauge
	waiting  prometheus.Gauge
	capacity prometheus.Gauge
}

// NewMetrics makes the collectors; the caller registers what [Metrics.Collectors] returns.
func NewMetrics() *Metrics {
	m := &Metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "sluice_finish_seconds",
			Help:    "Time from a complete upload to its verdict, waiting for memory included.",
			Buckets: []float64{0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 60},
		}, []string{"lane", "outcome"}),
		jobs: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sluice_finish_jobs",
			Help: "Complete uploads that wait for a verdict.",
		}, []string{"lane"}),
		later: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sluice_finish_later",
			Help: "Complete uploads that could not be processed, and wait to be tried again.",
		}),
		gate: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sluice_finish_gate_bytes",
			Help: "Memory taken now by pictures that are processed.",
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sluice_finish_gate_waiting",
			Help: "Pictures that wait for their turn to take memory.",
		}),
		capacity: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sluice_finish_gate_capacity_bytes",
			Help: "Memory that pictures may take together.",
		}),
	}
	for _, lane := range []upload.Lane{upload.Whole, upload.Stream} { // a series that begins at 1 has no increase to alert on
		for _, outcome := range []string{string(upload.Ready), string(upload.Rejected), failed} {
			m.seconds.WithLabelValues(string(lane), outcome)
		}
	}
	return m
}

// failed is the outcome of a try that ended in no verdict.
const failed = "failed"

// Collectors returns what to register, once.
func (m *Metrics) Collectors() []prometheus.Collector {
	return []prometheus.Collector{m.seconds, m.jobs, m.later, m.gate, m.waiting, m.capacity}
}

func (m *Metrics) observe(lane upload.Lane, state upload.State, err error, took time.Duration) {
	outcome := string(state) // ready or rejected
	if err != nil {
		outcome = failed
	}
	m.seconds.WithLabelValues(string(lane), outcome).Observe(took.Seconds())
}
