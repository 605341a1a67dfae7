package main

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// busySeconds is the processor time that everything on the machine but this program has used.
func busySeconds() float64 {
	stat, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(stat), "\n")
	var ticks float64
	for i, field := range strings.Fields(line) {
		if i == 0 || i == 4 || i == 5 || i > 8 { // its name, idle, waiting for the disk, and guests, who count as users
			continue
		}
		n, _ := strconv.ParseFloat(field, 64)
		ticks += n
	}
	return ticks/100 - ownSeconds()
}

// ownSeconds is the processor time that this program has used.
func ownSeconds() float64 {
	var own syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &own)
	return float64(own.Utime.Nano()+own.Stime.Nano()) / 1e9
}

// others is how many processors were busy with neither a server nor this client while something was timed: the kernel's own
// work on the disk, and whatever else ran.
func (b *bench) others() float64 {
	var all []float64
	for _, rounds := range b.results {
		busy, server := values(rounds, machineBusy), values(rounds, serverBusy)
		for i := range busy {
			all = append(all, busy[i]-server[i])
		}
	}
	return median(all)
}
