package config

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"sluice/internal/upload"
)

func TestWhatDoesNotGoTogether(t *testing.T) {
	row := func(columns string) string { return "profiles:\n- {name: new, lane: stream, " + columns + "}" }
	tests := []struct {
		name string
		args []string
		yaml string
		want []string
	}{
		{"same listener", []string{"--listen=a:81", "--private-listen=a:081"}, "", []string{"--private-listen: a:081 and a:81 (--listen)"}},
		{"every host", []string{"--listen=:8081"}, "", []string{"cannot both"}},
		{"certificate without key", []string{"--tls-cert=a"}, "", []string{"--tls-cert: needs --tls-key"}},
		{"key without certificate", []string{"--tls-key=a"}, "", []string{"--tls-key: needs --tls-cert"}},
		{"any and one origin", []string{"--cors-origin=*,http://a"}, "", []string{"name no other"}},
		{"no origin", nil, "cors-origin: []", []string{"sluice.yaml:1: cors-origin: needs an origin"}},
		{"same path", nil, row("path: /files/"), []string{`:2: profile "new": path "/files/" is also that of profile "file"`}},
		{"path inside", nil, row("path: /files/b/"), []string{`one lies inside the other`}},
		{"path around", nil, "profiles:\n- {name: new, lane: stream, path: /a/}\n- {name: file, path: /a/b/}", []string{`one lies inside the other`}},
		{"paths of the server", nil, row("path: /events/x/"), []string{`path "/events/x/" is taken`}},
		{"paths of the page", nil, row("path: /vendor/"), []string{`path "/vendor/" is taken`}},
		{"same dir", nil, row("path: /n/, dir: ./x/../file"), []string{`is also that of profile "file"`}},
		{"dir inside", nil, row("path: /n/, dir: video/x"), []string{`one lies inside the other`}},
		{"dir around", []string{"--data=/d"}, "profiles: [{name: file, dir: /s/x}, {name: new, lane: stream, path: /n/, dir: /s}]", []string{`one lies inside the other`}},
		{"dir is the data directory", []string{"--data=/d"}, "profiles: [{name: file, dir: /d}, {name: avatar, dir: /a}, {name: video, dir: /v}]",
			[]string{`must not be or hold the data directory`}},
		{"dir holds the data directory", []string{"--data=/d/e"}, "profiles: [{name: file, dir: /d}, {name: avatar, dir: /a}, {name: video, dir: /v}]",
			[]string{`must not be or hold the data directory`}},
		{"pictures larger than the memory for them", []string{"--image-memory=1218MiB"}, "", []string{`--image-memory: is too small for profile "avatar", of which one picture may need 1219MiB`}},
		{"pictures of a row", nil, "profiles: [{name: avatar, maxPixels: 9000000000000000000}]", []string{`one picture may need 8796093022208MiB`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(t, tt.args, nil, tt.yaml)
			wantFaults(t, err, tt.want...)
		})
	}
}

func TestWhatGoesTogether(t *testing.T) {
	tests := []struct {
		name string
		args []string
		yaml string
	}{
		{"free ports", []string{"--listen=:0", "--private-listen=:0"}, ""},
		{"one port, two hosts", []string{"--listen=10.0.0.1:80", "--private-listen=127.0.0.1:80"}, ""},
		{"private listener for everybody", []string{"--private-listen=0.0.0.0:8081"}, ""},
		{"paths with a common beginning", nil, "profiles: [{name: new, lane: stream, path: /files2/}]"},
		{"path of a disabled row", nil, "profiles: [{name: file, disabled: true}, {name: new, lane: stream, path: /files/, dir: file}]"},
		{"dirs with a common beginning", nil, "profiles: [{name: new, lane: stream, path: /n/, dir: file2}]"},
		{"exactly enough memory", []string{"--image-memory=1277860992"}, ""},
		{"no pictures, little memory", []string{"--image-memory=1"}, "profiles: [{name: avatar, disabled: true}]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { mustParse(t, tt.args, nil, tt.yaml) })
	}
}

func TestWholeJobBytes(t *testing.T) {
	const edges = 3*variantFixedBytes + (512*512+256*256+64*64)*variantPixelBytes
	tests := []struct {
		name          string
		bytes, pixels int64
		variants      []int
		want          int64
	}{
		{"as built in", 8 << 20, 50e6, []int{512, 256, 64}, 8<<20 + 50e6*jpegPixelBytes + scaleFixedBytes + edges},
		{"nothing", 0, 0, nil, webpFixedBytes + scaleFixedBytes},
		{"few pixels", 1 << 20, 1e6, []int{17}, 2<<20 + 1e6*webpPixelBytes + webpFixedBytes + scaleFixedBytes + variantFixedBytes + 32*32*variantPixelBytes},
		{"beyond numbers", 1, math.MaxInt64, nil, math.MaxInt64},
		{"beyond numbers again", math.MaxInt64, 1, nil, math.MaxInt64},
	}
	for _, tt := range tests {
		if got := WholeJobBytes(upload.Profile{MaxBytes: tt.bytes, MaxPixels: tt.pixels, Variants: tt.variants}, false); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestWholeJobBytesCountsTheChild(t *testing.T) {
	row := upload.Profile{MaxBytes: 8 << 20, MaxPixels: 1e6, Accept: []string{"image/avif"}, Variants: []int{2048, 64}}
	const squares = scaleFixedBytes + 2*variantFixedBytes + (2048*2048+64*64)*variantPixelBytes
	const native = 16<<20 + 1e6*webpPixelBytes + webpFixedBytes + squares
	if got, want := WholeJobBytes(row, true), int64(32<<20+18e6+96<<20+24*2048*2048+squares); got != want {
		t.Errorf("got %d, want %d", got, want)
	}
	if got, want := WholeJobBytes(row, false), int64(native); got != want {
		t.Errorf("without a child: got %d, want %d", got, want)
	}
	row.Accept = []string{"image/png"}
	if got, want := WholeJobBytes(row, true), int64(native); got != want {
		t.Errorf("takes none of its pictures: got %d, want %d", got, want)
	}
	row.Accept, row.MaxPixels = nil, math.MaxInt64
	if got := WholeJobBytes(row, true); got != math.MaxInt64 {
		t.Errorf("got %d, want the largest number", got)
	}
}

func TestVipsthumbnailIsLookedFor(t *testing.T) {
	dir := t.TempDir()
	program, text := filepath.Join(dir, "vipsthumbnail"), filepath.Join(dir, "text")
	for name, mode := range map[string]os.FileMode{program: 0o755, text: 0o644} {
		if err := os.WriteFile(name, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	path := map[string]string{"PATH": "relative:/nowhere:" + dir}
	for _, tt := range []struct {
		args []string
		env  map[string]string
		want string
	}{
		{nil, nil, ""},
		{nil, path, program},
		{[]string{"--vipsthumbnail=auto"}, path, program},
		{[]string{"--vipsthumbnail=none"}, path, ""},
		{[]string{"--vipsthumbnail=" + program}, nil, program},
	} {
		if got := mustParse(t, tt.args, tt.env, "").Vipsthumbnail; got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.args, got, tt.want)
		}
	}
	t.Chdir(dir)
	if got := mustParse(t, nil, map[string]string{"PATH": ".:" + filepath.Base(dir)}, "").Vipsthumbnail; got != "" {
		t.Errorf("got %q from a relative directory", got)
	}
	for _, wrong := range []string{text, dir, filepath.Join(dir, "missing")} {
		_, err := parse(t, []string{"--vipsthumbnail=" + wrong}, nil, "")
		wantFaults(t, err, "is no program")
	}
}
