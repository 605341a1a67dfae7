package events

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"sluice/internal/upload"
)

// errPrivate is why an address is not connected to.
var errPrivate = errors.New("its address is in a private network, which the endpoint is not allowed")

// newClient makes the client of an endpoint: no proxy, no redirects, and no connection to where e may not go. That is
// checked when the connection is made, after the name was resolved, so it does not help to have the name lead elsewhere
// meanwhile.
func newClient(e upload.Endpoint) *http.Client {
	step := e.Timeout / 3
	dialer := &net.Dialer{Timeout: step, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil || !reachable(to.Addr(), e.AllowPrivate) {
			return errPrivate
		}
		return nil
	}}
	return &http.Client{
		Timeout:       e.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: step, ForceAttemptHTTP2: true,
			MaxConnsPerHost: e.Concurrency, MaxIdleConnsPerHost: e.Concurrency, IdleConnTimeout: 30 * time.Second,
			MaxResponseHeaderBytes: maxAnswer,
		},
	}
}

// reachable tells whether an endpoint may be at addr.
func reachable(addr netip.Addr, allowPrivate bool) bool {
	switch {
	case !addr.IsValid(), addr.Zone() != "" && !allowPrivate, within(addr.Unmap().WithZone(""), never()):
		return false
	case allowPrivate:
		return true
	}
	return addr.IsGlobalUnicast() && !addr.IsPrivate() && !within(addr, special()) &&
		(addr.Is4() || netip.MustParsePrefix("2000::/3").Contains(addr))
}

func within(addr netip.Addr, prefixes []string) bool {
	for _, p := range prefixes {
		if netip.MustParsePrefix(p).Contains(addr) {
			return true
		}
	}
	return false
}

// never is where no endpoint is: services that tell secrets to any machine that asks, and what is no single machine.
func never() []string {
	return []string{
		"169.254.169.254/32", "169.254.170.2/32", "169.254.170.23/32", // AWS, and those who do as it does
		"fd00:ec2::254/128", "fd00:ec2::23/128",
		"fd20:ce::254/128",       // Google
		"100.100.100.200/32",     // Alibaba
		"168.63.129.16/32",       // Azure
		"192.0.0.192/32",         // Oracle
		"64:ff9b::a9fe:a9fe/128", // the first one by NAT64
		"0.0.0.0/8", "::/128", "224.0.0.0/4", "ff00::/8", "255.255.255.255/32",
	}
}

// special is what looks public and is not (IANA's registries of special-purpose addresses), and what leads to IPv4 in
// disguise.
func special() []string {
	return []string{
		"100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
		"240.0.0.0/4",
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", // Teredo among them, and 6to4
		"64:ff9b::/96", "64:ff9b:1::/48", "::/96", // NAT64, and IPv4-compatible: outside 2000::/3 anyway
	}
}
