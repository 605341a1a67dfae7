package handlers

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/tus/tusd/v2/pkg/handler"
)

// metrics are those of the edge: tusd's own under tusd's names, so that dashboards made for it go on, and ours.
type metrics struct {
	tusd     *tusdCollector
	errors   *errorCounts
	inFlight prometheus.Gauge
	seconds  *prometheus.HistogramVec
	sent     prometheus.Counter
	aborts   prometheus.Counter

	mu     sync.RWMutex
	series map[labels]prometheus.Observer // those of seconds that are in use: it takes longer to find one; guarded by mu
}

// labels are those of a series of seconds.
type labels struct{ route, method, code string }

func newMetrics(endpoints []*endpoint, joined func() uint64) *metrics {
	errors := &errorCounts{counts: make(map[errorKey]uint64)}
	return &metrics{
		series: make(map[labels]prometheus.Observer),
		tusd:   &tusdCollector{endpoints, errors, joined},
		errors: errors,
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sluice_http_requests_in_flight",
			Help: "Public requests being served now.",
		}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "sluice_http_request_duration_seconds",
			Help:    "Time from a public request's header to the end of its answer, the body's way included.",
			Buckets: []float64{0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600, 3600},
		}, []string{"route", "method", "code"}),
		sent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_sent_bytes_total",
			Help: "Bytes of answers to public requests.",
		}),
		aborts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_client_aborts_total",
			Help: "Public requests that ended without an answer, because the client stood still or the server could not tell.",
		}),
	}
}

func (m *metrics) register(registry *prometheus.Registry) error {
	for _, c := range []prometheus.Collector{m.tusd, m.inFlight, m.seconds, m.sent, m.aborts} {
		if err := registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (m *metrics) observe(req *request, status int, took time.Duration) {
	m.sent.Add(float64(req.w.sent))
	m.secondsOf(labels{req.route, knownMethod(req.method), statusClass(status)}).Observe(took.Seconds())
}

func (m *metrics) secondsOf(l labels) prometheus.Observer {
	m.mu.RLock()
	series := m.series[l]
	m.mu.RUnlock()
	if series == nil {
		series = m.seconds.WithLabelValues(l.route, l.method, l.code)
		m.mu.Lock()
		m.series[l] = series
		m.mu.Unlock()
	}
	return series
}

func statusClass(status int) string {
	switch status / 100 {
	case 1:
		return "1xx"
	case 2:
		return "2xx"
	case 3:
		return "3xx"
	case 4:
		return "4xx"
	case 5:
		return "5xx"
	}
	return "0xx" // none was sent
}

// knownMethod keeps what a client chooses out of the labels.
func knownMethod(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS":
		return method
	}
	return "other"
}

func addTo(counter *uint64) { atomic.AddUint64(counter, 1) }

// errorCounts are the errors that we answer ourselves, beside those that tusd counts.
type errorCounts struct {
	mu     sync.Mutex
	counts map[errorKey]uint64
}

type errorKey struct {
	status int
	code   string
}

func (c *errorCounts) count(p problem) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[errorKey{p.Status, p.tusd}]++
}

// tusdCollector gives the sum over all profiles: each has its own tusd handler, and each of those would give the same names.
type tusdCollector struct {
	endpoints []*endpoint
	errors    *errorCounts
	joined    func() uint64 // finals, which tusd knows nothing of
}

var (
	tusdRequests   = prometheus.NewDesc("tusd_requests_total", "Requests to upload endpoints, by method.", []string{"method"}, nil)
	tusdErrors     = prometheus.NewDesc("tusd_errors_total", "Errors answered, by status and code.", []string{"status", "code"}, nil)
	tusdBytes      = prometheus.NewDesc("tusd_bytes_received", "Bytes received for uploads, counted when a request ends.", nil, nil)
	tusdCreated    = prometheus.NewDesc("tusd_uploads_created", "Uploads created.", nil, nil)
	tusdFinished   = prometheus.NewDesc("tusd_uploads_finished", "Uploads finished.", nil, nil)
	tusdTerminated = prometheus.NewDesc("tusd_uploads_terminated", "Uploads terminated.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c *tusdCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{tusdRequests, tusdErrors, tusdBytes, tusdCreated, tusdFinished, tusdTerminated} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *tusdCollector) Collect(out chan<- prometheus.Metric) {
	send := func(desc *prometheus.Desc, value uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), labels...)
	}
	for method, n := range c.sumRequests() {
		send(tusdRequests, n, method)
	}
	for key, n := range c.sumErrors() {
		send(tusdErrors, n, strconv.Itoa(key.status), key.code)
	}
	send(tusdBytes, c.sum(func(m handler.Metrics) *uint64 { return m.BytesReceived }))
	send(tusdCreated, c.sum(func(m handler.Metrics) *uint64 { return m.UploadsCreated }))
	send(tusdFinished, c.sum(func(m handler.Metrics) *uint64 { return m.UploadsFinished })+c.joined())
	send(tusdTerminated, c.sum(func(m handler.Metrics) *uint64 { return m.UploadsTerminated }))
}

func (c *tusdCollector) sum(of func(handler.Metrics) *uint64) (total uint64) {
	for _, e := range c.endpoints {
		total += atomic.LoadUint64(of(e.tusd.Metrics))
	}
	return total
}

func (c *tusdCollector) sumRequests() map[string]uint64 {
	totals := make(map[string]uint64)
	for _, e := range c.endpoints {
		for method, n := range e.tusd.Metrics.RequestsTotal {
			totals[method] += atomic.LoadUint64(n)
		}
	}
	return totals
}

func (c *tusdCollector) sumErrors() map[errorKey]uint64 {
	totals := make(map[errorKey]uint64)
	for _, e := range c.endpoints {
		for key, n := range e.tusd.Metrics.ErrorsTotal.Load() {
			totals[errorKey{key.StatusCode, key.ErrorCode}] += atomic.LoadUint64(n)
		}
	}
	c.errors.mu.Lock()
	defer c.errors.mu.Unlock()
	for key, n := range c.errors.counts {
		totals[key] += n
	}
	return totals
}
