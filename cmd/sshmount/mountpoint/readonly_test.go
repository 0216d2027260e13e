package mountpoint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestADirectoryOfOnesOwnOnAReadOnlyFileSystemIsNotCalledAnothersOne(t *testing.T) {
	dir, check := asNobody(t)
	place := filepath.Join(dir, "place")
	if err := os.Mkdir(place, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", place, "tmpfs", unix.MS_RDONLY, "mode=755,uid=65534"); err != nil {
		t.Skipf("mounting is not allowed here: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(place, unix.MNT_DETACH) })
	if says, err := check(place); err == nil || !strings.Contains(says, "read-only") || strings.Contains(says, "belongs to") {
		t.Errorf("%v, says %q", err, says)
	}
}
