package main

import (
	"debug/buildinfo"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// describe says where and when the figures are measured: they compare with nothing else.
func describe(w io.Writer, dir string, o options) {
	fmt.Fprintf(w, "- %s, %d rounds; load average before: %s\n",
		time.Now().UTC().Format("2006-01-02 15:04 UTC"), o.rounds, firstField("/proc/loadavg", ""))
	fmt.Fprintf(w, "- %d processors (%s), %s of memory, Linux %s, %s\n",
		runtime.NumCPU(), firstField("/proc/cpuinfo", "model name"), memoryOf(), kernel(), fileSystem(dir))
	fmt.Fprintf(w, "- Sluice %s; tusd %s; %s\n", sluiceVersion(o.sluice), tusdVersion(o.tusd), runtime.Version())
}

// firstField is the value of the first line of a file of /proc that begins with name, or its first field if name is "".
func firstField(file, name string) string {
	raw, _ := os.ReadFile(file)
	for line := range strings.Lines(string(raw)) {
		if name == "" {
			return strings.Fields(line)[0]
		}
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func memoryOf() string {
	var kib float64
	if _, err := fmt.Sscan(firstField("/proc/meminfo", "MemTotal"), &kib); err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%.0f GiB", kib/(1<<20))
}

func kernel() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(name.Release[:])
}

// fileSystem is the type of the one that dir is on, with the options of its mount: whether it has a journal counts.
func fileSystem(dir string) string {
	dir, err := filepath.Abs(dir)
	mounts, err2 := os.ReadFile("/proc/mounts")
	if err != nil || err2 != nil {
		return "unknown file system"
	}
	var longest, found string
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line) // device, where, type, options
		if within(dir, f[1]) && len(f[1]) >= len(longest) {
			longest, found = f[1], f[2]+" ("+f[3]+")"
		}
	}
	return found
}

func within(dir, mount string) bool {
	rel, err := filepath.Rel(mount, dir)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

func sluiceVersion(binary string) string {
	out, err := exec.Command(binary, "version").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimPrefix(strings.TrimSpace(string(out)), "sluice ")
}

// tusdVersion is the module's, from the binary: built from it, tusd itself knows none.
func tusdVersion(binary string) string {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return "unknown"
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == "github.com/tus/tusd/v2" {
			return m.Version
		}
	}
	return "unknown"
}
