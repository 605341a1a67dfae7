package e2e

import (
	"bytes"
	"net/http"
	"os"
	"strings"
	"testing"
)

// foreignPhoto is a small HEIC or AVIF.
func foreignPhoto(t *testing.T, kind string) []byte {
	t.Helper()
	data, err := os.ReadFile("../../internal/media/testdata/photo." + kind)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// avatar sends a picture and returns where it is, and the last answer.
func (s *server) avatar(t *testing.T, picture []byte) (location string, last reply) {
	t.Helper()
	location = s.create(t, "/avatars/", int64(len(picture)))
	return location, s.patch(t, location, 0, bytes.NewReader(picture), int64(len(picture)))
}

// TestForeignAvatars has HEIC and AVIF read by the real program, and looks how what was sent is given back: browsers show the one.
func TestForeignAvatars(t *testing.T) {
	program(t, "vipsthumbnail")
	s := start(t)
	await(t, "the log says that they are read", func() bool { return strings.Contains(s.log.String(), "HEIC and AVIF pictures are read") })
	for kind, disposition := range map[string]string{"heic": "attachment", "avif": "inline"} {
		location, last := s.avatar(t, foreignPhoto(t, kind))
		if got := last.header.Get("Sluice-State"); got != "ready" {
			t.Errorf("%s: got %d, Sluice-State %q, want ready; %s", kind, last.status, got, last.body)
			continue
		}
		r := s.do(t, "GET", location)
		if got := r.header.Get("Content-Type"); got != "image/"+kind || !strings.HasPrefix(r.header.Get("Content-Disposition"), disposition) {
			t.Errorf("%s: got %s, %s, want %s", kind, got, r.header.Get("Content-Disposition"), disposition)
		}
		if !bytes.Equal(r.body, foreignPhoto(t, kind)) {
			t.Errorf("%s: what comes back is not what was sent", kind)
		}
		s.checkVariants(t, location)

		damaged := foreignPhoto(t, kind)
		if _, last := s.avatar(t, damaged[:len(damaged)-9]); last.status != http.StatusUnprocessableEntity {
			t.Errorf("%s, cut short: got %d %s, want 422", kind, last.status, last.body)
		}
	}
}

// TestForeignAvatarsWithoutAProgram has them refused in words.
func TestForeignAvatarsWithoutAProgram(t *testing.T) {
	s := start(t, "--vipsthumbnail", "none")
	for kind, want := range map[string]string{
		"heic": "HEIC pictures cannot be read by this server; send JPEG, PNG, WebP or GIF.",
		"avif": "AVIF pictures cannot be read by this server; send JPEG, PNG, WebP or GIF.",
	} {
		_, last := s.avatar(t, foreignPhoto(t, kind))
		if last.status != http.StatusUnsupportedMediaType || !strings.Contains(string(last.body), want) {
			t.Errorf("%s: got %d %s, want 415 and %q", kind, last.status, last.body, want)
		}
	}
}

// TestServerTakesItsChildWithIt kills the server while a child works: nothing is left that computes, and the next start goes on.
func TestServerTakesItsChildWithIt(t *testing.T) {
	photo := asHEIC(t, telephone(t, 2000, 1500))
	program(t, "vipsthumbnail")
	s := start(t)
	location := s.create(t, "/avatars/", int64(len(photo)))
	req := s.request(t, "PATCH", location, bytes.NewReader(photo), int64(len(photo)), protocol, chunkType, "Upload-Offset: 0")
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if resp, err := s.http.Do(req); err == nil {
			resp.Body.Close()
		}
	}()
	var children []string
	await(t, "a child works", func() bool { children = childrenOf(s.cmd.Process.Pid); return len(children) > 0 })
	s.kill()
	<-answered
	for _, pid := range children {
		await(t, "child "+pid+" is gone", func() bool { return !alive(pid) })
	}
	s.run(t)
	await(t, "the avatar is ready", func() bool { return s.standing(t, location).State == "ready" })
}

// alive tells whether a process is there and has not ended.
func alive(pid string) bool {
	raw, err := os.ReadFile("/proc/" + pid + "/stat")
	_, state, _ := strings.Cut(string(raw), ") ")
	return err == nil && !strings.HasPrefix(state, "Z")
}
