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
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a running server, looked at from outside.
type process struct {
	cmd     *exec.Cmd
	began   time.Time
	address string
	private string // where its operator asks, "" if nowhere
	data    string // its directory
}

// startWithin is ample for a server that looks at each of 100,000 uploads first.
const startWithin = 30 * time.Second

// start returns when the server accepts connections. Its log goes to /dev/null: what a server says shall not be timed as a disk is.
func (s server) start(ctx context.Context, dir string, cert *certificate) (*process, error) {
	port, private, err := freePorts()
	if err != nil {
		return nil, err
	}
	args := s.args(place{port, private, dir, cert})
	p := &process{cmd: exec.CommandContext(ctx, args[0], args[1:]...), address: "127.0.0.1:" + port, data: dir}
	if s.hasPrivate {
		p.private = "127.0.0.1:" + private
	}
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	for time.Since(p.began) < startWithin && ctx.Err() == nil {
		if c, err := net.Dial("tcp", p.address); err == nil {
			return p, c.Close()
		}
		time.Sleep(time.Millisecond)
	}
	p.stop()
	return nil, fmt.Errorf("does not accept connections: %s", p.cmd)
}

// stop kills: what matters was verified, and a polite stop of tusd takes as long as its slowest goroutine.
func (p *process) stop() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// leave asks the server to stop and waits until it has.
func (p *process) leave() error {
	err := p.cmd.Process.Signal(syscall.SIGTERM)
	p.cmd.Wait() // tusd's exit code on a signal is no concern of ours
	return err
}

func (p *process) file(name string) string {
	return fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, name)
}

// cpuSeconds is the user and system time of the process since its start, to the nanosecond: /proc/PID/stat has it in hundredths,
// too few for a load of a tenth.
func (p *process) cpuSeconds() (float64, error) {
	const processClock = 2                               // CPUCLOCK_SCHED
	clock := int32(^p.cmd.Process.Pid<<3 | processClock) // as clock_getcpuclockid(3) makes it
	var t unix.Timespec
	err := unix.ClockGettime(clock, &t)
	return time.Duration(t.Nano()).Seconds(), err
}

// resetPeak makes the peak in memory count from now.
func (p *process) resetPeak() error {
	return os.WriteFile(p.file("clear_refs"), []byte("5"), 0)
}

// memory is resident, in MiB.
type memory struct{ now, peak, anon float64 }

func (p *process) memory() (m memory, err error) {
	status, err := os.ReadFile(p.file("status"))
	if err != nil {
		return m, err
	}
	for line := range strings.Lines(string(status)) {
		var name string
		var kib float64
		if n, _ := fmt.Sscan(line, &name, &kib); n < 2 {
			continue
		}
		switch name {
		case "VmRSS:":
			m.now = kib / 1024
		case "VmHWM:":
			m.peak = kib / 1024
		case "RssAnon:":
			m.anon = kib / 1024
		}
	}
	if m.peak == 0 {
		err = errors.New("no VmHWM in " + p.file("status"))
	}
	return m, err
}

// watchAnon samples anonymous memory until the returned function is called, which tells the highest.
func (p *process) watchAnon() (stop func() float64) {
	quit, highest := make(chan struct{}), make(chan float64)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond) // 10 us of reading each: nothing beside the load
		defer tick.Stop()
		var top float64
		for {
			if m, err := p.memory(); err == nil {
				top = max(top, m.anon)
			}
			select {
			case <-quit:
				highest <- top
				return
			case <-tick.C:
			}
		}
	}()
	return func() float64 {
		close(quit)
		return <-highest
	}
}

// freePorts returns two that nobody listens on, held at once lest they are the same.
func freePorts() (one, other string, err error) {
	var l [2]net.Listener
	for i := range l {
		if l[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return "", "", err
		}
		defer l[i].Close()
	}
	return portOf(l[0]), portOf(l[1]), nil
}

func portOf(l net.Listener) string { return strconv.Itoa(l.Addr().(*net.TCPAddr).Port) }
