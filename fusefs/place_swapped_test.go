package fusefs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Who owns the directory above may put a link there while root's mount is still logging in.
func TestAMountDoesNotGoWhereALinkInItsPathLeads(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("fusermount3 looks after others itself")
	}
	for what, link := range map[string]string{"in its place": "up/mnt", "above it": "up"} {
		t.Run(what, func(t *testing.T) {
			base := t.TempDir()
			victim := filepath.Join(base, "victim")
			check(t, os.MkdirAll(filepath.Join(victim, "mnt"), 0o755))
			if link != "up" {
				check(t, os.Mkdir(filepath.Join(base, "up"), 0o755))
			}
			check(t, os.Symlink(victim, filepath.Join(base, link)))
			_, err := tryMount(t, func(s *setup) { s.Mount.Mountpoint = filepath.Join(base, "up/mnt") })
			if err == nil || !strings.Contains(err.Error(), "symbolic link") {
				t.Errorf("the mount says %v", err)
			}
			for _, dir := range []string{victim, victim + "/mnt"} {
				if unix.Unmount(dir, unix.MNT_DETACH) == nil {
					t.Errorf("%s was mounted over", dir)
				}
			}
		})
	}
}
