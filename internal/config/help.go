package config

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

const description = `
Takes uploads that can be resumed (tus 1.0.0). Small files are taken whole,
large ones only flow through.
`

// exampleFile is shown in the help. A test reads it.
const exampleFile = `listen: :8080
data: /var/lib/sluice
cors-origin: [https://app.example.com]
profiles:
  - name: avatar       # built in: what is not given stays as it is
    maxBytes: 4MiB
  - name: video
    disabled: true
  - name: scan         # a new one
    path: /scans/
    lane: stream       # or whole, for pictures
    maxBytes: 20GB
    accept: [application/pdf, image/*]
endpoints:
  - name: back-end
    url: https://app.example.com/uploads
    keys: [env:WEBHOOK_KEY]
    types: [upload.ready, upload.rejected]
`

const rules = `
A flag beats its $VARIABLE, which beats the file, which beats the default.
SIZE is bytes, or has a unit: 512MiB, 10GB. TIME is such as 90s, 24h or 7d.
In the file the keys are the names of the flags, profiles and endpoints:

`

const exitCodes = `
Exit codes: 0 done, 1 failed, 2 misused.
`

func newParser(f *flags, out io.Writer) (*kong.Kong, error) {
	return kong.New(f,
		kong.Name("sluice"),
		kong.Writers(out, out),
		kong.Help(printHelp),
		kong.PostBuild(func(k *kong.Kong) error {
			k.Model.HelpFlag.Help = "Show this text; after a command, what that command takes."
			k.Model.HelpFlag.Group = &kong.Group{Title: "General"}
			return nil
		}))
}

// printHelp shows the flags that the command uses: each with its default and its variable beside it and what it does below,
// where it needs no narrow column. The library's own help has one column for all three, and reads variables from the
// process's environment instead of the one that Parse is given.
func printHelp(_ kong.HelpOptions, ctx *kong.Context) error {
	var b strings.Builder
	command := Serve
	if selected := ctx.Selected(); selected != nil {
		command = Command(selected.Name)
		fmt.Fprintf(&b, "Usage: sluice %s [flags]\n\n%s\n", command, selected.Help)
	} else {
		fmt.Fprintf(&b, "Usage: sluice [command] [flags]\n%s", description)
		writeCommands(&b, ctx.Model.Children)
	}
	writeFlags(&b, command, ctx.Model.Flags)
	if command == Serve {
		b.WriteString(rules + "    " + strings.TrimSpace(strings.ReplaceAll(exampleFile, "\n", "\n    ")) + "\n")
	}
	b.WriteString(exitCodes)
	_, err := io.WriteString(ctx.Stdout, b.String())
	return err
}

func writeCommands(w io.Writer, commands []*kong.Node) {
	fmt.Fprint(w, "\nCommands\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-9s %s\n", c.Name, c.Help)
	}
}

func writeFlags(w io.Writer, command Command, flags []*kong.Flag) {
	group := ""
	for _, flag := range flags {
		if !usedBy(command, flag.Name) {
			continue
		}
		if flag.Group.Title != group {
			group = flag.Group.Title
			fmt.Fprintf(w, "\n%s\n", group)
		}
		fmt.Fprintf(w, "%s\n      %s\n", strings.TrimRight(flagLine(flag), " "), flag.Help)
	}
}

// flagLine is a flag with its placeholder, its default and its variable, in columns.
func flagLine(flag *kong.Flag) string {
	if flag.Name == "help" {
		return "  -h, --help"
	}
	if lineOnly(flag.Name) && flag.PlaceHolder != "" {
		return "  --" + flag.Name + "=" + flag.PlaceHolder
	}
	if lineOnly(flag.Name) {
		return "  --" + flag.Name
	}
	without := ""
	if flag.HasDefault {
		without = "default " + flag.Default
	}
	return fmt.Sprintf("  %-24s %-23s $%s", "--"+flag.Name+"="+flag.PlaceHolder, without, envName(flag.Name))
}
