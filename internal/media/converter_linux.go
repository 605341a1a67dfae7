package media

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const canConfine = true

// run starts the child from a thread that has given up what the child shall not have, and waits for it. The thread is not
// used again: nothing of that can be undone. It has to live as long as the child, which dies with it.
func (c *Converter) run(ctx context.Context, one child) (output []byte, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		if missing := confine(c.program, c.processor.Add(1)); missing != nil {
			c.tell("the kernel does not confine vipsthumbnail in every way", missing)
		}
		output, err = c.converse(ctx, one)
	}()
	<-done
	return output, err
}

// running is a child that has been started, and its pipes.
type running struct {
	*exec.Cmd
	stdin  io.WriteCloser
	stdout io.Reader
	said   clipped
}

// tell puts into the log, once, what is not as it could be.
func (c *Converter) tell(what string, err error) {
	if !c.told.Swap(true) {
		c.log.Warn(what, "err", err)
	}
}

// converse gives the child its input when its limits are set, not before, and takes what it says.
func (c *Converter) converse(ctx context.Context, one child) ([]byte, error) {
	running, err := c.start(ctx, one)
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	if err := limit(running.Process.Pid, one.memory); err != nil {
		_ = running.Cancel()
		return nil, errors.Join(fmt.Errorf("limit: %w", err), running.Wait())
	}
	c.started(running.Process.Pid)
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = running.stdin.Write(one.input) // one that does not want all of it says so by its exit code
		_ = running.stdin.Close()
	}()

	most := convertedBytes(int64(one.edge))
	output, err := io.ReadAll(io.LimitReader(running.stdout, most+1))
	if err != nil || int64(len(output)) > most {
		_ = running.Cancel()
	}
	failed := running.Wait()
	<-written
	c.log.Debug("vipsthumbnail ended", "state", running.ProcessState, "said", running.said.String())
	switch {
	case failed != nil:
		return nil, blame(failed, int64(len(output)) > most)
	case err != nil:
		return nil, err
	}
	return output, nil
}

// A thread gets a stack as large as this limit is when its program begins, 8 MiB as a rule, and they would be most of what a child
// is allowed. Go sets no limit between fork and exec, so the shell does it. 2 MiB is what libvips asks for.
const (
	shell       = "/bin/sh"
	smallStacks = `ulimit -s 2048 && exec "$0" "$@"`
)

// start starts the child, in namespaces of its own if the kernel lets it.
func (c *Converter) start(ctx context.Context, one child) (*running, error) {
	for {
		shared := c.shared.Load()
		r, err := c.prepare(ctx, one, shared)
		if err != nil {
			return nil, err
		}
		err = r.Start()
		if err == nil || shared || !refusesNamespaces(err) {
			return r, err
		}
		c.shared.Store(true)
		c.tell("the kernel gives vipsthumbnail no namespaces of its own", err)
	}
}

// prepare makes a child that is not started yet; shared, in the server's own namespaces.
func (c *Converter) prepare(ctx context.Context, one child, shared bool) (*running, error) {
	flags := uintptr(unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS)
	if shared {
		flags = 0
	}
	r := &running{Cmd: exec.CommandContext(ctx, shell, append([]string{"-c", smallStacks, c.program}, one.arguments()...)...)}
	r.Env, r.Dir, r.Stderr, r.WaitDelay = one.environment(), "/", &r.said, time.Second
	r.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Cloneflags: flags}
	r.Cancel = func() error { return unix.Kill(-r.Process.Pid, unix.SIGKILL) }
	var in, out error
	r.stdin, in = r.StdinPipe()
	r.stdout, out = r.StdoutPipe()
	return r, errors.Join(in, out)
}

// refusesNamespaces tells what a kernel, or a filter of system calls, says to those who may not make them, or not so many.
func refusesNamespaces(err error) bool {
	for _, no := range []error{unix.EPERM, unix.EACCES, unix.EINVAL, unix.ENOSYS, unix.ENOSPC, unix.EUSERS} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// blame tells whose fault it is that a child failed: the file's, but for a SIGKILL from elsewhere, which is the machine
// running out of memory, and a program that could not be loaded.
func blame(failed error, tooMuch bool) error {
	const noProgram, notLoaded = 126, 127 // the shell's, and the dynamic linker's
	var exit *exec.ExitError
	if !errors.As(failed, &exit) {
		return failed
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	killed := ok && status.Signaled() && status.Signal() == unix.SIGKILL
	if killed && !tooMuch || exit.ExitCode() == noProgram || exit.ExitCode() == notLoaded {
		return failed
	}
	return fmt.Errorf("%w: vipsthumbnail: %w", ErrMalformed, failed)
}

// clipped keeps the beginning of what is written to it.
type clipped struct{ bytes.Buffer }

// maxSaid is enough for a few of vipsthumbnail's complaints.
const maxSaid = 4 << 10

func (c *clipped) Write(p []byte) (int, error) {
	c.Buffer.Write(p[:min(len(p), maxSaid-c.Len())])
	return len(p), nil
}
