package examples

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// growth is by how much a peak may differ between a small file and a large one: Go and Python have rhythms of their own, a
// file that is held has another size.
const growth = 16 * mebibyte

var toldPeak = regexp.MustCompile(`peak memory: (\d+) KiB`)

// TestPythonMemoryStaysLevel streams a small file and then one many times as large. Neither side holds more of it.
func TestPythonMemoryStaysLevel(t *testing.T) {
	needs(t, python, "-c", "import aiohttp, aiofiles")
	large := int64(256 * mebibyte)
	if os.Getenv("SOAK") == "1" {
		large = 1 << 30
	}
	s := start(t)

	clientBefore, serverBefore := stream(t, s, 16*mebibyte)
	clientAfter, serverAfter := stream(t, s, large)
	t.Logf("16 MiB: client %d KiB, server %d KiB", clientBefore>>10, serverBefore>>10)
	t.Logf("%d MiB: client %d KiB, server %d KiB", large>>20, clientAfter>>10, serverAfter>>10)
	if clientAfter > clientBefore+growth {
		t.Errorf("the client's peak grew from %d to %d bytes", clientBefore, clientAfter)
	}
	if serverAfter > serverBefore+growth {
		t.Errorf("the server's peak grew from %d to %d bytes", serverBefore, serverAfter)
	}
}

// stream sends a file of that size and returns both peaks, in bytes, before anything is read back.
func stream(t *testing.T, s *server, size int64) (client, server int64) {
	t.Helper()
	file := newSource(t, size)
	c := launch(t, t.TempDir(), python, filepath.Join(root, "python", "stream.py"), file.path, "http://"+s.public+"/files/")
	c.exit(t, 0)
	told := toldPeak.FindStringSubmatch(c.stderr.String())
	if told == nil {
		t.Fatalf("the client told no peak:\n%s", &c.stderr)
	}
	client, server = kibibytes(t, told[1]), s.peak(t)
	file.checkStored(t, stored(t, s, c))
	return client, server
}
