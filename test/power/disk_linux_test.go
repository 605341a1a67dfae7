package power

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	diskBytes = 1 << 30 // of the file system under test; the load keeps to a third of it
	hostBytes = 8 << 30 // of the one that its image and the clones lie on; sparse, so it takes what is written
)

// disk is a file system on an image that can be cloned.
type disk struct {
	kind  string // as mount(8) calls it
	image string
	dir   string // where it is mounted
}

// newHost makes a directory where files can be cloned.
func newHost(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		without(t, "cutting the power needs root")
	}
	image := filepath.Join(t.TempDir(), "host.img")
	format(t, "xfs", image, hostBytes)
	dir := t.TempDir()
	if err := mount(t, disk{"xfs", image, dir}, "loop"); err != nil {
		without(t, "cutting the power needs root, loop devices and xfs: %v", err)
	}
	return dir
}

// newDisk makes a file system of that kind, with the options that everybody has.
func newDisk(t *testing.T, kind, host string) disk {
	t.Helper()
	d := disk{kind, filepath.Join(host, kind+".img"), t.TempDir()}
	t.Cleanup(func() { remove(t, d.image) })
	format(t, kind, d.image, diskBytes)
	if err := mount(t, d, "loop"); err != nil {
		without(t, "no %s on this machine: %v", kind, err)
	}
	return d
}

func format(t *testing.T, kind, image string, size int64) {
	t.Helper()
	mkfs, err := exec.LookPath("mkfs." + kind)
	if err != nil {
		without(t, "mkfs.%s is not installed", kind)
	}
	f, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), mkfs, "-q", image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.%s: %v\n%s", kind, err, out)
	}
}

// mount mounts d until the test ends. The loop device goes with the mount.
func mount(t *testing.T, d disk, options string) error {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "mount", "-t", d.kind, "-o", options, d.image, d.dir).CombinedOutput()
	if err != nil {
		return errors.Join(err, errors.New(string(out)))
	}
	t.Cleanup(func() {
		if err := unix.Unmount(d.dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", d.dir, err)
		}
	})
	return nil
}

func remove(t *testing.T, name string) {
	if err := os.Remove(name); err != nil {
		t.Error(err)
	}
}

// flush has everything on the device that was written before.
func (d disk) flush(t *testing.T) {
	t.Helper()
	dir, err := os.Open(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		t.Fatal(err)
	}
}

// cut keeps the device of d as it is in this instant, under another name. Writes wait meanwhile.
func (d disk) cut(t *testing.T) disk {
	t.Helper()
	image, err := os.Open(d.image)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	kept := disk{kind: d.kind, image: d.image + ".cut", dir: t.TempDir()}
	clone, err := os.Create(kept.image)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, kept.image) })
	if err := errors.Join(unix.IoctlFileClone(int(clone.Fd()), int(image.Fd())), clone.Close()); err != nil {
		t.Fatalf("clone %s: %v", d.image, err)
	}
	return kept
}

// wake mounts what was kept, which replays its journal, and has its stores find that the machine was started anew.
func (d disk) wake(t *testing.T) {
	t.Helper()
	options := "loop"
	if d.kind == "xfs" {
		options += ",nouuid" // the one it was cloned from is mounted too
	}
	if err := mount(t, d, options); err != nil {
		t.Fatalf("what a power cut left cannot be mounted: %v", err)
	}
	marks, err := filepath.Glob(filepath.Join(d.data(), "*", ".sluice", "mark.json"))
	if err != nil || len(marks) != len(profiles) {
		t.Fatalf("%d stores have a mark, %v; want %d", len(marks), err, len(profiles))
	}
	for _, mark := range marks {
		if err := anotherBoot(mark); err != nil {
			t.Fatal(err)
		}
	}
}

// data is the server's directory.
func (d disk) data() string { return filepath.Join(d.dir, "data") }

// anotherBoot changes the name of the boot in a store's mark.
func anotherBoot(name string) error {
	raw, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var mark map[string]any
	if err := json.Unmarshal(raw, &mark); err != nil {
		return err
	}
	if _, known := mark["boot"].(string); !known {
		return errors.New(name + " names no boot")
	}
	mark["boot"] = "the one before"
	if raw, err = json.Marshal(mark); err != nil {
		return err
	}
	return os.WriteFile(name, raw, 0o600)
}
