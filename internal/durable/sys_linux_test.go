package durable_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"sluice/internal/durable"
)

// Where this fails, other tests skip.
func TestHolesAreReportedWhereTheyAreKnownToBe(t *testing.T) {
	root, dir := openRoot(t)
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	switch int64(st.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.TMPFS_MAGIC:
	default:
		t.Skipf("file system %#x may or may not", st.Type)
	}
	if reports, err := durable.ReportsHoles(root, "probe"); err != nil || !reports {
		t.Errorf("got %t, %v, want true", reports, err)
	}
}
