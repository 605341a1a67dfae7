package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/internal/upload"
)

func TestEndpointsAreReadFromTheFile(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(secret, []byte(keyB+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := mustParse(t, []string{"--webhook=https://one.example/hook"}, map[string]string{"KEY": keyA}, `
endpoints:
- name: back-end
  url: http://10.0.0.1/hook
  keys: [env:KEY, "file:`+secret+`"]
  format: tusd
  types: [upload.ready, upload.rejected]
  allowPrivate: true
  timeout: 3s
  concurrency: 2
`)
	if len(c.Endpoints) != 2 || c.Endpoints[0].Name != "webhook" {
		t.Fatalf("got %v", c.Endpoints)
	}
	got := c.Endpoints[1]
	if got.Name != "back-end" || got.URL != "http://10.0.0.1/hook" || !slices.Equal(got.Keys, []string{keyA, keyB}) || got.Format != upload.Tusd ||
		!slices.Equal(got.Types, []upload.EventType{upload.EventReady, upload.EventRejected}) || !got.AllowPrivate ||
		got.Timeout != 3*time.Second || got.Concurrency != 2 {
		t.Errorf("got %+v", struct{ upload.Endpoint }{got})
	}
}

func TestEveryFaultOfAnEndpointIsNamedAndNoSecret(t *testing.T) {
	_, err := parse(t, []string{"--webhook=http://localhost:1/hush", "--webhook-key=hush"}, nil, `
endpoints:
- name: back-end
  url: ftp://hush
- name: back-end
  url: https://a.example
  keys: [env:NOWHERE]
  types: [upload.lost]
  colour: red
`)
	wantFaults(t, err, "key 1 must be", "on this machine", "url must be", `no variable "NOWHERE"`, "colour: unknown key", `"upload.lost"`, "two of that name")
	if strings.Contains(err.Error(), "hush") {
		t.Errorf("a secret is told: %v", err)
	}
}

func TestAReplayThatCanMatchNothingIsRefused(t *testing.T) {
	_, err := parse(t, []string{"replay", "--type=upload.lost", "--delivered", "--id=../x"}, nil, "")
	wantFaults(t, err, `"../x" is not the id`, `type "upload.lost"`, "needs --id")
}
