package media

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What ffmpeg gets a picture or a sound out of must never be refused, whatever else is wrong with it. The seed is fixed: the
// damage is the same each time.
func TestNoVideoIsRefusedThatPlays(t *testing.T) {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil || testing.Short() || raceEnabled {
		t.Skip("needs ffmpeg, and time; nothing runs at once here")
	}
	places := 3 // a part of what there is to break; `make soak` breaks more
	if os.Getenv("SOAK") == "1" {
		places = 12
	}
	random := rand.New(rand.NewPCG(1, 2))
	refused, all := 0, videos(t)
	for _, name := range []string{
		"end.mp4", "faststart.mp4", "fragmented.mp4", "mp3.mp4", "phone.3gp", "rotated.mov", "prores.mov", "vp9.webm", "live.webm", "h264.mkv", "pipe.mkv",
	} {
		for n, data := range damaged(all[name], places, random) {
			_, err := videoOf(t, data)
			if !errors.Is(err, ErrMalformed) {
				continue
			}
			refused++
			if frames := played(t, ffmpeg, name, data); frames > 0 {
				t.Errorf("%s, damage %d: refused as %v, but %d frames play", name, n, err, frames)
			}
		}
	}
	if refused < 30 {
		t.Errorf("only %d were refused: the damage is too little", refused)
	}
}

// damaged are data cut off, with bytes changed, taken out and put in.
func damaged(data string, places int, random *rand.Rand) (all []string) {
	for range places {
		at, other := random.IntN(len(data)-64)+64, byte(random.Uint32())
		all = append(all, data[:at], data[:at]+data[min(at+1+random.IntN(40), len(data)):], data[:at]+zeros(1+random.IntN(40))+data[at:])
		changed := []byte(data)
		changed[at] = other
		all = append(all, string(changed))
	}
	for _, kind := range []string{"moov", "mvhd", "trak", "mdia", "hdlr", "stbl", "stsd", "mdat"} { // sizes that are wrong
		for _, size := range []string{be32(0), be32(4), be32(1 << 30)} {
			if at := strings.Index(data, kind); at > 4 {
				all = append(all, data[:at-4]+size+data[at:])
			}
		}
	}
	return append(all, data+zeros(5000), data+strings.Repeat("\xff", 999))
}

// played is how many frames ffmpeg decodes.
func played(t *testing.T, ffmpeg, name, data string) int {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ := exec.CommandContext(t.Context(), ffmpeg, "-nostdin", "-v", "quiet", "-i", file, "-frames:v", "3", "-f", "framecrc", "-").Output() // fails where nothing plays
	lines := slices.DeleteFunc(bytes.Split(out, []byte("\n")), func(line []byte) bool {
		return len(line) == 0 || line[0] == '#'
	})
	return len(lines)
}
