package handlers

import (
	"os"
	"strconv"
	"strings"
)

// residentBytes is the memory of this process that lies in RAM (proc(5), /proc/pid/statm, the second field in pages); 0 if that
// cannot be found out.
func residentBytes() int64 {
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(raw))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
