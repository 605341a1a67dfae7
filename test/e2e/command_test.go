package e2e

import (
	"strings"
	"testing"
)

// TestCommands starts the program in every way in which it ends by itself.
func TestCommands(t *testing.T) {
	s := start(t)
	nobody := newServer(t, t.TempDir())
	nobody.run(t)
	nobody.stop(t) // its ports are free now
	for _, row := range []struct {
		name   string
		args   []string
		code   int
		stdout []string
		stderr []string
	}{
		{name: "version", args: []string{"version"}, stdout: []string{"sluice e2e", "go1."}},
		{name: "help", args: []string{"--help"}, stdout: []string{"--listen", "--data", "SLUICE_DATA", "Exit codes"}},
		{name: "help of a command", args: []string{"health", "--help"}, stdout: []string{"--private-listen"}},
		{name: "health of a running server", args: []string{"health", "--private-listen", s.private}, stdout: []string{"ok"}},
		{name: "health of none", args: []string{"health", "--private-listen", nobody.private}, code: 1, stderr: []string{"sluice: "}},
		{name: "every fault", args: []string{"--listen", "nowhere", "--reserve", "much", "--log-level", "loud", "--nonsense"}, code: 2,
			stderr: []string{"--listen", "nowhere", "--reserve", "much", "--log-level", "loud", "--nonsense", "--help"}},
		{name: "unknown command", args: []string{"brew"}, code: 2, stderr: []string{"brew", "--help"}},
		{name: "missing file", args: []string{"--config", "nothing.yaml"}, code: 2, stderr: []string{"nothing.yaml"}},
		{name: "data in use", args: serveOn("127.0.0.1:0", "127.0.0.1:0", s.data), code: 1, stderr: []string{"sluice: ", "held by another process"}},
		{name: "port taken", args: serveOn(s.public, "127.0.0.1:0", t.TempDir()), code: 1, stderr: []string{"sluice: ", s.public, "in use"}},
		{name: "private port taken", args: serveOn("127.0.0.1:0", s.private, t.TempDir()), code: 1, stderr: []string{"sluice: ", s.private, "in use"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			code, stdout, stderr := command(t, row.args...)
			if code != row.code {
				t.Errorf("got exit code %d, want %d\n%s%s", code, row.code, stdout, stderr)
			}
			mention(t, "stdout", stdout, row.stdout)
			mention(t, "stderr", stderr, row.stderr)
		})
	}
}

func serveOn(public, private, data string) []string {
	return []string{"--listen", public, "--private-listen", private, "--data", data}
}

// mention looks for every phrase in what was said, and for silence where none is expected.
func mention(t *testing.T, where, said string, phrases []string) {
	t.Helper()
	for _, phrase := range phrases {
		if !strings.Contains(said, phrase) {
			t.Errorf("%s does not mention %q:\n%s", where, phrase, said)
		}
	}
	if len(phrases) == 0 && said != "" {
		t.Errorf("%s should be empty:\n%s", where, said)
	}
}
