package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
)

// TestUploadsAreMovedByTheKernel counts the bytes that the server reads: those that are spliced pass it by.
func TestUploadsAreMovedByTheKernel(t *testing.T) {
	const size = 64 << 20
	for _, tt := range []struct {
		flag  string
		least int64
		most  int64
	}{
		{"--splice=true", 0, size / 4},
		{"--splice=false", size, 2 * size},
	} {
		t.Run(tt.flag, func(t *testing.T) {
			s := start(t, tt.flag)
			film := content{size: size, head: movie}
			before := s.bytesRead(t)
			path := s.upload(t, "/videos/", film)
			read := s.bytesRead(t) - before
			t.Logf("%d of %d bytes were read", read, size)
			if read < tt.least || read > tt.most {
				t.Errorf("%d of %d bytes were read, want %d to %d", read, size, tt.least, tt.most)
			}
			s.checkContent(t, path, film)
		})
	}
}

var bytesRead = regexp.MustCompile(`(?m)^rchar: (\d+)$`)

// bytesRead is how many bytes the server has read from files and connections into its memory.
func (s *server) bytesRead(t *testing.T) int64 {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(bytesRead.FindStringSubmatch(string(raw))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
