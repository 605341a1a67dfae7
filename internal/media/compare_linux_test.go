package media

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/image/draw"
)

// compared are ways to make avatars, each in processes of its own so that their memory can be told apart.
var compared = []struct {
	name string
	webp bool
	vips bool
	way  func(t *testing.T, data []byte)
}{
	{name: "Sluice", way: oursJPEG},
	{name: "Sluice", webp: true, way: ours},
	{name: "naive Go", way: func(t *testing.T, data []byte) { naive(t, data, encodings[:1]) }},
	{name: "naive Go", webp: true, way: func(t *testing.T, data []byte) { naive(t, data, encodings) }},
	{name: "libvips", vips: true},
	{name: "libvips", webp: true, vips: true},
}

// TestCompare prints a table for the README. It takes half a minute and proves nothing, so it has to be asked for: COMPARE=1.
func TestCompare(t *testing.T) {
	if n, err := strconv.Atoi(os.Getenv("COMPARE_WAY")); err == nil {
		data, err := os.ReadFile(os.Getenv("COMPARE_PHOTO"))
		if err != nil {
			t.Fatal(err)
		}
		compared[n].way(t, data)
		return
	}
	if os.Getenv("COMPARE") == "" {
		t.Skip("COMPARE=1 compares with libvips and with the naive way")
	}
	photo := filepath.Join(t.TempDir(), "photo.jpg")
	if err := os.WriteFile(photo, phonePhoto(t), 0o600); err != nil {
		t.Fatal(err)
	}
	fmt.Println("| | formats | wall s | CPU s | peak MiB |\n|---|---|---|---|---|")
	for n, c := range compared {
		formats := "JPEG"
		if c.webp {
			formats = "JPEG and WebP"
		}
		var costs []cost
		for range 9 {
			costs = append(costs, run(t, n, photo))
		}
		best := costs[0] // whatever else the machine does only adds to it
		for _, one := range costs[1:] {
			best = cost{min(best.wall, one.wall), min(best.cpu, one.cpu), min(best.peak, one.peak)}
		}
		fmt.Printf("| %s | %s | %.2f | %.2f | %.0f |\n", c.name, formats, best.wall.Seconds(), best.cpu.Seconds(), float64(best.peak)/(1<<20))
	}
}

// cost is what a way took, all its processes together; the peak is that of the largest.
type cost struct {
	wall, cpu time.Duration
	peak      int64
}

func run(t *testing.T, n int, photo string) (total cost) {
	t.Helper()
	commands := []*exec.Cmd{exec.Command(os.Args[0], "-test.run=^TestCompare$")}
	commands[0].Env = append(os.Environ(), "COMPARE_WAY="+strconv.Itoa(n), "COMPARE_PHOTO="+photo)
	if compared[n].vips {
		commands = thumbnailers(t, compared[n].webp, photo)
	}
	for _, cmd := range commands {
		began := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
		usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		total.wall += time.Since(began)
		total.cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		total.peak = max(total.peak, int64(usage.Maxrss)<<10)
	}
	return total
}

// thumbnailers are the commands that make the same pictures with libvips: one for each, as its program works.
func thumbnailers(t *testing.T, webp bool, photo string) (commands []*exec.Cmd) {
	program, err := exec.LookPath("vipsthumbnail")
	if err != nil {
		t.Skip("vipsthumbnail is not installed")
	}
	endings := []string{".jpg[Q=85,strip]"}
	if webp {
		endings = append(endings, ".webp[Q=80,strip]")
	}
	for _, edge := range avatarEdges {
		for _, ending := range endings {
			size := strconv.Itoa(edge)
			out := filepath.Join(filepath.Dir(photo), size+ending)
			commands = append(commands, exec.Command(program, photo, "--size", size+"x"+size, "--smartcrop", "centre", "-o", out))
		}
	}
	return commands
}

func ours(t *testing.T, data []byte) { squares(t, data, avatarEdges...) }

func oursJPEG(t *testing.T, data []byte) {
	defer func(all []encoding) { encodings = all }(encodings)
	encodings = encodings[:1]
	ours(t, data)
}

// naive is what one writes first: decode, turn, and scale each size from the original with the library.
func naive(t *testing.T, data []byte, formats []encoding) {
	decoded, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	crop := centre(decoded.Bounds().Dx(), decoded.Bounds().Dy())
	for _, edge := range avatarEdges {
		square := image.NewRGBA(image.Rect(0, 0, edge, edge))
		draw.CatmullRom.Scale(square, square.Rect, decoded, crop, draw.Src, nil)
		square = orient(square, 6)
		for _, format := range formats {
			var out bytes.Buffer
			if err := format.encode(&out, square); err != nil || !strings.HasPrefix(Sniff(out.Bytes()), "image/") {
				t.Fatal(err)
			}
		}
	}
}
