package config

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// flags is the grammar of the command line. Every value is text here, whatever it means: the flag library stops at the first
// value that it cannot convert, and we want to name them all.
type flags struct {
	Serve   struct{} `cmd:"" default:"1" help:"Take uploads. This is what sluice does without a command."`
	LS      struct{} `cmd:"" name:"ls" help:"List uploads; --json for programs."`
	GC      struct{} `cmd:"" name:"gc" help:"Remove what is over; --dry-run tells what that would be."`
	FSCK    struct{} `cmd:"" name:"fsck" help:"Look for what is wrong with the data; --repair mends it."`
	Replay  struct{} `cmd:"" help:"Deliver events, and process uploads, again that were given up."`
	Health  struct{} `cmd:"" help:"Ask a running server, at its --private-listen, whether it is well."`
	Version struct{} `cmd:"" help:"Say which version this is."`

	Config string `group:"General" placeholder:"FILE" help:"Read settings and profiles from this YAML file."`
	DryRun bool   `group:"General" help:"Only tell what would be removed."`
	Repair bool   `group:"General" help:"Mend what is wrong, as far as that needs no guessing."`

	Endpoint  string `group:"General" placeholder:"NAME" help:"Only to this endpoint."`
	Profile   string `group:"General" placeholder:"NAME" help:"Only of uploads of this profile."`
	ID        string `name:"id" group:"General" placeholder:"ID" help:"Only of this upload."`
	Type      string `group:"General" placeholder:"TYPE" help:"Only of this type, such as upload.ready."`
	State     string `group:"General" placeholder:"STATE" help:"Only in this state: receiving, received, ready, rejected, expired, unreadable."`
	JSON      bool   `name:"json" group:"General" help:"Write a line of JSON for each upload."`
	Delivered bool   `group:"General" help:"Also what was delivered, as long as it is kept; needs --id."`
	Digests   bool   `group:"General" help:"Also read all content that has a digest, and compare."`

	Listen        string   `group:"Network" placeholder:"ADDR" default:"127.0.0.1:8080" help:"Where clients come in. Port 0 takes a free port."`
	PrivateListen string   `group:"Network" placeholder:"ADDR" default:"127.0.0.1:8081" help:"Metrics, health, profiling and administration: keep it private."`
	TLSCert       string   `name:"tls-cert" group:"Network" placeholder:"FILE" help:"Certificate in PEM: clients come in over TLS. Read again when renewed."`
	TLSKey        string   `name:"tls-key" group:"Network" placeholder:"FILE" help:"Private key of --tls-cert in PEM."`
	PublicURL     string   `name:"public-url" group:"Network" placeholder:"URL" help:"The address that clients see if a proxy stands in front. May hold a path."`
	CORSOrigin    []string `name:"cors-origin" group:"Network" placeholder:"ORIGIN" default:"*" help:"Origins whose web pages may upload, by comma or repeated. * is any."`

	OwnerHeader string `group:"Network" placeholder:"NAME" help:"Header in which a proxy, that sets it itself, says whose a request is."`

	Data       string `group:"Storage" placeholder:"DIR" default:"./data" help:"Where everything is kept. Relative directories of profiles lie below it."`
	Durability string `group:"Storage" placeholder:"always|none" default:"always" help:"What acknowledged bytes survive: a power cut, or only a crash of sluice."`
	Reserve    string `group:"Storage" placeholder:"SIZE" default:"1GiB" help:"Disk space that uploads leave free; 0 is none."`

	SweepInterval string `group:"Storage" placeholder:"TIME" default:"10m" help:"How often what has expired is removed; 0 is never."`

	Splice string `group:"Storage" placeholder:"true|false" default:"true" help:"Let the kernel move bytes from fast connections to the disk, where it can."`

	MaxConnections  string `group:"Limits" placeholder:"N" default:"10000" help:"Public connections at once."`
	MaxUploads      string `group:"Limits" placeholder:"N" default:"2000" help:"Requests that carry upload bytes, at once."`
	ImageMemory     string `group:"Limits" placeholder:"SIZE" default:"1280MiB" help:"Memory for all pictures in the making, together."`
	Vipsthumbnail   string `group:"Limits" placeholder:"auto|none|FILE" default:"auto" help:"The program that reads HEIC and AVIF pictures. auto looks in PATH."`
	IdleTimeout     string `group:"Limits" placeholder:"TIME" default:"60s" help:"Close a connection on which no byte moves for so long."`
	ShutdownTimeout string `group:"Limits" placeholder:"TIME" default:"10s" help:"Time that open requests are given to end when the server stops."`

	Webhook        string   `group:"Events" placeholder:"URL" help:"Tell this address what happens to uploads. The file can name more."`
	WebhookKey     []string `group:"Events" placeholder:"KEY" help:"Signs it: whsec_..., env:NAME or file:NAME. Two while they change."`
	WebhookPrivate string   `group:"Events" placeholder:"true|false" default:"false" help:"Whether --webhook may be on this machine or in a private network."`
	PublicEvents   string   `group:"Events" placeholder:"local|all|named" default:"local" help:"Whom /events tells all. local: who comes from this machine."`
	ShowLevel      string   `group:"Events" placeholder:"true|false" default:"true" help:"Tell at /events how much memory is used and how many bytes came."`

	LogFormat string `group:"Logging" placeholder:"text|json" default:"text" help:"Lines for people, or JSON for programs."`
	LogLevel  string `group:"Logging" placeholder:"LEVEL" default:"info" help:"The least that is logged: debug, info, warn or error."`
}

