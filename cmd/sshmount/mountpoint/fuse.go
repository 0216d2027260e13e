package mountpoint

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"strings"

	"sshmount/fusefs"
)

// FuseReady says what is missing on this machine for a mount with these wishes, if anything.
func FuseReady(allowOther bool) error {
	if _, err := os.Stat("/dev/fuse"); errors.Is(err, fs.ErrNotExist) {
		return refusef("there is no /dev/fuse: load the kernel's module (modprobe fuse), or give the container the device")
	}
	if os.Geteuid() == 0 {
		return nil
	}
	if _, err := fusefs.Fusermount(); err != nil {
		return refusef("%v", err)
	}
	if allowOther && !userAllowOther() {
		return refusef("allow_other and allow_root need the line user_allow_other in /etc/fuse.conf; only root can write it")
	}
	return nil
}

func userAllowOther() bool {
	f, err := os.Open("/etc/fuse.conf")
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist) // unreadable: let fusermount3 decide
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == "user_allow_other" {
			return true
		}
	}
	return false
}
