package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// canTrace tells whether this machine has strace; without it no system calls are counted.
func canTrace() bool {
	_, err := exec.LookPath("strace")
	return err == nil
}

// countCalls runs load under strace, and notes how many system calls the server made for each request, without those that
// wait and those of the Go runtime: their number depends on the machine's mood more than on the server's code.
func (t *trial) countCalls(w work, load func() error) error {
	report := t.process.data + ".strace"
	strace := exec.Command("strace", "-f", "-c", "-o", report, "-p", strconv.Itoa(t.process.cmd.Process.Pid))
	said, err := strace.StderrPipe()
	if err != nil {
		return err
	}
	if err := strace.Start(); err != nil {
		return err
	}
	lines := bufio.NewReader(said)
	attached, err := lines.ReadString('\n') // it says so when it is
	if err != nil {
		return errors.Join(fmt.Errorf("strace: %q: %w", attached, err), strace.Wait())
	}
	drained := make(chan struct{})
	go func() { // it says something for every thread
		defer close(drained)
		io.Copy(io.Discard, lines)
	}()
	err = load()
	strace.Process.Signal(os.Interrupt)
	<-drained
	strace.Wait() // ends as if by the signal
	if err != nil {
		return err
	}
	f, err := os.Open(report)
	if err != nil {
		return err
	}
	defer f.Close()
	calls, err := parseCalls(f)
	t.result[systemCalls] = float64(calls) / float64(w.count)
	return err
}

// parseCalls adds up the table that strace -c prints: % time, seconds, usecs/call, calls, perhaps errors, name.
func parseCalls(r io.Reader) (total int, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 {
			continue
		}
		name := fields[len(fields)-1]
		calls, err := strconv.Atoi(fields[3])
		if err != nil || name == "total" || waits(name) {
			continue // a heading
		}
		total += calls
	}
	if total == 0 {
		return 0, errors.Join(errors.New("strace counted nothing"), lines.Err())
	}
	return total, lines.Err()
}

// waits tells the calls that wait, or that the Go runtime makes for itself.
func waits(name string) bool {
	switch name {
	case "futex", "nanosleep", "clock_nanosleep", "sched_yield", "restart_syscall", "getpid", "gettid", "tgkill", "rt_sigreturn",
		"rt_sigprocmask", "rt_sigaction", "sigaltstack", "clone", "clone3", "madvise", "mmap", "munmap", "timer_settime":
		return true
	}
	return strings.HasPrefix(name, "epoll_") && name != "epoll_ctl"
}