// commandLine is args as far as they make sense, and what does not.
type commandLine struct {
	flags  *flags
	ctx    *kong.Context
	faults faults
}

// readCommandLine traces args. The library stops at the first argument that it cannot place; so that is noted and taken
// out, and the rest is traced again, until all the rest is right.
func readCommandLine(args []string, out io.Writer) (*commandLine, error) {
	line := &commandLine{flags: &flags{}}
	parser, err := newParser(line.flags, out)
	if err != nil {
		return nil, fmt.Errorf("config: grammar: %w", err)
	}
	for {
		line.ctx, err = kong.Trace(parser, args)
		if err != nil {
			return nil, fmt.Errorf("config: trace: %w", err)
		}
		if line.ctx.Error == nil {
			break
		}
		args = line.weed(args)
	}
	line.refuseMisplaced()
	return line, nil
}

// weed notes the fault at which the trace ended and returns args without what caused it.
func (l *commandLine) weed(args []string) []string {
	traced := l.ctx.Path[len(l.ctx.Path)-1]
	at := min(len(args)-len(traced.Remainder()), len(args)-1)
	bad, next := args[at], ""
	if at+1 < len(args) {
		next = args[at+1]
	}

	drop, alone := 1, strings.HasPrefix(bad, "-") && !strings.Contains(bad, "=")
	switch {
	case alone && l.flag(bad) == nil:
		l.faults.add(l.ctx.Error)
		if next != "" && next[0] != '-' && !l.isCommand(next) {
			drop = 2 // its value: nothing to report of its own
		}
	case alone && isDashed(next):
		l.faults.add(fmt.Errorf("%s: a value that begins with a dash is written %s=%s", bad, bad, next))
		drop = 2
	case alone:
		l.faults.add(fmt.Errorf("%s: needs a value", bad))
	default:
		l.faults.add(l.ctx.Error)
	}
	return append(args[:at:at], args[at+drop:]...)
}

// isDashed tells a value such as -5 from a flag.
func isDashed(arg string) bool { return strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "--") }

// refuseMisplaced names the flags that the command does not use, so that nobody believes they did something.
func (l *commandLine) refuseMisplaced() {
	for _, step := range l.ctx.Path {
		if step.Flag != nil && !usedBy(l.command(), step.Flag.Name) {
			l.faults.add(fmt.Errorf("--%s: means nothing to %s", step.Flag.Name, l.command()))
		}
	}
}

func (l *commandLine) command() Command {
	if selected := l.ctx.Selected(); selected != nil {
		return Command(selected.Name)
	}
	return Serve // only while help is asked for
}

// usedBy tells whether a command looks at the flag of that name.
func usedBy(command Command, name string) bool {
	of := map[Command][]string{
		Health: {"private-listen", "config"},
		LS:     {"private-listen", "config", "data", "durability", "profile", "state", "json", "log-format", "log-level"},
		GC:     {"private-listen", "config", "dry-run", "data", "durability", "webhook", "webhook-key", "webhook-private", "log-format", "log-level"},
		Replay: {"private-listen", "config", "data", "durability", "endpoint", "profile", "id", "type", "delivered", "webhook", "webhook-key", "webhook-private", "log-format", "log-level"},
		FSCK:   {"config", "repair", "digests", "data", "durability", "log-format", "log-level"},
	}
	if command == Serve {
		return !lineOnly(name)
	}
	return name == "help" || slices.Contains(of[command], name)
}

// lineOnly tells flags that are about one run of a command: neither the environment nor the file has them.
func lineOnly(name string) bool {
	return slices.Contains([]string{"dry-run", "repair", "digests", "endpoint", "profile", "id", "type", "delivered", "state", "json"}, name)
}

func (l *commandLine) flag(arg string) *kong.Flag {
	for _, flag := range l.ctx.Model.Flags {
		if arg == "--"+flag.Name {
			return flag
		}
	}
	return nil
}

func (l *commandLine) isCommand(arg string) bool {
	for _, node := range l.ctx.Model.Children {
		if arg == node.Name {
			return true
		}
	}
	return false
}

func (l *commandLine) given(flag *kong.Flag) bool {
	for _, step := range l.ctx.Path {
		if step.Flag == flag {
			return true
		}
	}
	return false
}

func (l *commandLine) helpAsked() bool { return l.given(l.ctx.Model.HelpFlag) }

// configFile is the name of the config file, "" for none. It is asked for before the flags have their values.
func (l *commandLine) configFile(getenv func(string) string) string {
	if flag := l.flag("--config"); l.given(flag) {
		return l.ctx.FlagValue(flag).(string)
	}
	return getenv(envName("config"))
}

// resolve gives every flag its value: default, then src, then what args say.
func (l *commandLine) resolve(src *source) []error {
	l.ctx.AddResolver(src)
	if err := l.ctx.Reset(); err != nil {
		return []error{err}
	}
	if err := l.ctx.Resolve(); err != nil {
		return []error{err}
	}
	if _, err := l.ctx.Apply(); err != nil {
		return []error{err}
	}
	return src.strangers(l.ctx.Model.Flags)
}
