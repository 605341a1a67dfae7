package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// curl runs the real one and returns its exit code and what it printed.
func curl(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t, "curl"), append([]string{"-sS", "--noproxy", "*"}, args...)...)
	raw, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(raw)
}

// header is the value of a header in what `curl -i`, `-I` or `-D -` printed.
func header(out, key string) string {
	found := regexp.MustCompile(`(?im)^`+key+`: (.*?)\r?$`).FindAllStringSubmatch(out, -1)
	if found == nil {
		return ""
	}
	return found[len(found)-1][1]
}

// status is the last status line in what curl printed.
func status(out string) int {
	found := regexp.MustCompile(`(?m)^HTTP/1\.1 (\d+)`).FindAllStringSubmatch(out, -1)
	if found == nil {
		return 0
	}
	code, _ := strconv.Atoi(found[len(found)-1][1])
	return code
}

// curlCreate makes an upload with curl and returns its URL.
func curlCreate(t *testing.T, s *server, file content) string {
	t.Helper()
	_, out := curl(t, "-i", "-X", "POST", "-H", protocol, "-H", fmt.Sprintf("Upload-Length: %d", file.size),
		"-H", "Upload-Metadata: filename Y29udGVudC5iaW4=", "http://"+s.public+"/files/")
	if status(out) != http.StatusCreated {
		t.Fatalf("curl says:\n%s", out)
	}
	return "http://" + s.public + header(out, "Location")
}

// curlPatch sends a file on disk at an offset, with more of curl's options.
func curlPatch(t *testing.T, url, file string, offset int64, options ...string) (code int, out string) {
	t.Helper()
	args := append([]string{"-i", "-X", "PATCH", "-T", file, "-H", protocol, "-H", chunkType,
		"-H", fmt.Sprintf("Upload-Offset: %d", offset)}, options...)
	return curl(t, append(args, url)...)
}

func curlOffset(t *testing.T, url string) int64 {
	t.Helper()
	_, out := curl(t, "-I", "-H", protocol, url)
	offset, err := strconv.ParseInt(header(out, "Upload-Offset"), 10, 64)
	if status(out) != http.StatusOK || err != nil {
		t.Fatalf("curl -I says:\n%s", out)
	}
	return offset
}

// TestCurlUploadsInPieces is the README's example: create, send two pieces, ask in between.
func TestCurlUploadsInPieces(t *testing.T) {
	s := start(t)
	file := content{size: 3<<20 + 17}
	url := curlCreate(t, s, file)
	half := file.size / 2
	for _, piece := range [][2]int64{{0, half}, {half, file.size}} {
		if offset := curlOffset(t, url); offset != piece[0] {
			t.Errorf("HEAD told %d, want %d", offset, piece[0])
		}
		_, out := curlPatch(t, url, pieceFile(t, file, piece[0], piece[1]), piece[0])
		if status(out) != http.StatusNoContent || header(out, "Upload-Offset") != strconv.FormatInt(piece[1], 10) {
			t.Fatalf("curl says:\n%s", out)
		}
	}
	checkCurlDownload(t, url, file)
}

// TestCurlResumesAfterCut has curl give up in the middle of a body.
func TestCurlResumesAfterCut(t *testing.T) {
	s := start(t)
	file := content{size: 32 << 20}
	url := curlCreate(t, s, file)
	const timedOut = 28
	if code, out := curlPatch(t, url, file.file(t), 0, "--limit-rate", "8M", "--max-time", "1"); code != timedOut {
		t.Fatalf("curl ended with %d, want %d:\n%s", code, timedOut, out)
	}
	kept := curlOffset(t, url)
	t.Logf("%d bytes kept of %d", kept, file.size)
	if kept == 0 || kept >= file.size {
		t.Errorf("%d bytes kept of %d, want some", kept, file.size)
	}
	if _, out := curlPatch(t, url, pieceFile(t, file, kept, file.size), kept); status(out) != http.StatusNoContent {
		t.Fatalf("curl says:\n%s", out)
	}
	checkCurlDownload(t, url, file)
}

// TestCurlReadsRanges asks for parts of a file, under conditions.
func TestCurlReadsRanges(t *testing.T) {
	s := start(t)
	file := content{size: 1 << 20}
	url := "http://" + s.public + s.upload(t, "/files/", file)
	_, out := curl(t, "-I", url)
	etag := header(out, "ETag")
	if status(out) != http.StatusOK || header(out, "Content-Length") != "1048576" || header(out, "Accept-Ranges") != "bytes" || etag == "" {
		t.Errorf("curl -I says:\n%s", out)
	}
	for _, row := range []struct {
		name     string
		args     []string
		status   int
		from, to int64
	}{
		{"all", nil, 200, 0, file.size},
		{"a part", []string{"-r", "1000-1999"}, 206, 1000, 2000},
		{"from a place", []string{"-r", "1048000-"}, 206, 1048000, file.size},
		{"the last", []string{"-r", "-100"}, 206, file.size - 100, file.size},
		{"more than there is", []string{"-r", "1048000-9999999"}, 206, 1048000, file.size},
		{"if it is the same", []string{"-r", "5-9", "-H", "If-Range: " + etag}, 206, 5, 10},
		{"if it were another", []string{"-r", "5-9", "-H", `If-Range: "another"`}, 200, 0, file.size},
		{"if it is no other", []string{"-H", "If-None-Match: " + etag}, 304, 0, 0},
		{"if it had another name", []string{"-H", `If-Match: "another"`}, 412, -1, -1},
		{"what is not there", []string{"-r", "1048576-"}, 416, -1, -1},
	} {
		t.Run(row.name, func(t *testing.T) {
			body := filepath.Join(t.TempDir(), "body")
			_, out := curl(t, append([]string{"-D", "-", "-o", body, url}, row.args...)...)
			if status(out) != row.status {
				t.Errorf("got %d, want %d:\n%s", status(out), row.status, out)
			}
			got, _ := os.ReadFile(body) // curl makes none for an empty body
			if row.from >= 0 && !bytes.Equal(got, file.bytes(row.from, row.to)) {
				t.Errorf("got %d bytes that are not those from %d to %d", len(got), row.from, row.to)
			}
		})
	}
}

// pieceFile writes a part of a content to disk.
func pieceFile(t *testing.T, file content, from, to int64) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "piece.bin")
	if err := os.WriteFile(name, file.bytes(from, to), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func checkCurlDownload(t *testing.T, url string, file content) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "download.bin")
	if code, out := curl(t, "-f", "-o", name, url); code != 0 {
		t.Fatalf("curl ended with %d:\n%s", code, out)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	file.check(t, f)
}
