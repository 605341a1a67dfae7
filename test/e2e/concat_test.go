package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// startParallel is startTusJS with the file in three parts at once.
func startParallel(t *testing.T, gate *gate, file, urls string) *tusJS {
	t.Helper()
	c := &tusJS{ended: make(chan struct{})}
	c.cmd = exec.Command(program(t, "node"), "parallel.mjs", "http://"+gate.address+"/files/", file, urls)
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.out
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.ended)
		_ = c.cmd.Wait() // the exit code says it
	}()
	t.Cleanup(c.kill)
	return c
}

// checkJoined sees that what a parallel client made is one upload of three parts, with the file's name and content.
func (c *tusJS) checkJoined(t *testing.T, s *server, gate *gate) {
	t.Helper()
	c.succeed(t)
	location, err := url.Parse(c.told("url"))
	if err != nil {
		t.Fatal(err)
	}
	s.awaitReady(t, location.Path)
	c.checkResumed(t, s, gate)
	r := s.do(t, "HEAD", location.Path, protocol)
	if parts := strings.Fields(r.header.Get("Upload-Concat")); len(parts) != 3 {
		t.Errorf("it is made of %q, want three parts", parts)
	}
	if got, want := r.header.Get("Upload-Metadata"), "filename Y29udGVudC5iaW4="; got != want {
		t.Errorf("its metadata is %q, want %q", got, want)
	}
}

// TestTusJSInParallel uploads a file in three parts at once.
func TestTusJSInParallel(t *testing.T) {
	s := start(t)
	gate := newGate(t, s, fiftyMB.size)
	gate.open()
	client := startParallel(t, gate, fiftyMB.file(t), filepath.Join(t.TempDir(), "urls.json"))
	client.checkJoined(t, s, gate)
	if n := s.metric(t, "tusd_uploads_created"); n != 4 {
		t.Errorf("%.0f uploads were made, want three parts and a whole", n)
	}
	if n := s.metric(t, "tusd_uploads_finished"); n != 4 {
		t.Errorf("%.0f uploads are finished, want three parts and a whole", n)
	}
}

// TestTusJSInParallelSurvivesCrash kills the server when half has gone up, and starts it again.
func TestTusJSInParallelSurvivesCrash(t *testing.T) {
	for _, durability := range durabilities {
		t.Run(durability, func(t *testing.T) {
			s := start(t, "--durability", durability)
			gate := newGate(t, s, fiftyMB.size/2)
			client := startParallel(t, gate, fiftyMB.file(t), filepath.Join(t.TempDir(), "urls.json"))
			client.awaitHalf(t, gate)
			s.kill()
			s.run(t)
			gate.open()
			client.checkJoined(t, s, gate)
			if client.told("retry") == "" {
				t.Error("the client noticed nothing: the server was not killed in the middle")
			}
		})
	}
}

// TestTusJSInParallelResumes kills the client in the middle. Another one goes on with all three parts.
func TestTusJSInParallelResumes(t *testing.T) {
	s := start(t)
	gate := newGate(t, s, fiftyMB.size/2)
	file, urls := fiftyMB.file(t), filepath.Join(t.TempDir(), "urls.json")
	first := startParallel(t, gate, file, urls)
	first.awaitHalf(t, gate)
	await(t, "the client has noted where its parts are", func() bool { // which it does when it knows them all
		noted, _ := os.ReadFile(urls)
		return bytes.Contains(noted, []byte("parallelUploadUrls"))
	})
	first.kill()
	gate.open()

	second := startParallel(t, gate, file, urls)
	second.checkJoined(t, s, gate)
	if second.told("previous") != "1" {
		t.Errorf("the client found %s uploads to go on with, want 1", second.told("previous"))
	}
}

