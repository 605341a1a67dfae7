package store

import (
	"errors"
	"os"
	"strconv"
	"syscall"
)

// livingProcess tells whether text is the number of a process that runs now, other than this one.
func livingProcess(text string) (pid int, living bool) {
	pid, err := strconv.Atoi(text)
	if err != nil || pid <= 0 || pid == os.Getpid() {
		return pid, false
	}
	err = syscall.Kill(pid, 0)
	return pid, err == nil || errors.Is(err, syscall.EPERM)
}
