package e2e

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// imageMemory is the gate under test: four telephone pictures in HEIC fit beside each other, or a dozen in JPEG.
	imageMemory = 512 << 20
	// beside is what the server needs besides, by its own word (baseMemory in cmd/server).
	beside = 256 << 20
	// answered is how long a client waits for its answer: the server says `received` after 20 s, and this machine may be busy.
	answered = 30 * time.Second
)

// crowd is how many avatars come at once, and how many of them are HEIC.
func crowd() (all, foreign int) {
	if os.Getenv("SOAK") == "1" {
		return 200, 10
	}
	return 12, 2
}

// telephone makes a picture as a telephone does, in JPEG.
func telephone(t *testing.T, width, height int) []byte {
	t.Helper()
	photo := image.NewYCbCr(image.Rect(0, 0, width, height), image.YCbCrSubsampleRatio420)
	for i := range photo.Y {
		x, y := i%width, i/width
		photo.Y[i] = byte((x*y>>9)&127 + (x/16+y/16)&63)
	}
	for i := range photo.Cb {
		photo.Cb[i], photo.Cr[i] = byte(i>>8), byte(i>>10)
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, photo, &jpeg.Options{Quality: 85}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// asHEIC encodes a JPEG anew.
func asHEIC(t *testing.T, photo []byte) []byte {
	t.Helper()
	from, to := filepath.Join(t.TempDir(), "from.jpg"), filepath.Join(t.TempDir(), "to.heic")
	if err := os.WriteFile(from, photo, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program(t, "heif-enc"), "-q", "40", "-p", "preset=ultrafast", from, "-o", to)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("heif-enc: %v: %s", err, out)
	}
	data, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestManyAvatarsAtOnce sends more pictures than the server has memory for. It never has more than it says, each client has an
// answer in time, and every picture is ready in the end.
func TestManyAvatarsAtOnce(t *testing.T) {
	program(t, "vipsthumbnail")
	photo := telephone(t, 4032, 3024)
	foreign := asHEIC(t, photo)
	rows := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(rows, []byte("profiles: [{name: avatar, maxPixels: 13000000}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, "--image-memory", strconv.Itoa(imageMemory), "--config", rows)
	family := watchMemory(t, s.cmd.Process.Pid)
	began := time.Now()

	all, heic := crowd()
	locations, slowest := s.crowd(t, photo, foreign, all, heic)
	s.awaitAll(t, locations)
	took := time.Since(began)

	alone, together := s.peak(t), family()
	t.Logf("%d avatars, %d of them HEIC: %.0f MiB at the peak, %.0f MiB with children; the slowest answer after %s, all ready after %s",
		all, heic, mib(alone), mib(together), slowest.Round(time.Millisecond), took.Round(time.Millisecond))
	if together = max(together, alone); together > imageMemory+beside {
		t.Errorf("%.0f MiB at the peak, more than the gate and what is beside it", mib(together))
	}
	if slowest > answered {
		t.Errorf("a client waited %s for its answer", slowest)
	}
	await(t, "the gate is empty", func() bool {
		return s.metric(t, "sluice_finish_gate_bytes")+s.metric(t, "sluice_finish_gate_waiting") == 0
	})
	if got := s.metric(t, "sluice_finish_gate_capacity_bytes"); got != imageMemory {
		t.Errorf("the gate's capacity is %v, want %v", got, imageMemory)
	}
}

// noted knows when the last of it was read.
type noted struct {
	*bytes.Reader
	last atomic.Int64 // nanoseconds
}

func (n *noted) Read(p []byte) (int, error) {
	n.last.Store(time.Now().UnixNano())
	return n.Reader.Read(p)
}

// WriteTo of the embedded reader would pass Read by.
func (n *noted) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, struct{ io.Reader }{n}) }

// crowd sends avatars at once, some of them foreign, and returns where they are and how long the slowest answer took after the last byte.
func (s *server) crowd(t *testing.T, photo, foreign []byte, all, heic int) (locations []string, slowest time.Duration) {
	t.Helper()
	content := make([][]byte, all)
	for i := range content {
		content[i] = photo
		if i%(all/heic) == 0 {
			content[i] = foreign
		}
		locations = append(locations, s.create(t, "/avatars/", int64(len(content[i]))))
	}
	var work sync.WaitGroup
	took := make([]time.Duration, all)
	for i, location := range locations {
		work.Go(func() {
			body := &noted{Reader: bytes.NewReader(content[i])}
			req := s.request(t, "PATCH", location, body, int64(len(content[i])), protocol, chunkType, "Upload-Offset: 0")
			resp, err := s.http.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
			took[i] = time.Since(time.Unix(0, body.last.Load()))
			if state := resp.Header.Get("Sluice-State"); resp.StatusCode != http.StatusNoContent || state != "ready" && state != "received" {
				t.Errorf("got %d, Sluice-State %q, want ready or received", resp.StatusCode, state)
			}
		})
	}
	work.Wait()
	for _, one := range took {
		slowest = max(slowest, one)
	}
	return locations, slowest
}

// awaitAll waits for each avatar in its turn: for as long as others become ready before it.
func (s *server) awaitAll(t *testing.T, locations []string) {
	t.Helper()
	for _, location := range locations {
		for last := time.Now(); ; {
			before := s.metric(t, "sluice_finish_jobs")
			found := s.standing(t, location)
			if found.State == "ready" && len(found.Variants) == 3 {
				break
			}
			if found.State != "received" {
				t.Fatalf("%s is %s", location, found.State)
			}
			time.Sleep(50 * time.Millisecond) // between two looks
			if s.metric(t, "sluice_finish_jobs") < before {
				last = time.Now()
			}
			if time.Since(last) > patience {
				t.Fatalf("nothing becomes ready")
			}
		}
	}
}

// watchMemory looks at the resident memory of a process and its children together, over and over, and returns what it was at most.
// What they share is counted for each.
func watchMemory(t *testing.T, pid int) (most func() int64) {
	t.Helper()
	var peak int64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond): // between two looks
				peak = max(peak, familyMemory(pid))
			}
		}
	}()
	end := sync.OnceFunc(func() { close(stop); <-done })
	t.Cleanup(end)
	return func() int64 { end(); return peak }
}

func familyMemory(pid int) (total int64) {
	self, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	for _, one := range append(childrenOf(pid), strconv.Itoa(pid)) {
		if exe, _ := os.Readlink("/proc/" + one + "/exe"); exe == self && one != strconv.Itoa(pid) {
			continue // about to become another program: it has its parent's memory until then, not some of its own
		}
		raw, _ := os.ReadFile("/proc/" + one + "/statm")
		if fields := strings.Fields(string(raw)); len(fields) > 1 {
			pages, _ := strconv.ParseInt(fields[1], 10, 64)
			total += pages * int64(os.Getpagesize())
		}
	}
	return total
}

// childrenOf lists the processes that a process has started and not yet heard the end of.
func childrenOf(pid int) (children []string) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		raw, _ := os.ReadFile(list) // a thread that is gone has none
		children = append(children, strings.Fields(string(raw))...)
	}
	return children
}
