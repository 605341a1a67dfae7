package e2e

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestFsck breaks the data of a server that was stopped, has it repaired, and goes on.
func TestFsck(t *testing.T) {
	s := start(t)
	picture := gradient(t, 640, 480)
	avatar := s.create(t, "/avatars/", int64(len(picture)))
	s.patch(t, avatar, 0, bytes.NewReader(picture), int64(len(picture)))
	film := content{size: 100_000, head: movie}
	video := s.create(t, "/videos/", film.size)
	s.send(t, video, film, 0, 60_000)
	torn := s.upload(t, "/files/", content{size: 5000})
	good := s.upload(t, "/files/", content{size: 5000, seed: 1})

	for _, args := range [][]string{{"fsck", "--data", s.data}, {"fsck", "--data", s.data, "--repair"}} {
		if code, stdout, stderr := command(t, args...); code != 1 || stdout != "" || !strings.Contains(stderr, "stop the server first") {
			t.Errorf("while it runs: got %d %s%s", code, stdout, stderr)
		}
	}
	s.stop(t)
	s.fsck(t, 0, "4 uploads, 0 faults\n")

	if err := errors.Join(os.Remove(s.file(t, avatar, ".64")), os.Truncate(s.file(t, torn, ".info"), 9),
		os.WriteFile(s.file(t, video, "")+".info.tmp", nil, 0o600), os.WriteFile(filepath.Join(s.data, "file", "odd\nname"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	broken := []string{"avatar: ", "the variant is missing", "file: ", "the record is torn", "video: ", "half written", `"odd\nname": not Sluice's`}
	s.fsck(t, 1, append(slices.Clone(broken), "4 uploads, 3 faults: --repair mends 3, 0 are left to a person; 1 things noted\n")...)
	s.fsck(t, 0, append(slices.Clone(broken), "3 uploads, 3 faults: 3 repaired, 0 left; 1 things noted\n")...)
	s.fsck(t, 0, "3 uploads, 0 faults; 1 things noted\n")

	s.run(t)
	s.send(t, video, film, s.offset(t, video), film.size)
	s.checkContent(t, video, film)
	s.checkContent(t, good, content{size: 5000, seed: 1})
	await(t, "the avatar is ready again", func() bool { return s.standing(t, avatar).State == "ready" })
	s.checkVariants(t, avatar)
	if r := s.do(t, "GET", torn); r.status != 404 {
		t.Errorf("the torn upload: got %d, want 404", r.status)
	}
}

// fsck runs the command, with --repair if the last phrase speaks of repairs, and looks for what it should say. The last phrase
// is at the end.
func (s *server) fsck(t *testing.T, code int, phrases ...string) {
	t.Helper()
	args, last := []string{"fsck", "--data", s.data}, phrases[len(phrases)-1]
	if strings.Contains(last, "repaired") {
		args = append(args, "--repair")
	}
	got, stdout, stderr := command(t, args...)
	if got != code || !strings.HasSuffix(stdout, last) || (stderr != "") != (code != 0) {
		t.Errorf("got exit code %d, want %d, and %q\n%s%s", got, code, last, stdout, stderr)
	}
	mention(t, "stdout", stdout, phrases)
}

// file is the path of a file of an upload.
func (s *server) file(t *testing.T, location, suffix string) (found string) {
	t.Helper()
	err := filepath.WalkDir(s.data, func(path string, _ fs.DirEntry, err error) error {
		if filepath.Base(path) == filepath.Base(location)+suffix {
			found = path
		}
		return err
	})
	if err != nil || found == "" {
		t.Fatalf("%s has no file %q, %v", location, suffix, err)
	}
	return found
}

// TestFsckByAnotherUser has it meet files that it may not open.
func TestFsckByAnotherUser(t *testing.T) {
	s := start(t)
	closed, open := s.upload(t, "/files/", content{size: 5000}), s.upload(t, "/files/", content{size: 5000, seed: 1})
	unread := s.upload(t, "/files/", content{size: 5000, seed: 2})
	s.stop(t)
	for _, name := range []string{s.file(t, closed, ""), s.file(t, unread, ".info")} {
		if err := os.Chmod(name, 0); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), binary, "fsck", "--repair", "--data", s.data)
	cmd.Env = cleanEnv()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if os.Getuid() == 0 { // whom nothing is closed to
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		s.giveTo(t, nobody)
	}
	err := cmd.Run()
	if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("got %v, want exit code 1", err)
	}
	mention(t, "stdout", stdout.String(), []string{filepath.Base(closed) + ": the content cannot be opened", filepath.Base(unread) + ".info: the record cannot be read",
		"permission denied; left to a person", "3 uploads, 2 faults: 0 repaired, 2 left\n"})
	if strings.Contains(stdout.String(), filepath.Base(open)) {
		t.Errorf("it names an upload that is as it should be:\n%s", &stdout)
	}
	if t.Failed() {
		t.Log(stderr.String())
	}
}

const nobody = 65534 // on Debian and macOS alike a user who owns nothing

// giveTo lets a user have the data, and the program.
func (s *server) giveTo(t *testing.T, user int) {
	t.Helper()
	err := filepath.WalkDir(s.data, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, user, user))
	})
	for dir := s.data; err == nil && dir != filepath.Clean(os.TempDir()) && dir != "/"; dir = filepath.Dir(dir) {
		err = os.Chmod(dir, 0o755)
	}
	if err = errors.Join(err, os.Chmod(filepath.Dir(binary), 0o755)); err != nil {
		t.Fatal(err)
	}
}
