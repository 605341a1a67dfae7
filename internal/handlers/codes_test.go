package handlers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReadmeListsEveryCode holds the README's list of error codes to the code, in both directions: programs depend on it.
func TestReadmeListsEveryCode(t *testing.T) {
	listed, given := listedCodes(t), codesInSource(t)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(given)), slices.Sorted(maps.Keys(listed))); diff != "" {
		t.Errorf("codes (-given +listed in README.md):\n%s", diff)
	}
	for _, row := range publicErrors {
		if !slices.Contains(listed[row.code], strconv.Itoa(row.status)) {
			t.Errorf("%s is answered with %d, and listed under %s", row.code, row.status, listed[row.code])
		}
	}
}

var (
	tableRow  = regexp.MustCompile("(?m)^\\| ([0-9, ]+) \\| (`[^|]*) \\|")
	codeInRow = regexp.MustCompile("`([a-z_]+)`")
)

// listedCodes are the codes in the README's table, with their statuses.
func listedCodes(t *testing.T) map[string][]string {
	t.Helper()
	raw, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string][]string)
	for _, row := range tableRow.FindAllStringSubmatch(string(raw), -1) {
		for _, code := range codeInRow.FindAllStringSubmatch(row[2], -1) {
			listed[code[1]] = append(listed[code[1]], strings.Split(row[1], ", ")...)
		}
	}
	return listed
}

var looksLikeACode = regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)

// codesInSource are the codes that this package gives, and those of verdicts: words where an error is made.
func codesInSource(t *testing.T) map[string]bool {
	t.Helper()
	given := make(map[string]bool)
	take := func(n ast.Node) {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if word, err := strconv.Unquote(literal.Value); err == nil && looksLikeACode.MatchString(word) {
				given[word] = true
			}
		}
	}
	for _, name := range sources(t, ".", "../upload") {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			for _, part := range partsOfErrors(n) {
				ast.Inspect(part, func(n ast.Node) bool { take(n); return true })
			}
			return true
		})
	}
	return given
}

func sources(t *testing.T, dirs ...string) (names []string) {
	t.Helper()
	for _, dir := range dirs {
		found, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, found...)
	}
	return slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
}

// partsOfErrors are the expressions below n that say the code of an error.
func partsOfErrors(n ast.Node) (parts []ast.Node) {
	switch n := n.(type) {
	case *ast.CallExpr:
		if name, ok := n.Fun.(*ast.Ident); ok && slices.Contains([]string{"badRequest", "newProblem", "digits"}, name.Name) {
			for _, arg := range n.Args {
				parts = append(parts, arg)
			}
		}
	case *ast.CompositeLit:
		if name, ok := n.Type.(*ast.Ident); ok && name.Name == "clientError" {
			parts = append(parts, n.Elts[1])
		}
	case *ast.ValueSpec:
		switch name := n.Names[0].Name; {
		case strings.HasPrefix(name, "Code"), name == "publicErrors", name == "foreignErrors":
			for _, value := range n.Values {
				parts = append(parts, value)
			}
		}
	}
	return parts
}
