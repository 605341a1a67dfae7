package handlers

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// underOwnName refuses a request that comes in over the loopback interface under a name that somebody else may have made: a web page in
// a browser on this machine can have its own name lead here (DNS rebinding), and then asks from what the browser takes for its own site, past
// [http.CrossOriginProtection]. On other interfaces names are the operator's business. What Prometheus and probes ask tells of no upload,
// and is answered under any name. The status is that of RFC 9110, section 15.5.20.
func underOwnName(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/metrics", "/healthz", "/readyz":
		default:
			if overLoopback(r) && !isOwnName(r.Host) {
				http.Error(w, "ask by address, as localhost, or by a name without dots", http.StatusMisdirectedRequest)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func overLoopback(r *http.Request) bool {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return local != nil && local.IP.IsLoopback()
}

// isOwnName tells that no stranger's DNS has an answer for host, which may have a port: an address needs none, and a name without dots
// is looked up on the machine or its network alone, as localhost is (RFC 6761, section 6.3).
func isOwnName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(host, ".")
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || !strings.Contains(host, ".") || strings.HasSuffix(strings.ToLower(host), ".localhost")
}
