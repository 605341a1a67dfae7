package examples

import (
	"io/fs"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var contentPath = regexp.MustCompile(`/files/[0-9a-f]{32}`)

// stored is where the server itself serves what the client says it has sent.
func stored(t *testing.T, s *server, c *client) string {
	t.Helper()
	path := contentPath.FindString(c.lastLine())
	if path == "" {
		t.Fatalf("no address in the client's last line: %s\n%s", c.lastLine(), &c.stderr)
	}
	return (&url.URL{Scheme: "http", Host: s.public, Path: path}).String()
}

// uploads counts the records of a profile.
func uploads(t *testing.T, s *server, profile string) (n int) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(s.data, profile), func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(entry.Name(), ".info") {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
