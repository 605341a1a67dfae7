package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	tests := []struct {
		raw  string
		want int64 // -1: a fault
	}{
		{"0", 0}, {"1073741824", 1 << 30}, {"512MiB", 512 << 20}, {"10GB", 1e10}, {"1 kb", 1000}, {"1KIB", 1024}, {"3b", 3},
		{"2TiB", 2 << 40}, {"1_000", 1000}, {"7tb", 7e12}, {"9223372036854775807", 1<<63 - 1}, {"8388607TiB", 8388607 << 40},
		{"", -1}, {"MiB", -1}, {"-1", -1}, {"+1", -1}, {"1G", -1}, {"1.5GiB", -1}, {"1e9", -1}, {"0x10", -1}, {"1 2", -1},
		{"9223372036854775808", -1}, {"8388608TiB", -1}, {"_", -1}, {" 1", -1}, {"1MiBs", -1}, {"١", -1},
	}
	for _, tt := range tests {
		got, err := parseSize(tt.raw)
		if tt.want < 0 != (err != nil) || err == nil && got != tt.want {
			t.Errorf("%q: got %d, %v, want %d", tt.raw, got, err, tt.want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	tests := []struct {
		raw  string
		want time.Duration // -1: a fault
	}{
		{"0", 0}, {"90s", 90 * time.Second}, {"24h", 24 * time.Hour}, {"7d", 168 * time.Hour}, {"1d12h30m", 36*time.Hour + 30*time.Minute},
		{"1.5h", 90 * time.Minute}, {"106751d", 106751 * 24 * time.Hour},
		{"", -1}, {"7", -1}, {"d", -1}, {"-1h", -1}, {"-7d", -1}, {"7d-1h", -1}, {"+7d", -1}, {"1.5d", -1}, {"1d1d", -1}, {"12h1d", -1},
		{"106752d", -1}, {"106751d23h50m", -1}, {"9999999999999999999d", -1}, {"7 d", -1}, {"2w", -1},
	}
	for _, tt := range tests {
		got, err := parseDuration(tt.raw)
		if tt.want < 0 != (err != nil) || err == nil && got != tt.want {
			t.Errorf("%q: got %v, %v, want %v", tt.raw, got, err, tt.want)
		}
	}
}

func TestParseAddress(t *testing.T) {
	for _, raw := range []string{":0", ":8080", "127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:80", "my_host.local:65535"} {
		if _, err := parseAddress(raw); err != nil {
			t.Errorf("%q: %v", raw, err)
		}
	}
	for _, raw := range []string{"", "8080", "a", "a:", "a:http", "a:65536", "a:-1", "::1:80", "http://a:80", "a b:80", "a/b:80"} {
		if _, err := parseAddress(raw); err == nil {
			t.Errorf("%q: want a fault", raw)
		}
	}
}

func TestParseOrigin(t *testing.T) {
	tests := []struct {
		raw, want string // "": a fault
	}{
		{"*", "*"}, {"https://A.Example", "https://a.example"}, {"http://a:80", "http://a"}, {"https://a:80", "https://a:80"},
		{" http://a ", "http://a"}, {"capacitor://localhost", "capacitor://localhost"}, {"https://[::1]:443", "https://[::1]"},
		{"", ""}, {"null", ""}, {"a.example", ""}, {"https://a/", ""}, {"https://a/b", ""}, {"https://a?", ""}, {"https://a#", ""},
		{"https://*.a.example", ""}, {"https://u@a", ""}, {"https://a:", ""}, {"https://a:x", ""}, {"https://a:99999", ""}, {"https://", ""},
		{"mailto:a", ""}, {"//a", ""}, {"https://é.example", ""},
	}
	for _, tt := range tests {
		if got, err := parseOrigin(tt.raw); got != tt.want || err != nil != (tt.want == "") {
			t.Errorf("%q: got %q, %v, want %q", tt.raw, got, err, tt.want)
		}
	}
}

func TestParsePublicURL(t *testing.T) {
	tests := []struct {
		raw, want string // "": a fault
	}{
		{"http://a", "http://a"}, {"HTTPS://A/", "https://a"}, {"https://a:8443/Up/load//", "https://a:8443/Up/load"}, {"http://[::1]:1/~x", "http://[::1]:1/~x"},
		{"a.example", ""}, {"ftp://a", ""}, {"http:a", ""}, {"http:///x", ""}, {"http://u:p@a", ""}, {"http://a?", ""}, {"http://a?b=c", ""},
		{"http://a#", ""}, {"http://a/../b", ""}, {"http://a//b", ""}, {"http://a/%2e", ""}, {"http://a/b c", ""}, {"http://a:x", ""}, {"http://a:99999/", ""},
	}
	for _, tt := range tests {
		got, err := parsePublicURL(tt.raw)
		if err != nil != (tt.want == "") || err == nil && got.String() != tt.want {
			t.Errorf("%q: got %v, %v, want %q", tt.raw, got, err, tt.want)
		}
	}
	if got, err := parsePublicURL(""); got != nil || err != nil {
		t.Errorf("empty: got %v, %v, want none", got, err)
	}
}

func TestHint(t *testing.T) {
	for word, want := range map[string]string{"max_pixels": "maxPixels", "maxByte": "maxBytes", "colour": "", "pth": "path"} {
		if got := hint(word, columns()); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", word, got, want)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	for _, seed := range []string{"0", "512MiB", "10 GB", "1_0", "-1", "9223372036854775807", "99999999tib", "1é"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		n, err := parseSize(raw)
		if err != nil {
			return
		}
		if n < 0 {
			t.Fatalf("%q: got %d", raw, n)
		}
		if again, err := parseSize(fmt.Sprint(n)); again != n || err != nil {
			t.Fatalf("%q: got %d, then %d, %v", raw, n, again, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("serve\x00--listen=:1\x00-5", ":1")
	f.Add("--\x00--data\x00-hx", "")
	f.Add("--cors-origin\x00--cors-origin\x00-\x00", `a\,b`)
	f.Fuzz(func(t *testing.T, args, env string) {
		getenv := func(name string) string {
			if name == "SLUICE_CONFIG" {
				return ""
			}
			return env
		}
		if strings.Contains(args, "--config") { // would read files of this machine
			return
		}
		c, err := Parse(strings.Split(args, "\x00"), getenv, &strings.Builder{})
		if err == nil && c.Command == Serve && (len(c.Profiles) == 0 || c.IdleTimeout <= 0 || c.MaxUploads <= 0) {
			t.Errorf("got %+v without a fault", c)
		}
	})
}