// TestFinalIsSettledUnasked gives finals what they wait for, or takes it away, and looks at the disk alone.
func TestFinalIsSettledUnasked(t *testing.T) {
	s := start(t)
	file := content{size: 10}
	for state, last := range map[string]func(late string) reply{
		"ready":    func(late string) reply { return s.patch(t, late, 0, file.part(5, 10), 5) },
		"rejected": func(late string) reply { return s.do(t, "DELETE", late, protocol) },
	} {
		done, late := s.create(t, "/files/", 5, "Upload-Concat: partial"), s.create(t, "/files/", 5, "Upload-Concat: partial")
		s.send(t, done, file, 0, 5)
		first, second := s.final(t, "/files/", done, late), s.final(t, "/files/", late, done)
		if r := last(late); r.status != http.StatusNoContent {
			t.Fatalf("got %d %s, want 204", r.status, r.body)
		}
		for _, whole := range []string{first, second} {
			await(t, "a final is "+state, func() bool { return s.recorded(t, whole) == state })
		}
	}
}

// TestFinalIsPutTogetherAfterACrash kills the server around the last byte of the last part. The next one puts the whole
// together without being asked.
func TestFinalIsPutTogetherAfterACrash(t *testing.T) {
	for _, durability := range durabilities {
		for name, crash := range map[string]func(*testing.T, *server, joining){
			"when it is written": func(t *testing.T, s *server, j joining) {
				s.dial(t).begin(j.late, j.third-1, 1, j.last())
				await(t, "it is in its file", func() bool { return s.written(t, j.late) == j.third || s.written(t, j.whole) > 0 })
				s.kill()
			},
			"when it is answered": func(t *testing.T, s *server, j joining) {
				j.end(t, s)
				s.kill()
			},
			"when the parts are copied": func(t *testing.T, s *server, j joining) {
				j.end(t, s)
				await(t, "some of them is copied", func() bool { return s.written(t, j.whole) > 0 })
				s.kill()
			},
		} {
			t.Run(name+"/"+durability, func(t *testing.T) {
				s := start(t, "--durability", durability)
				j := s.joining(t, 32<<20)
				crash(t, s, j)
				t.Logf("%d of %d bytes were copied", s.written(t, j.whole), j.file.size)
				s.run(t)
				await(t, "the whole is ready", func() bool { return s.recorded(t, j.whole) == "ready" })
				s.checkContent(t, j.whole, j.file)
			})
		}
	}
}

// joining is a final that waits for the last byte of its second part.
type joining struct {
	file        content
	third       int64
	late, whole string
}

func (s *server) joining(t *testing.T, third int64) joining {
	t.Helper()
	j := joining{file: content{size: 3 * third}, third: third}
	var parts []string
	for i := range int64(3) {
		length := third - i%2
		part := s.create(t, "/files/", third, "Upload-Concat: partial")
		if r := s.patch(t, part, 0, j.file.part(i*third, i*third+length), length); r.status != http.StatusNoContent {
			t.Fatalf("PATCH: got %d %s, want 204", r.status, r.body)
		}
		parts = append(parts, part)
	}
	j.late, j.whole = parts[1], s.final(t, "/files/", parts...)
	return j
}

// last is the byte that is not there.
func (j joining) last() []byte { return j.file.bytes(2*j.third-1, 2*j.third) }

// end sends it.
func (j joining) end(t *testing.T, s *server) {
	t.Helper()
	if r := s.patch(t, j.late, j.third-1, bytes.NewReader(j.last()), 1); r.status != http.StatusNoContent {
		t.Fatalf("PATCH: got %d %s, want 204", r.status, r.body)
	}
}

// written is how many bytes the file of an upload holds.
func (s *server) written(t *testing.T, location string) int64 {
	t.Helper()
	info, err := os.Stat(s.stored(t, location))
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// recorded is the state of an upload on disk: to ask the server would be to have it do something.
func (s *server) recorded(t *testing.T, location string) string {
	t.Helper()
	raw, err := os.ReadFile(s.stored(t, location) + ".info")
	if err != nil {
		t.Fatal(err)
	}
	var record struct{ Sluice struct{ State string } }
	if err := json.Unmarshal(raw, &record); err != nil {
		t.Fatal(err)
	}
	return record.Sluice.State
}
