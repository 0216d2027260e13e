package tests

import (
	"os"
	"os/exec"

	"sshmount/tests/proc"
)

// mountsUnder lists the mount points at or below dir, the deepest last.
func mountsUnder(dir string) []string { return proc.MountsUnder(dir) }

// detach takes a mount point away, whatever state the mount is in.
func detach(point string) {
	if os.Getuid() == 0 {
		_ = exec.Command("umount", "-f", "-l", point).Run()
		return
	}
	_ = exec.Command("fusermount3", "-u", "-z", point).Run()
}
