package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is the whole program, running.
type server struct {
	public, private string // addresses
	stop            func() int
}

var addressLine = regexp.MustCompile(`http://([0-9.]+:[0-9]+)/`)

// startServer runs the program on free ports and waits until it is ready.
func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stdout, pipe := io.Pipe()
	var log bytes.Buffer
	exit := make(chan int, 1)
	args = append([]string{"--listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0", "--durability", "none"}, args...)
	go func() {
		exit <- run(ctx, args, func(string) string { return "" }, pipe, &log)
		pipe.Close()
	}()
	s := &server{}
	lines := bufio.NewScanner(stdout)
	for _, address := range []*string{&s.public, &s.private} {
		if !lines.Scan() {
			t.Fatalf("it ended with %d: %s", <-exit, log.String())
		}
		*address = addressLine.FindStringSubmatch(lines.Text())[1]
	}
	stopped := false
	s.stop = func() int {
		stopped = true
		cancel()
		return <-exit
	}
	t.Cleanup(func() {
		if !stopped && s.stop() != exitOK {
			t.Errorf("it did not stop well: %s", log.String())
		}
	})
	return s
}

// TestScripts plays testdata/http/*.txt against the whole program. A script is blocks of:
//
//	> METHOD /path            a request, on a connection of its own; "@private" before the path: to the operator's listener
//	> Key: value              its header
//	> | text                  its body
//	< 200                     the status that must come
//	< Key: value              a header that must come so
//	< Key ~ regexp            or so
//	< !Key                    or not at all
//	< | text                  text that must be in the body
//	< !| text                 or must not
//	= name Key regexp         keeps the first group of a header as ${name}
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/http/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p := player{t: t, server: startServer(t, "--data", t.TempDir()), vars: map[string]string{}}
			p.play(file, string(text))
		})
	}
}

// player plays one script.
type player struct {
	t       *testing.T
	server  *server
	vars    map[string]string
	where   string
	request []string // lines of the request that is being read
	resp    *http.Response
	body    string
}

var variable = regexp.MustCompile(`\$\{(\w+)\}`)

func (p *player) play(file, text string) {
	for i, line := range strings.Split(text, "\n") {
		p.where = fmt.Sprintf("%s:%d", filepath.Base(file), i+1)
		line = variable.ReplaceAllStringFunc(line, func(v string) string { return p.vars[v[2:len(v)-1]] })
		mark, rest, _ := strings.Cut(line, " ")
		switch mark {
		case ">":
			p.request = append(p.request, rest)
		case "<":
			p.send()
			p.expect(rest)
		case "=":
			p.keep(rest)
		}
	}
}

// send sends the request that has been read, if there is one.
func (p *player) send() {
	if len(p.request) == 0 {
		return
	}
	line, address := p.request[0], p.server.public
	if at := strings.Index(line, "@private"); at >= 0 {
		line, address = strings.Replace(line, "@private", "", 1), p.server.private
	}
	header, body := "", ""
	for _, l := range p.request[1:] {
		if text, ok := strings.CutPrefix(l, "| "); ok {
			body += text
		} else {
			header += l + "\r\n"
		}
	}
	if body != "" {
		header += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	p.request = nil
	conn, err := net.Dial("tcp", address)
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: sluice.test\r\nConnection: close\r\n%s\r\n%s", line, header, body)
	method, _, _ := strings.Cut(line, " ")
	p.resp, err = http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		p.t.Fatalf("%s: %v", p.where, err)
	}
	raw, err := io.ReadAll(p.resp.Body)
	if err != nil {
		p.t.Fatalf("%s: %v", p.where, err)
	}
	p.body = string(raw)
}

var (
	matches = regexp.MustCompile(`^([\w-]+) ~ (.*)$`)
	equals  = regexp.MustCompile(`^([\w-]+): (.*)$`)
)

// expect checks one line about the last answer.
func (p *player) expect(line string) {
	ok := false
	if text, is := strings.CutPrefix(line, "| "); is {
		ok = strings.Contains(p.body, text)
	} else if text, is := strings.CutPrefix(line, "!| "); is {
		ok = !strings.Contains(p.body, text)
	} else if key, is := strings.CutPrefix(line, "!"); is {
		ok = len(p.resp.Header.Values(key)) == 0
	} else if m := matches.FindStringSubmatch(line); m != nil {
		ok = regexp.MustCompile(m[2]).MatchString(p.resp.Header.Get(m[1]))
	} else if m := equals.FindStringSubmatch(line); m != nil {
		ok = p.resp.Header.Get(m[1]) == m[2]
	} else {
		ok = fmt.Sprint(p.resp.StatusCode) == line
	}
	if !ok {
		p.t.Errorf("%s: want %s; got %s %v %.500s", p.where, line, p.resp.Status, p.resp.Header, p.body)
	}
}

func (p *player) keep(line string) {
	parts := strings.SplitN(line, " ", 3)
	group := regexp.MustCompile(parts[2]).FindStringSubmatch(p.resp.Header.Get(parts[1]))
	if group == nil {
		p.t.Fatalf("%s: %s does not match in %v", p.where, line, p.resp.Header)
	}
	p.vars[parts[0]] = group[1]
}
