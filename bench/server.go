package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// server is a program with a tus endpoint at /files/.
type server struct {
	name string
	args func(port, dir string) []string // the whole command line
}

// servers lists the ones to compare, the one to compare with last. Each runs with its defaults:
// stock tusd never syncs, so its durability is that of Sluice's "none" at best.
func servers(sluice, tusd string) []server {
	withDurability := func(level string) func(port, dir string) []string {
		return func(port, dir string) []string {
			return []string{sluice, "serve", "--listen=127.0.0.1:" + port, "--private-listen=127.0.0.1:0", "--data=" + dir, "--durability=" + level}
		}
	}
	return []server{
		{name: "sluice, always", args: withDurability("always")},
		{name: "sluice, none", args: withDurability("none")},
		{name: "tusd", args: func(port, dir string) []string {
			return []string{tusd, "-host=127.0.0.1", "-port=" + port, "-upload-dir=" + dir}
		}},
	}
}

// process is a running server.
type process struct {
	cmd     *exec.Cmd
	address string
	log     string // what it says, beside its data
}

// start returns when the server accepts connections.
func (s server) start(ctx context.Context, dir string) (*process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	args := s.args(port, dir)
	p := &process{cmd: exec.CommandContext(ctx, args[0], args[1:]...), address: "127.0.0.1:" + port, log: dir + ".log"}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	for range 100 {
		if c, err := net.Dial("tcp", p.address); err == nil {
			return p, c.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.stop()
	return nil, errors.New("does not accept connections")
}

// stop kills: what matters was verified, and a polite stop of tusd takes as long as its slowest goroutine.
func (p *process) stop() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// lastWords is the end of what the server said.
func (p *process) lastWords() string {
	log, _ := os.ReadFile(p.log)
	return string(log[max(0, len(log)-1000):])
}

func (p *process) file(name string) string {
	return fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, name)
}

// cpuSeconds is the user and system time of the process since its start.
func (p *process) cpuSeconds() (float64, error) {
	stat, err := os.ReadFile(p.file("stat"))
	if err != nil {
		return 0, err
	}
	// The second field is the name in parentheses and may hold blanks; utime and stime are fields 14 and 15.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, err1 := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	const ticks = 100 // USER_HZ, fixed on Linux
	return (user + system) / ticks, errors.Join(err1, err2)
}

// resetPeak makes peakMiB count from now.
func (p *process) resetPeak() error {
	return os.WriteFile(p.file("clear_refs"), []byte("5"), 0)
}

func (p *process) peakMiB() (float64, error) {
	status, err := os.ReadFile(p.file("status"))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib float64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		return 0, fmt.Errorf("VmHWM: %w", err)
	}
	return kib / 1024, nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}
