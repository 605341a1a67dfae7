package config

import (
	"fmt"
	"os"
	"path/filepath"
)

// parseProgram finds the vipsthumbnail to use: "auto" is the first in PATH, or none; "none" is none; else it is a file, which must
// be there.
func (v *values) parseProgram(raw string) (string, error) {
	switch raw {
	case "none":
		return "", nil
	case "auto":
		return v.search("vipsthumbnail"), nil
	}
	path := absolute(raw)
	if !executable(path) {
		return "", fmt.Errorf("%q is no program: write auto, none, or where vipsthumbnail is", raw)
	}
	return path, nil
}

// search looks through PATH, of which relative directories are left out: what lies there is not what was meant.
func (v *values) search(name string) string {
	for _, dir := range filepath.SplitList(v.src.getenv("PATH")) {
		if path := filepath.Join(dir, name); filepath.IsAbs(path) && executable(path) {
			return path
		}
	}
	return ""
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
