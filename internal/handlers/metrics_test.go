package handlers

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// The names that dashboards and rules are built on.
var goldenMetrics = []string{
	"promhttp_metric_handler_errors_total", "sluice_client_aborts_total", "sluice_http_request_duration_seconds", "sluice_http_requests_in_flight", "sluice_sent_bytes_total",
	"tusd_bytes_received", "tusd_errors_total", "tusd_requests_total", "tusd_uploads_created", "tusd_uploads_finished", "tusd_uploads_terminated",
}

func TestMetricsKeepTheirNames(t *testing.T) {
	s := start(t, nil)
	s.do(http.MethodGet, "/files/none", nil, nil)
	var names []string
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		names = append(names, f.GetName())
	}
	if !slices.Equal(names, goldenMetrics) {
		t.Errorf("got %v, want %v", names, goldenMetrics)
	}
	problems, err := testutil.GatherAndLint(s.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "sluice_") { // tusd's names are tusd's
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestMetricsSumTheProfilesAndCountOurOwnAnswers(t *testing.T) {
	s := start(t, nil)
	s.uploadFile("hello", "")
	path := s.create("/videos/", "Upload-Length", "5")
	s.do(http.MethodHead, path, tus, nil)
	s.do(http.MethodOptions, "/avatars/", nil, nil)
	s.do(http.MethodDelete, path, tus, nil)
	s.do(http.MethodHead, path, tus, nil)
	want := `
# HELP tusd_requests_total Requests to upload endpoints, by method.
# TYPE tusd_requests_total counter
tusd_requests_total{method="DELETE"} 1
tusd_requests_total{method="GET"} 0
tusd_requests_total{method="HEAD"} 2
tusd_requests_total{method="OPTIONS"} 1
tusd_requests_total{method="PATCH"} 1
tusd_requests_total{method="POST"} 2
# HELP tusd_uploads_created Uploads created.
# TYPE tusd_uploads_created counter
tusd_uploads_created 2
# HELP tusd_bytes_received Bytes received for uploads, counted when a request ends.
# TYPE tusd_bytes_received counter
tusd_bytes_received 5
# HELP tusd_errors_total Errors answered, by status and code.
# TYPE tusd_errors_total counter
tusd_errors_total{code="ERR_UPLOAD_NOT_FOUND",status="404"} 1
`
	if err := testutil.GatherAndCompare(s.registry, strings.NewReader(want), "tusd_requests_total", "tusd_uploads_created",
		"tusd_bytes_received", "tusd_errors_total"); err != nil {
		t.Error(err)
	}
}

func TestClientsCannotMakeMetrics(t *testing.T) {
	s := start(t, nil)
	probe := func(id, method string) {
		s.do(http.MethodGet, "/files/"+id, nil, nil)
		s.do(http.MethodGet, "/files/"+id+"/"+id, nil, nil)
		s.do(method, "/files/"+id, nil, nil)
		s.do(http.MethodGet, "/"+id, nil, nil)
	}
	probe("one", "BREW")
	probe("one%2ftwo", "BREW")
	before, err := testutil.GatherAndCount(s.registry)
	if err != nil {
		t.Fatal(err)
	}
	probe("two", "STEEP")
	probe("..%2f..%2fetc%2fpasswd", "POUR")
	if after, err := testutil.GatherAndCount(s.registry); err != nil || after != before {
		t.Errorf("%d series became %d, %v", before, after, err)
	}
}
