package main

import (
	"os/exec"
	"strings"
	"testing"
)

// allowed is who may import whom: of ours, and of others'. A package that is not in it fails the test.
var allowed = map[string]struct {
	why    string
	ours   string
	others string // prefixes
}{
	"sluice/internal/upload":   {"the vocabulary: everybody reads it, so it may need nobody", "", ""},
	"sluice/internal/durable":  {"the file system, with no idea of uploads", "", "golang.org/x/sys"},
	"sluice/internal/media":    {"pictures and containers, with no idea of uploads; the system calls are for the child that reads HEIC", "", "golang.org/x/image golang.org/x/sys github.com/deepteams/webp github.com/gabriel-vasile/mimetype"},
	"sluice/web":               {"the page", "", ""},
	"sluice/internal/config":   {"settings: only cmd/server reads it, the others take Options", "upload", "github.com/alecthomas/kong go.yaml.in/yaml"},
	"sluice/internal/deadline": {"a connection's deadlines", "", ""},
	"sluice/internal/splice":   {"sockets into files, with no idea of HTTP or uploads", "deadline", "golang.org/x/sys"},
	"sluice/internal/store":    {"bytes: it knows files, and no HTTP", "upload durable splice", "github.com/prometheus"},
	"sluice/internal/finish":   {"what happens to complete uploads: it knows neither files nor HTTP", "upload media", "github.com/prometheus golang.org/x/sync"},
	"sluice/internal/handlers": {"HTTP: it knows no files", "upload", "github.com/prometheus github.com/tus/tusd golang.org/x/exp"},
	"sluice/internal/events":   {"telling people: it knows neither uploads' bytes nor the page", "upload durable", "github.com/prometheus github.com/standard-webhooks"},
	"sluice/cmd/server":        {"it joins the parts", "*", "*"},
}

func TestImportsKeepToTheTable(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "sluice/cmd/...", "sluice/internal/...", "sluice/web/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		row, ok := allowed[fields[0]]
		if isTestHelp(fields[0]) {
			continue
		}
		if !ok {
			t.Errorf("%s is in no row of the table", fields[0])
			continue
		}
		for _, imported := range fields[1:] {
			if !may(row.ours, row.others, imported) {
				t.Errorf("%s imports %s: it is %s", fields[0], imported, row.why)
			}
		}
	}
}

// isTestHelp tells packages that only tests import.
func isTestHelp(pkg string) bool {
	return strings.HasSuffix(pkg, "/storetest") || strings.HasSuffix(pkg, "/faultfs") || strings.HasSuffix(pkg, "/mediatest")
}

func may(ours, others, imported string) bool {
	if ours == "*" || !strings.Contains(imported, ".") && !strings.HasPrefix(imported, "sluice/") {
		return true // the standard library has no dots
	}
	for _, name := range strings.Fields(ours) {
		if imported == "sluice/internal/"+name {
			return true
		}
	}
	for _, prefix := range strings.Fields(others) {
		if imported == prefix || strings.HasPrefix(imported, prefix+"/") {
			return true
		}
	}
	return false
}
