package media

import (
	"errors"
	"fmt"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// limit bounds a process: its memory in bytes, and the rest as [Converter] says. Private memory is counted, not addresses:
// a hundred libraries take hundreds of megabytes of those.
func limit(pid int, memory int64) error {
	for resource, most := range map[int]uint64{
		unix.RLIMIT_DATA:   uint64(memory),
		unix.RLIMIT_CPU:    uint64(childComputes.Seconds()),
		unix.RLIMIT_FSIZE:  0,
		unix.RLIMIT_CORE:   0,
		unix.RLIMIT_NOFILE: 64, // it opens libraries one after the other, and keeps some ten files
	} {
		bound := unix.Rlimit{Cur: most, Max: most}
		if resource == unix.RLIMIT_CPU {
			bound.Max++ // at the first it gets a signal that can be told from others, at the second it is killed
		}
		if err := unix.Prlimit(pid, resource, &bound, nil); err != nil {
			return err
		}
	}
	return nil
}

// confine takes from the calling thread, and so from the children that it starts, what they do not need. It returns what the
// kernel refuses to take.
func confine(program string, turn uint32) error {
	var missing []error
	note := func(what string, err error) {
		if err != nil {
			missing = append(missing, fmt.Errorf("%s: %w", what, err))
		}
	}
	note("no new privileges", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
	note("one processor", bind(turn))
	note("files", restrictFiles(program))
	return errors.Join(missing...)
}

// bind lets the thread run on one of its processors alone, by turns: decoders start threads, with memory, for as many as
// they may use.
func bind(turn uint32) error {
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return err
	}
	nth := int(turn % uint32(max(all.Count(), 1)))
	for cpu := range len(all) * 64 {
		if !all.IsSet(cpu) {
			continue
		}
		if nth == 0 {
			one.Set(cpu)
			return unix.SchedSetaffinity(0, &one)
		}
		nth--
	}
	return unix.EINVAL
}

const (
	readFiles = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	// firstRights are all that Landlock's first version knows: execute, write, read, and to make and remove names.
	firstRights = 1<<13 - 1
)

// restrictFiles leaves the thread the system's programs and libraries to read, no file to write, and no network, by Landlock
// (Linux 5.13; networks 6.7, sockets and signals 6.12).
func restrictFiles(program string) error {
	version, _, no := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if no != 0 {
		return no
	}
	rules := forbidden(int(version))
	fd, _, no := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rules)), unsafe.Sizeof(rules), 0)
	if no != 0 {
		return no
	}
	defer unix.Close(int(fd))
	for _, path := range readable(program) {
		if err := allow(int(fd), path); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if _, _, no := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); no != 0 {
		return no
	}
	return nil
}

// forbidden is what a version of Landlock can forbid.
func forbidden(version int) (rules unix.LandlockRulesetAttr) {
	rules.Handled_access_fs = firstRights
	if version >= 2 {
		rules.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if version >= 3 {
		rules.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if version >= 4 {
		rules.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if version >= 6 {
		rules.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	return rules
}

// readable is where programs and libraries are, those of other systems than Debian among them.
func readable(program string) []string {
	paths := []string{"/usr", "/lib", "/lib64", "/nix/store", "/etc/ld.so.cache", program}
	if real, err := filepath.EvalSymlinks(program); err == nil {
		paths = append(paths, real)
	}
	if home := filepath.Dir(filepath.Dir(program)); home != "/" { // /opt/vips/bin and /opt/vips/lib
		paths = append(paths, home)
	}
	return paths
}

func allow(ruleset int, path string) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: readFiles | unix.LANDLOCK_ACCESS_FS_EXECUTE, Parent_fd: int32(fd)}
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		rule.Allowed_access &^= unix.LANDLOCK_ACCESS_FS_READ_DIR // means nothing to a file
	}
	_, _, no := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if no != 0 {
		return no
	}
	return nil
}
