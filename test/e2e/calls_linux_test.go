package e2e

import (
	"bytes"
	"regexp"
	"strconv"
	"testing"
)

var (
	begunCall = regexp.MustCompile(`(?m)^\d+ +(\w+)\(`)
	// idleCall is one that waits, or that Go's runtime makes for itself: how many there are is the machine's doing.
	idleCall = regexp.MustCompile(`^(futex|epoll_p?wait2?|(clock_)?nanosleep|sched_\w+|madvise|mmap|munmap|mprotect|tgkill|rt_sig\w+|sigaltstack|` +
		`getpid|gettid|restart_syscall|clone3?|rseq|set_robust_list|getrandom|prctl)$`)
)

// TestRequestsCostFewSystemCalls counts what the server asks of the kernel for a request, over one connection. That hardly
// depends on how fast the machine is: in how many pieces a request arrives makes a difference of two or three.
func TestRequestsCostFewSystemCalls(t *testing.T) {
	const times = 50
	for _, durability := range durabilities {
		s := start(t, "--durability", durability, "--log-level", "info")
		large := content{size: times << 19}
		open := s.create(t, "/files/", large.size)
		small := content{size: 20 << 10}.bytes(0, 20<<10)
		for _, row := range []struct {
			name string
			most float64
			send func(i int64) reply
		}{
			{"HEAD", 6, func(int64) reply { return s.do(t, "HEAD", open, protocol) }},
			{"PATCH of 512 KiB", 20, func(i int64) reply { return s.send(t, open, large, i<<19, (i+1)<<19) }},
			{"POST of 20 KiB", 22, func(int64) reply {
				return s.exchange(t, s.request(t, "POST", "/files/", bytes.NewReader(small), int64(len(small)), protocol, chunkType,
					"Upload-Length: "+strconv.Itoa(len(small))))
			}},
		} {
			end := s.trace(t, "all")
			for i := range int64(times) {
				if r := row.send(i); r.status >= 300 {
					t.Fatalf("%s: got %d %s", row.name, r.status, r.body)
				}
			}
			made, synced := perRequest(end(), times)
			t.Logf("%s, %s: %.1f calls, %.1f of them syncs", row.name, durability, made, synced)
			if made-synced > row.most {
				t.Errorf("%s, %s: %.1f system calls beside syncs, want at most %.0f", row.name, durability, made-synced, row.most)
			}
			if most := map[string]float64{"always": 3.5, "none": 0.1}[durability]; synced > most {
				t.Errorf("%s, %s: %.1f syncs, want at most %.1f", row.name, durability, synced, most)
			}
		}
	}
}

// perRequest counts the calls in a trace that do something, and those that make something durable.
func perRequest(trace string, requests float64) (made, synced float64) {
	for _, found := range begunCall.FindAllStringSubmatch(trace, -1) {
		switch name := found[1]; {
		case idleCall.MatchString(name):
			continue
		case name == "fsync", name == "fdatasync", name == "sync_file_range":
			synced++
			fallthrough
		default:
			made++
		}
	}
	return made / requests, synced / requests
}
