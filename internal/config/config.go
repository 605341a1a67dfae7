// Package config reads flags, environment and a YAML file into one checked value. [Parse] is the way in.
//
// A flag beats the environment, the environment beats the file, the file beats the default. Every flag has an environment
// variable (--private-listen is SLUICE_PRIVATE_LISTEN; set but empty counts as not set) and, but for --config, a key of its
// own name in the file. Whatever is wrong is named at once, each fault with the place that it came from.
//
// It opens no socket, makes no directory and logs nothing; of other programs it looks whether they are there. Whether a value works on this machine is for its user to find out.
package config

import (
	"errors"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"sluice/internal/upload"
)

// Command says what to do.
type Command string

// The commands. Serve is what no command at all means.
const (
	Serve   Command = "serve"
	LS      Command = "ls"
	GC      Command = "gc"
	FSCK    Command = "fsck"
	Replay  Command = "replay"
	Health  Command = "health"
	Version Command = "version"
)

// Config is what [Parse] found. Version has Command alone, Health PrivateListen besides, and the others everything.
type Config struct {
	Command         Command
	DryRun          bool              // GC only tells
	Repair          bool              // FSCK mends
	Digests         bool              // FSCK reads all content that has a digest
	Replay          upload.Replay     // what Replay delivers again
	Listing         upload.Listing    // what LS lists
	JSON            bool              // LS writes lines of JSON
	Listen          string            // host:port of the public listener; port 0 takes a free one
	PrivateListen   string            // host:port of the private listener; may be other than loopback, and may be ":port"
	TLSCert, TLSKey string            // files in PEM, both or neither; the public listener speaks TLS with them
	PublicURL       *url.URL          // under which clients reach the server, no slash at the end; nil if not given
	OwnerHeader     string            // "" if everybody is the one owner
	Data            string            // the data directory, as it was given
	Durability      string            // "always" or "none"
	CORSOrigins     []string          // scheme://host[:port] in lower case, or "*" alone
	Profiles        []upload.Profile  // checked, at least one, Dir absolute; built-in rows first
	Reserve         int64             // bytes of disk kept free, 0 or more
	SweepInterval   time.Duration     // 0 is never
	Splice          bool              // bytes go from socket to file inside the kernel where they can
	Endpoints       []upload.Endpoint // who is told of events; checked, each name once
	PublicEvents    string            // "local", "all" or "named"
	ShowLevel       bool
	MaxConnections  int           // of the public listener at once
	MaxUploads      int           // requests that carry upload bytes, at once
	ImageMemory     int64         // bytes for the whole lane together, at least [WholeJobBytes] of every row in it
	Vipsthumbnail   string        // absolute path of the program that reads HEIC and AVIF; "" is none
	IdleTimeout     time.Duration // after which a connection on which no byte moves is closed
	ShutdownTimeout time.Duration // that requests under way are given to end
	LogFormat       string        // "text" or "json"
	LogLevel        slog.Level
}

// ErrHelp tells that help was asked for, and written.
var ErrHelp = errors.New("help was asked for")

// UsageError is everything that is wrong with what the operator wrote; the program ends with exit code 2.
type UsageError struct {
	Faults []error // never empty; each names its flag, variable, or file and line
}

// Error lists the faults, one a line.
func (e *UsageError) Error() string {
	lines := make([]string, len(e.Faults))
	for i, fault := range e.Faults {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the faults.
func (e *UsageError) Unwrap() []error { return e.Faults }

// Parse reads args, which come without the program's name, then what getenv and the config file have to add. If help is
// asked for it writes it to out and returns [ErrHelp], whatever else is wrong. Any fault makes it return a [*UsageError]
// with all of them, and no Config. Other errors are those of writing to out.
func Parse(args []string, getenv func(string) string, out io.Writer) (Config, error) {
	line, err := readCommandLine(args, out)
	if err != nil {
		return Config{}, err
	}
	if line.helpAsked() {
		if err := line.ctx.PrintUsage(false); err != nil {
			return Config{}, err
		}
		return Config{}, ErrHelp
	}

	c := Config{Command: line.command()}
	v := values{src: &source{getenv: getenv, origin: map[string]string{}}, faults: line.faults}
	if c.Command != Version { // which must answer whatever the settings are
		v.faults.add(v.src.open(line.configFile(getenv))...)
		v.faults.add(line.resolve(v.src)...)
		v.build(&c, line.flags)
	}
	if len(v.faults) > 0 {
		return Config{}, &UsageError{Faults: v.faults}
	}
	return c, nil
}

// faults collects what is wrong.
type faults []error

func (f *faults) add(more ...error) { *f = append(*f, more...) }
