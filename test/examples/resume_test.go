package examples

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// program is an example that sends a file: the same is expected of all of them.
type program struct {
	name    string
	command []string // before FILE and ENDPOINT
	needs   []string // what must run before the example can
	said    string   // when it goes on where another run was killed
}

// programs are the examples that run without a browser.
func programs() []program {
	return []program{
		{"curl", []string{"bash", filepath.Join(root, "curl", "upload.sh")}, []string{"curl", "--version"}, "bytes from"},
		{"node", []string{"node", filepath.Join(root, "node", "upload.js")},
			[]string{"node", "-e", "require.resolve('tus-js-client', {paths: [process.argv[1]]})", filepath.Join(root, "node")}, "going on with"},
		{"python", []string{python, filepath.Join(root, "python", "stream.py")}, []string{python, "-c", "import aiohttp, aiofiles"}, "bytes from"},
	}
}

// python is Debian's own, which has Debian's modules.
const python = "/usr/bin/python3"

func (p program) launch(t *testing.T, dir string, args ...string) *client {
	t.Helper()
	return launch(t, dir, p.command[0], append(p.command[1:len(p.command):len(p.command)], args...)...)
}

// TestExampleOutlivesServer kills the server in the middle and starts it again: the example goes on by itself.
func TestExampleOutlivesServer(t *testing.T) {
	for _, p := range programs() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel() // they wait most of the time
			needs(t, p.needs[0], p.needs[1:]...)
			file, s := newSource(t, 24*mebibyte), start(t)
			gate := newGate(t, s, file.size/2)
			c := p.launch(t, t.TempDir(), file.path, "http://"+gate.address+"/files/")

			c.awaitHalf(t, gate)
			s.kill()
			s.run(t)
			gate.open()
			c.exit(t, 0)

			file.checkStored(t, stored(t, s, c))
			file.checkResumed(t, gate)
			checkForgotten(t, file)
		})
	}
}

// TestExampleRunAgain kills the example in the middle and runs it again, as a person would.
func TestExampleRunAgain(t *testing.T) {
	for _, p := range programs() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel() // they wait most of the time
			needs(t, p.needs[0], p.needs[1:]...)
			file, s, dir := newSource(t, 24*mebibyte), start(t), t.TempDir()
			gate := newGate(t, s, file.size/2)
			first := p.launch(t, dir, file.path, "http://"+gate.address+"/files/")
			first.awaitHalf(t, gate)
			first.kill()
			gate.open()

			second := p.launch(t, dir, file.path, "http://"+gate.address+"/files/")
			second.exit(t, 0)
			second.checkSaid(t, p.said)
			file.checkStored(t, stored(t, s, second))
			file.checkResumed(t, gate)
			checkForgotten(t, file)
		})
	}
}

// TestExampleTakesChangedFileForAnother writes another content into the file after the example was killed. Going on with it
// would make one file of two halves.
func TestExampleTakesChangedFileForAnother(t *testing.T) {
	for _, p := range programs() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel() // they wait most of the time
			needs(t, p.needs[0], p.needs[1:]...)
			file, s, dir := newSource(t, 24*mebibyte), start(t), t.TempDir()
			gate := newGate(t, s, file.size/2)
			first := p.launch(t, dir, file.path, "http://"+gate.address+"/files/")
			first.awaitHalf(t, gate)
			first.kill()
			gate.open()

			changed := writeSource(t, file.path, file.size, 'b')
			second := p.launch(t, dir, file.path, "http://"+gate.address+"/files/")
			second.exit(t, 0)
			changed.checkStored(t, stored(t, s, second))
		})
	}
}

// TestExampleTellsRefusal sends what is no video to the endpoint for videos.
func TestExampleTellsRefusal(t *testing.T) {
	for _, p := range programs() {
		t.Run(p.name, func(t *testing.T) { p.checkRefusal(t, false) })
	}
}

// TestExampleTellsRefusalWhoseAnswerIsLost breaks the connection instead of passing the refusal on. A client that takes
// HEAD's 410 for a reason to begin anew would send all of it again.
func TestExampleTellsRefusalWhoseAnswerIsLost(t *testing.T) {
	for _, p := range programs() {
		t.Run(p.name, func(t *testing.T) { p.checkRefusal(t, true) })
	}
}

func (p program) checkRefusal(t *testing.T, lost bool) {
	t.Parallel() // they wait most of the time
	needs(t, p.needs[0], p.needs[1:]...)
	s := start(t)
	gate := newGate(t, s, 0)
	gate.open()
	gate.loses.Store(lost)

	c := p.launch(t, t.TempDir(), text(t, "minutes.mp4", 24*mebibyte), "http://"+gate.address+"/videos/")
	c.exit(t, 1)
	if said := c.stdout.String() + c.stderr.String(); !strings.Contains(said, "This file is plain text.") {
		t.Errorf("no reason in:\n%s", said)
	}
	if made := uploads(t, s, "video"); made != 1 {
		t.Errorf("%d uploads were begun, want 1: it was sent again", made)
	}
	if gate.loses.Load() {
		t.Error("there was no refusal to lose")
	}
}

// checkForgotten sees that nothing lies beside a file that was sent.
func checkForgotten(t *testing.T, file source) {
	t.Helper()
	if _, err := os.Stat(file.path + ".upload-url"); err == nil {
		t.Error("the address of a finished upload was kept")
	}
}
