package handlers

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
)

// TestOnlyAPlainBodyHasAConnectionBelow: else what the connection brings is not the body, or somebody must see it.
func TestOnlyAPlainBodyHasAConnectionBelow(t *testing.T) {
	conn, _ := net.Pipe()
	defer conn.Close()
	for _, tt := range []struct {
		name   string
		change func(*request)
		want   any
	}{
		{"plain", func(*request) {}, conn},
		{"with a checksum", func(r *request) { r.checksum = &checksum{} }, nil},
		{"of unknown length", func(r *request) { r.body.length = -1 }, nil},
		{"empty", func(r *request) { r.body.length = 0 }, nil},
		{"over HTTP/2", func(r *request) { r.outer.ProtoMajor = 2 }, nil},
		{"over TLS", func(r *request) { r.outer.TLS = &tls.ConnectionState{} }, nil},
		{"over a connection that was not told", func(r *request) { r.outer = r.outer.WithContext(t.Context()) }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			outer, err := http.NewRequestWithContext(WithConn(t.Context(), conn), "PATCH", "/", nil)
			if err != nil {
				t.Fatal(err)
			}
			req := &request{outer: outer, body: &tap{body: io.NopCloser(nil), length: 1}}
			tt.change(req)
			if got := (&guarded{req: req}).Below(); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
