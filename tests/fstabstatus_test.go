package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mount(8) passes on the status of the program that mount.fuse3 runs for it, and has its own meanings for each bit.
func TestMountEndsWithItsOwnStatuses(t *testing.T) {
	t.Parallel()
	needApart(t)
	onlySshmount(t)
	if _, err := os.Stat("/sbin/mount.fuse3"); err != nil {
		t.Skip("there is no mount.fuse3 on this machine, by which mount(8) finds FUSE programs")
	}
	s := newServer(t)
	known := filepath.Join(s.dir, "known_hosts")
	for name, c := range map[string]struct {
		dir, options, status string
	}{
		"unknown option":      {s.root, ",no_such_option", "status 1"},
		"no remote directory": {s.root + "/missing", "", "status 32"},
	} {
		t.Run(name, func(t *testing.T) {
			fstab, point := filepath.Join(testDir(t, "fstab"), "fstab"), mountPoint(t)
			write(t, fstab, fmt.Sprintf("%s@127.0.0.1:%s %s fuse.sshmount noauto,port=%d,IdentityFile=%s,IdentitiesOnly=yes,UserKnownHostsFile=%s%s 0 0\n",
				s.user, c.dir, point, s.port, runKeys(t).user, known, c.options))
			out, err := commandApart("", programEnv(), `
				mount -t tmpfs none /usr/local/bin && cp "$1" /usr/local/bin/sshmount || exit
				PATH=/usr/local/bin:$PATH
				mount --fstab "$2" "$3"
				echo "status $?"
			`, binary, fstab, point)
			if lines := strings.Split(strings.TrimSpace(out), "\n"); err != nil || lines[len(lines)-1] != c.status {
				t.Errorf("%v, says:\n%s\nwanted: %s", err, out, c.status)
			}
		})
	}
}
