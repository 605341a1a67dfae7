package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// What an operator writes, one function for each kind. Each error quotes what was written and shows what would be right.

// parseNumber reads a whole number, not negative; 50_000_000 is 50000000.
func parseNumber(raw string) (int64, error) {
	n, err := strconv.ParseUint(strings.ReplaceAll(raw, "_", ""), 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", raw)
	}
	return int64(n), nil
}

// parseLimit reads how many of something there may be.
func parseLimit(raw string) (int, error) {
	n, err := parseNumber(raw)
	if err != nil || n == 0 || n > math.MaxInt32 {
		return 0, fmt.Errorf("%q is not a number from 1 to %d", raw, math.MaxInt32)
	}
	return int(n), nil
}

// parseCount reads how many of something there are, 0 or more.
func parseCount(raw string) (int, error) {
	n, err := parseNumber(raw)
	if err != nil || n > math.MaxInt32 {
		return 0, fmt.Errorf("%q is not a number from 0 to %d", raw, math.MaxInt32)
	}
	return int(n), nil
}

// parseSize reads bytes. Units are those of 1000 (kB, MB, ...) and of 1024 (KiB, MiB, ...), in any case. A single letter is
// no unit: half of those who write 10G mean the one, half the other.
func parseSize(raw string) (int64, error) {
	split := strings.IndexFunc(raw, func(r rune) bool { return r != '_' && (r < '0' || r > '9') })
	if split < 0 {
		split = len(raw)
	}
	n, err := parseNumber(raw[:split])
	factor := unitBytes(strings.ToLower(strings.TrimSpace(raw[split:])))
	if err != nil || factor == 0 {
		return 0, fmt.Errorf("%q is not a size: write bytes, or a whole number with a unit, such as 512MiB or 10GB", raw)
	}
	if n > math.MaxInt64/factor {
		return 0, fmt.Errorf("%q is more than any disk holds", raw)
	}
	return n * factor, nil
}

func unitBytes(unit string) int64 {
	switch unit {
	case "", "b":
		return 1
	case "kb":
		return 1e3
	case "mb":
		return 1e6
	case "gb":
		return 1e9
	case "tb":
		return 1e12
	case "kib":
		return 1 << 10
	case "mib":
		return 1 << 20
	case "gib":
		return 1 << 30
	case "tib":
		return 1 << 40
	}
	return 0
}

// parseDuration reads what [time.ParseDuration] reads, but for signs, and whole days before it: 7d, 1d12h.
func parseDuration(raw string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is not a time: write a number with a unit, such as 90s, 24h or 7d", raw)
	if strings.ContainsAny(raw, "+-") {
		return 0, wrong
	}
	const day = 24 * time.Hour
	var days time.Duration
	rest := raw
	if head, tail, ok := strings.Cut(raw, "d"); ok {
		n, err := parseNumber(head)
		if err != nil || n > int64(math.MaxInt64/day) {
			return 0, wrong
		}
		days, rest = time.Duration(n)*day, tail
		if rest == "" {
			rest = "0"
		}
	}
	clock, err := time.ParseDuration(rest)
	if err != nil || clock > math.MaxInt64-days {
		return 0, wrong
	}
	return days + clock, nil
}

// positive adds to parse that nothing is not enough.
func positive[T int64 | time.Duration](parse func(string) (T, error)) func(string) (T, error) {
	return func(raw string) (T, error) {
		value, err := parse(raw)
		if err == nil && value == 0 {
			return 0, fmt.Errorf("%q must be more than nothing", raw)
		}
		return value, err
	}
}

func oneOf(allowed ...string) func(string) (string, error) {
	return func(raw string) (string, error) {
		for _, word := range allowed {
			if raw == word {
				return raw, nil
			}
		}
		return "", fmt.Errorf("%q is not one of %s", raw, strings.Join(allowed, ", "))
	}
}

func parseBool(raw string) (bool, error) {
	word, err := oneOf("true", "false")(raw)
	return word == "true", err
}

func parseLevel(raw string) (slog.Level, error) {
	var level slog.Level
	word, err := oneOf("debug", "info", "warn", "error")(raw)
	if err != nil {
		return level, err
	}
	err = level.UnmarshalText([]byte(word))
	return level, err
}

func parseDir(raw string) (string, error) {
	if raw == "" {
		return "", errors.New("must name a directory")
	}
	return raw, nil
}

// A name or an address without brackets; nothing that a URL would take apart.
var hostName = regexp.MustCompile(`^[A-Za-z0-9._:%-]*$`)

func parseAddress(raw string) (string, error) {
	host, port, err := net.SplitHostPort(raw)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || !hostName.MatchString(host) {
		return "", fmt.Errorf("%q is not host:port, such as 127.0.0.1:8080, [::1]:8080 or :8080", raw)
	}
	return raw, nil
}

// parseOrigin reads what a browser sends as Origin (RFC 6454, section 6.1) and returns it as a browser writes it: in lower
// case, without the scheme's own port.
func parseOrigin(raw string) (string, error) {
	lower := strings.ToLower(strings.TrimSpace(raw))
	if lower == "*" {
		return lower, nil
	}
	u, err := url.Parse(lower)
	if err != nil || u.Scheme == "" || !isHost(u) || lower != u.Scheme+"://"+u.Host {
		return "", fmt.Errorf("%q is not an origin: write scheme://host or scheme://host:port and nothing after it, or * alone for any", raw)
	}
	if u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
		u.Host = strings.TrimSuffix(u.Host, ":"+u.Port())
	}
	return u.String(), nil
}

// A header's name (RFC 9110, section 5.1).
var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]*$")

func parseHeaderName(raw string) (string, error) {
	if !headerName.MatchString(raw) {
		return "", fmt.Errorf("%q is not the name of a header", raw)
	}
	return raw, nil
}

var publicPath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)*$`)

// parsePublicURL returns nil for "".
func parsePublicURL(raw string) (*url.URL, error) {
	if raw == "" {
		return nil, nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !isHost(u) {
		return nil, fmt.Errorf("%q is not an address that begins with http:// or https:// and a host", raw)
	}
	if u.User != nil || strings.ContainsAny(raw, "?#") {
		return nil, fmt.Errorf("%q must have no user, query or fragment", raw)
	}
	u.Host = strings.ToLower(u.Host)
	u.Path = strings.TrimRight(u.EscapedPath(), "/")
	u.RawPath = ""
	if !publicPath.MatchString(u.Path) || u.Path != "" && path.Clean(u.Path) != u.Path {
		return nil, fmt.Errorf("%q must have a plain path: letters, digits and -._~ between single slashes", raw)
	}
	return u, nil
}

// isHost tells whether u has a host that can be one, and a port that can be one or none.
func isHost(u *url.URL) bool {
	if u.Hostname() == "" || !hostName.MatchString(u.Hostname()) {
		return false
	}
	if u.Port() == "" {
		return u.Host[len(u.Host)-1] != ':'
	}
	_, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil
}
