package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/upload"
)

// parse runs Parse with an environment of its own and a config file of the text given, if any.
func parse(t *testing.T, args []string, env map[string]string, yaml string) (Config, error) {
	t.Helper()
	if yaml != "" {
		args = append(args, "--config="+writeFile(t, yaml))
	}
	return Parse(args, func(name string) string { return env[name] }, &bytes.Buffer{})
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// mustParse is parse of what is right.
func mustParse(t *testing.T, args []string, env map[string]string, yaml string) Config {
	t.Helper()
	c, err := parse(t, args, env, yaml)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return c
}

// wantFaults checks that err is a UsageError of as many faults as parts, each holding its part, in this order.
func wantFaults(t *testing.T, err error, parts ...string) {
	t.Helper()
	var usage *UsageError
	if !errors.As(err, &usage) {
		t.Fatalf("got %v, want a UsageError", err)
	}
	lines := strings.Split(usage.Error(), "\n")
	if len(lines) != len(parts) || len(usage.Faults) != len(parts) {
		t.Fatalf("got %d faults, want %d:\n%v", len(usage.Faults), len(parts), usage)
	}
	for i, part := range parts {
		if !strings.Contains(lines[i], part) {
			t.Errorf("fault %d: got %q, want it to hold %q", i+1, lines[i], part)
		}
	}
}

func TestNoArgumentAtAllIsEnough(t *testing.T) {
	c := mustParse(t, nil, nil, "")
	data, _ := filepath.Abs("data")
	got := fmt.Sprintf("%+v", c)
	want := fmt.Sprintf("{Command:serve DryRun:false Repair:false Digests:false Replay:{Endpoint: Profile: ID: Type: Delivered:false} Listing:{Profile: State:} JSON:false Listen:127.0.0.1:8080 PrivateListen:127.0.0.1:8081 TLSCert: TLSKey: PublicURL:<nil> OwnerHeader: Data:./data "+
		"Durability:always CORSOrigins:[*] Profiles:%+v Reserve:1073741824 SweepInterval:10m0s Splice:true Endpoints:[] PublicEvents:local ShowLevel:true MaxConnections:10000 MaxUploads:2000 "+
		"ImageMemory:1342177280 Vipsthumbnail: IdleTimeout:1m0s ShutdownTimeout:10s LogFormat:text LogLevel:INFO}", builtIn(data))
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// builtIn is the built-in table with its directories below data.
func builtIn(data string) []upload.Profile {
	table := upload.DefaultProfiles()
	for i := range table {
		table[i].Dir = filepath.Join(data, table[i].Name)
	}
	return table
}

// settings has for every flag but --config three right values, what each comes out as, and where.
var settings = []struct {
	name            string
	file, env, flag string
	wants           [3]string
	got             func(Config) any
}{
	{"listen", ":1", ":2", ":3", [3]string{":1", ":2", ":3"}, func(c Config) any { return c.Listen }},
	{"private-listen", "a:1", "b:2", "c:3", [3]string{"a:1", "b:2", "c:3"}, func(c Config) any { return c.PrivateListen }},
	{"tls-cert", "a", "b", "c", [3]string{"a", "b", "c"}, func(c Config) any { return c.TLSCert }},
	{"tls-key", "a", "b", "c", [3]string{"a", "b", "c"}, func(c Config) any { return c.TLSKey }},
	{"public-url", "http://A/", "https://b/x/", "http://c:80", [3]string{"http://a", "https://b/x", "http://c:80"}, func(c Config) any { return c.PublicURL }},
	{"owner-header", "A", "B", "C", [3]string{"A", "B", "C"}, func(c Config) any { return c.OwnerHeader }},
	{"data", "a", "b", "c", [3]string{"a", "b", "c"}, func(c Config) any { return c.Data }},
	{"durability", "none", "always", "none", [3]string{"none", "always", "none"}, func(c Config) any { return c.Durability }},
	{"cors-origin", "[http://a, https://B:443]", "http://c,http://d:1", "app://e", [3]string{"[http://a https://b]", "[http://c http://d:1]", "[app://e]"}, func(c Config) any { return c.CORSOrigins }},
	{"reserve", "0", "2KiB", "3kB", [3]string{"0", "2048", "3000"}, func(c Config) any { return c.Reserve }},
	{"sweep-interval", "0", "2m", "1d", [3]string{"0s", "2m0s", "24h0m0s"}, func(c Config) any { return c.SweepInterval }},
	{"splice", "false", "true", "false", [3]string{"false", "true", "false"}, func(c Config) any { return c.Splice }},
	{"max-connections", "1", "2", "3", [3]string{"1", "2", "3"}, func(c Config) any { return c.MaxConnections }},
	{"max-uploads", "1", "2", "3_000", [3]string{"1", "2", "3000"}, func(c Config) any { return c.MaxUploads }},
	{"image-memory", "2GiB", "3 GiB", "4gib", [3]string{"2147483648", "3221225472", "4294967296"}, func(c Config) any { return c.ImageMemory }},
	{"vipsthumbnail", "/bin/sh", "none", "auto", [3]string{"/bin/sh", "", ""}, func(c Config) any { return c.Vipsthumbnail }},
	{"idle-timeout", "1s", "2m", "3d", [3]string{"1s", "2m0s", "72h0m0s"}, func(c Config) any { return c.IdleTimeout }},
	{"shutdown-timeout", "1s", "2m", "3d", [3]string{"1s", "2m0s", "72h0m0s"}, func(c Config) any { return c.ShutdownTimeout }},
	{"webhook", "http://a", "http://b", "https://c", [3]string{"http://a", "http://b", "https://c"}, func(c Config) any { return c.Endpoints[0].URL }},
	{"webhook-key", "[" + keyA + ", " + keyB + "]", keyB, keyA, [3]string{"[" + keyA + " " + keyB + "]", "[" + keyB + "]", "[" + keyA + "]"}, func(c Config) any { return c.Endpoints[0].Keys }},
	{"webhook-private", "true", "false", "true", [3]string{"true", "false", "true"}, func(c Config) any { return c.Endpoints[0].AllowPrivate }},
	{"public-events", "all", "named", "local", [3]string{"all", "named", "local"}, func(c Config) any { return c.PublicEvents }},
	{"show-level", "false", "true", "false", [3]string{"false", "true", "false"}, func(c Config) any { return c.ShowLevel }},
	{"log-format", "json", "text", "json", [3]string{"json", "text", "json"}, func(c Config) any { return c.LogFormat }},
	{"log-level", "debug", "warn", "error", [3]string{"DEBUG", "WARN", "ERROR"}, func(c Config) any { return c.LogLevel }},
}

// beside is what a setting makes no sense without.
var beside = map[string][]string{
	"tls-cert": {"--tls-key=k"}, "tls-key": {"--tls-cert=c"},
	"webhook-key": {"--webhook=http://a"}, "webhook-private": {"--webhook=http://a"},
}

const (
	keyA = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	keyB = "whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA="
)

func TestFlagBeatsEnvironmentBeatsFile(t *testing.T) {
	for _, s := range settings {
		t.Run(s.name, func(t *testing.T) {
			env := map[string]string{"SLUICE_" + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_")): s.env}
			yaml := s.name + ": " + s.file
			for i, c := range []Config{
				mustParse(t, beside[s.name], nil, yaml),
				mustParse(t, beside[s.name], env, yaml),
				mustParse(t, append([]string{"--" + s.name + "=" + s.flag}, beside[s.name]...), env, yaml),
			} {
				if got := fmt.Sprint(s.got(c)); got != s.wants[i] {
					t.Errorf("source %d: got %s, want %s", i, got, s.wants[i])
				}
			}
		})
	}
}

func TestEveryFlagIsInTheTableOfSettings(t *testing.T) {
	line, err := readCommandLine(nil, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	tested := map[string]bool{"help": true, "config": true}
	for _, s := range settings {
		tested[s.name] = true
	}
	for _, flag := range line.ctx.Model.Flags {
		if !tested[flag.Name] && !lineOnly(flag.Name) {
			t.Errorf("--%s is not in the table", flag.Name)
		}
	}
}

func TestEmptyVariableIsNotSetAndEmptyFlagIs(t *testing.T) {
	env := map[string]string{"SLUICE_LISTEN": "", "SLUICE_PUBLIC_URL": "http://a", "SLUICE_CONFIG": "/nowhere", "SLUICE_HELP": "1"}
	c := mustParse(t, []string{"--public-url=", "--config="}, env, "")
	if c.Listen != "127.0.0.1:8080" || c.PublicURL != nil {
		t.Errorf("got %q and %v, want the default and none", c.Listen, c.PublicURL)
	}
}

func TestConfigFileFromTheEnvironment(t *testing.T) {
	c := mustParse(t, nil, map[string]string{"SLUICE_CONFIG": writeFile(t, "data: here")}, "")
	if c.Data != "here" {
		t.Errorf("got %q, want %q", c.Data, "here")
	}
}

func TestOriginsRepeatedOrByComma(t *testing.T) {
	c := mustParse(t, []string{"--cors-origin=http://a,http://b", "--cors-origin", "http://[::1]:99"}, nil, "")
	if got, want := fmt.Sprint(c.CORSOrigins), "[http://a http://b http://[::1]:99]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCommands(t *testing.T) {
	bad := map[string]string{"SLUICE_CONFIG": "/nowhere", "SLUICE_LISTEN": "bad"}
	if c := mustParse(t, []string{"version"}, bad, ""); c.Command != Version {
		t.Errorf("got %q, want version whatever else is wrong", c.Command)
	}
	c := mustParse(t, []string{"health"}, map[string]string{"SLUICE_LISTEN": "bad", "SLUICE_PRIVATE_LISTEN": ":99"}, "")
	if c.Command != Health || c.PrivateListen != ":99" {
		t.Errorf("got %q at %q, want health at :99", c.Command, c.PrivateListen)
	}
	c = mustParse(t, []string{"--listen", ":1", "serve", "--data=d"}, nil, "")
	if c.Command != Serve || c.Listen != ":1" || c.Data != "d" {
		t.Errorf("got %q, %q, %q, want flags on both sides of serve", c.Command, c.Listen, c.Data)
	}
	_, err := parse(t, []string{"health", "--data=x", "--private-listen=:0"}, nil, "")
	wantFaults(t, err, "--data: means nothing to health", "not 0")
	_, err = parse(t, []string{"version", "--private-listen=:1"}, nil, "")
	wantFaults(t, err, "--private-listen: means nothing to version")
	_, err = parse(t, []string{"--bogus", "value", "--verbose", "serve", "--data="}, nil, "")
	wantFaults(t, err, "unknown flag --bogus", "unknown flag --verbose", "--data: must name a directory")
}

func TestEveryFaultAtOnce(t *testing.T) {
	env := map[string]string{"SLUICE_MAX_UPLOADS": "0", "SLUICE_IDLE_TIMEOUT": "60"}
	args := []string{"--lisen", ":9", "helth", "--data", "--reserve=10G", "--max-connections", "-5", "--durability=maybe",
		"--cors-origin=https://a.example/", "--public-url=example.com", "--image-memory=0", "--log-format=xml", "--listen"}
	_, err := parse(t, args, env, "shutdown-timeout: 0s\nlog-level: loud\nprivate-listen: 8081\nlog_level: info\n")
	wantFaults(t, err,
		`unknown flag --lisen, did you mean "--listen"?`,
		`unexpected argument helth, did you mean "health"?`,
		`--data: needs a value`,
		`--max-connections: a value that begins with a dash is written --max-connections=-5`,
		`--listen: needs a value`,
		`sluice.yaml:4: log_level: unknown key, did you mean "log-level"?`,
		`sluice.yaml:3: private-listen: "8081" is not host:port`,
		`--public-url: "example.com" is not an address`,
		`--cors-origin: "https://a.example/" is not an origin`,
		`--durability: "maybe" is not one of always, none`,
		`--reserve: "10G" is not a size`,
		`SLUICE_MAX_UPLOADS: "0" is not a number from 1`,
		`--image-memory: "0" must be more than nothing`,
		`SLUICE_IDLE_TIMEOUT: "60" is not a time`,
		`sluice.yaml:1: shutdown-timeout: "0s" must be more than nothing`,
		`--log-format: "xml" is not one of text, json`,
		`sluice.yaml:2: log-level: "loud" is not one of debug`,
	)
}

func TestHelp(t *testing.T) {
	var out bytes.Buffer
	none := func(string) string { return "" }
	if _, err := Parse([]string{"--bogus", "--listen=bad", "-h"}, none, &out); !errors.Is(err, ErrHelp) {
		t.Fatalf("got %v, want ErrHelp", err)
	}
	for _, s := range settings {
		if env := "$" + envName(s.name); !strings.Contains(out.String(), "  --"+s.name+"=") || !strings.Contains(out.String(), env+"\n") {
			t.Errorf("help does not tell of --%s and %s", s.name, env)
		}
	}
	for _, part := range []string{"Usage: sluice [command] [flags]\n", "  health  ", "-h, --help", "$SLUICE_CONFIG", "default 10s ", "Exit codes"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("help does not hold %q", part)
		}
	}
	for line := range strings.Lines(out.String()) {
		if len(strings.TrimSuffix(line, "\n")) > 80 {
			t.Errorf("wider than 80 columns: %s", line)
		}
	}
}

func TestHelpOfACommandShowsWhatItUses(t *testing.T) {
	var out bytes.Buffer
	if _, err := Parse([]string{"health", "--help"}, func(string) string { return "" }, &out); !errors.Is(err, ErrHelp) {
		t.Fatalf("got %v, want ErrHelp", err)
	}
	if got := out.String(); !strings.Contains(got, "--private-listen") || strings.Contains(got, "--data") {
		t.Errorf("got %s", got)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no room") }

func TestHelpThatCannotBeWrittenIsAnError(t *testing.T) {
	_, err := Parse([]string{"--help"}, func(string) string { return "" }, fullDisk{})
	if err == nil || errors.Is(err, ErrHelp) {
		t.Errorf("got %v, want the error of writing", err)
	}
}

func TestGCIsToldOnTheLineAloneWhatToDo(t *testing.T) {
	c := mustParse(t, []string{"gc", "--dry-run", "--data=d"}, nil, "")
	if c.Command != GC || !c.DryRun || c.Data != "d" || len(c.Profiles) != 3 {
		t.Errorf("got %+v", c)
	}
	if c := mustParse(t, []string{"gc"}, map[string]string{"SLUICE_DRY_RUN": "true"}, ""); c.DryRun {
		t.Error("the environment made it a dry run")
	}
	_, err := parse(t, []string{"gc", "--listen=:1"}, nil, "dry-run: true\n")
	wantFaults(t, err, "--listen: means nothing to gc", "dry-run: unknown key")
	_, err = parse(t, []string{"--dry-run"}, nil, "")
	wantFaults(t, err, "--dry-run: means nothing to serve")
}

func TestLSIsToldOnTheLineAloneWhatToList(t *testing.T) {
	c := mustParse(t, []string{"ls", "--json", "--profile=file", "--state=ready", "--data=d"}, map[string]string{"SLUICE_STATE": "expired"}, "")
	if want := (upload.Listing{Profile: "file", State: upload.Ready}); c.Command != LS || !c.JSON || c.Listing != want || c.Data != "d" {
		t.Errorf("got %+v", c)
	}
	_, err := parse(t, []string{"ls", "--profile=film", "--state=lost", "--listen=:1"}, nil, "json: true\n")
	wantFaults(t, err, "--listen: means nothing to ls", "json: unknown key", `--state: no upload in a list is "lost"`, `--profile: there is none that is called "film"`)
	_, err = parse(t, []string{"--json"}, nil, "")
	wantFaults(t, err, "--json: means nothing to serve")
}

func TestFSCKIsToldOnTheLineAloneWhatToDo(t *testing.T) {
	c := mustParse(t, []string{"fsck", "--repair", "--data=d"}, nil, "")
	if c.Command != FSCK || !c.Repair || c.DryRun || c.Data != "d" || len(c.Profiles) != 3 {
		t.Errorf("got %+v", c)
	}
	if c := mustParse(t, []string{"fsck"}, map[string]string{"SLUICE_REPAIR": "true", "SLUICE_DIGESTS": "true"}, ""); c.Repair || c.Digests {
		t.Error("the environment made it a repair, or a long one")
	}
	if c := mustParse(t, []string{"fsck", "--digests"}, nil, ""); !c.Digests || c.Repair {
		t.Errorf("got %+v", c)
	}
	_, err := parse(t, []string{"fsck", "--dry-run", "--private-listen=:1"}, nil, "repair: true\n")
	wantFaults(t, err, "--dry-run: means nothing to fsck", "--private-listen: means nothing to fsck", "repair: unknown key")
	_, err = parse(t, []string{"gc", "--repair"}, nil, "")
	wantFaults(t, err, "--repair: means nothing to gc")
}
