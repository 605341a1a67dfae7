package store

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/upload"
)

// Metrics are shared by the stores of all profiles.
type Metrics struct {
	received   *prometheus.CounterVec
	receiving  *prometheus.GaugeVec
	sync       prometheus.Histogram
	lockWait   prometheus.Histogram
	swept      *prometheus.CounterVec
	sweptBytes *prometheus.CounterVec
}

// NewMetrics makes the collectors; the caller registers what [Metrics.Collectors] returns.
func NewMetrics() *Metrics {
	return &Metrics{
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_received_bytes_total",
			Help: "Bytes of uploads written to the store, as they flow.",
		}, []string{"profile"}),
		receiving: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sluice_uploads_receiving",
			Help: "Uploads to which bytes are being added now.",
		}, []string{"profile"}),
		sync: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "sluice_store_sync_seconds",
			Help:    "Time that the disk took to make bytes of uploads durable.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14), // 0.5 ms ... 4 s
		}),
		lockWait: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "sluice_lock_wait_seconds",
			Help:    "Time from asking for an upload's lock to holding it.",
			Buckets: []float64{0.0001, 0.001, 0.005, 0.02, 0.1, 0.5, 2, 10},
		}),
		swept: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_swept_total",
			Help: "Uploads and files that were removed because their time was over, by cause.",
		}, []string{"profile", "cause"}),
		sweptBytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_swept_bytes_total",
			Help: "Bytes of disk that sweeping has freed.",
		}, []string{"profile"}),
	}
}

// Collectors returns what to register, once.
func (m *Metrics) Collectors() []prometheus.Collector {
	return []prometheus.Collector{m.received, m.receiving, m.sync, m.lockWait, m.swept, m.sweptBytes}
}

// begin makes the series of a profile, so that the first of each counts.
func (m *Metrics) begin(profile string) {
	m.sweptBytes.WithLabelValues(profile)
	for _, cause := range []upload.Cause{upload.Unfinished, upload.UnusedPart, upload.Finished, upload.Tombstone, upload.Orphan, upload.Leftover} {
		m.swept.WithLabelValues(profile, string(cause))
	}
}

// newLocks returns locks whose waits are measured.
func (m *Metrics) newLocks() *Locks {
	return NewLocks(func(d time.Duration) { m.lockWait.Observe(d.Seconds()) })
}

var (
	freeDesc = prometheus.NewDesc("sluice_store_free_bytes",
		"Bytes that may still be written where a profile's uploads live.", []string{"profile"}, nil)
	promisedDesc = prometheus.NewDesc("sluice_store_promised_bytes",
		"Bytes that unfinished uploads of a profile may still send.", []string{"profile"}, nil)
	writableDesc = prometheus.NewDesc("sluice_store_writable",
		"Whether a profile's uploads can take bytes: 1, or 0 when the disk is full or failing.", []string{"profile"}, nil)
)

// Disks tells, when scraped, how the disks under some stores are.
type Disks []*File

// Describe implements prometheus.Collector.
func (Disks) Describe(descs chan<- *prometheus.Desc) {
	descs <- freeDesc
	descs <- promisedDesc
	descs <- writableDesc
}

// Collect implements prometheus.Collector.
func (d Disks) Collect(metrics chan<- prometheus.Metric) {
	for _, f := range d {
		if free, err := f.fs.Free(); err == nil {
			metrics <- prometheus.MustNewConstMetric(freeDesc, prometheus.GaugeValue, float64(free), f.profile)
		}
		metrics <- prometheus.MustNewConstMetric(promisedDesc, prometheus.GaugeValue, float64(f.promised()), f.profile)
		writable := 1.0
		if f.Check() != nil {
			writable = 0
		}
		metrics <- prometheus.MustNewConstMetric(writableDesc, prometheus.GaugeValue, writable, f.profile)
	}
}
