package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
)

// TestDownloadsAreSentByTheKernel counts system calls: copying through memory takes one write for each 32 KiB, sendfile a
// fraction of that.
func TestDownloadsAreSentByTheKernel(t *testing.T) {
	const size = 64 << 20
	s := start(t, "--durability", "none")
	film := content{size: size, head: movie}
	path := s.upload(t, "/videos/", film)
	before := s.writeCalls(t)
	s.checkContent(t, path, film)
	calls := s.writeCalls(t) - before
	t.Logf("%d calls that write for %d MiB", calls, size>>20)
	if most := int64(size / (64 << 10)); calls > most {
		t.Errorf("%d calls that write, want at most %d", calls, most)
	}
}

var writeCalls = regexp.MustCompile(`(?m)^syscw: (\d+)$`)

// writeCalls is how many system calls that write the server has made, sendfile included.
func (s *server) writeCalls(t *testing.T) int64 {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(writeCalls.FindStringSubmatch(string(raw))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
