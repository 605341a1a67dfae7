package durable_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"sluice/internal/durable"
	"sluice/internal/durable/faultfs"
)

// TestCopyMovesWhatItIsTold copies by the kernel, and by memory where a file is not the system's own.
func TestCopyMovesWhatItIsTold(t *testing.T) {
	for name, wrap := range map[string]func(durable.FS) durable.FS{
		"by the kernel": func(fsys durable.FS) durable.FS { return fsys },
		"by memory":     func(fsys durable.FS) durable.FS { return faultfs.New(fsys) },
	} {
		t.Run(name, func(t *testing.T) {
			root, _ := openRoot(t)
			fsys := wrap(root)
			data := make([]byte, 3<<20+5)
			rand.NewChaCha8([32]byte{}).Read(data)
			if err := durable.WriteFile(fsys, "src", data, false); err != nil {
				t.Fatal(err)
			}
			for _, at := range []struct{ off, from, n int64 }{
				{0, 0, int64(len(data))}, {0, 0, 0}, {1, 4096, 4096}, {4096, 1, 1}, {10, 3 << 20, 5}, {1 << 20, 7, 2 << 20},
			} {
				dst, src := openBoth(t, fsys)
				n, err := durable.Copy(dst, at.off, src, at.from, at.n)
				if n != at.n || err != nil {
					t.Errorf("%+v: got %d, %v", at, n, err)
				}
				want := append(make([]byte, at.off), data[at.from:at.from+at.n]...)
				if at.n == 0 {
					want = nil
				}
				if got, err := fsys.ReadFile("dst"); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%+v: %d bytes, %v, that are not the right ones", at, len(got), err)
				}
				if err := errors.Join(dst.Close(), src.Close(), fsys.Remove("dst")); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func openBoth(t *testing.T, fsys durable.FS) (durable.File, durable.Reader) {
	t.Helper()
	dst, err := fsys.OpenFile("dst", os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		t.Fatal(err)
	}
	src, err := fsys.Open("src")
	if err != nil {
		t.Fatal(err)
	}
	return dst, src
}

func TestCopyTellsOfASourceThatIsTooShort(t *testing.T) {
	root, _ := openRoot(t)
	for _, fsys := range []durable.FS{root, faultfs.New(root)} {
		if err := durable.WriteFile(fsys, "src", []byte("hello"), false); err != nil {
			t.Fatal(err)
		}
		dst, src := openBoth(t, fsys)
		if n, err := durable.Copy(dst, 0, src, 2, 4); n > 3 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%T: got %d, %v, want at most 3, %v", fsys, n, err, io.ErrUnexpectedEOF)
		}
		if err := errors.Join(dst.Close(), src.Close()); err != nil {
			t.Fatal(err)
		}
	}
}
