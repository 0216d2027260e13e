package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Called by the names of sshfs and of mount's helpers it is what they are.
func TestCalledByOtherNames(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	write(t, s.local("f"), "x")
	bin := testDir(t, "names")
	for name, args := range map[string][]string{
		"sshfs":               {s.remote(), "MNT", "-F", s.config},
		"mount.sshfs":         {s.remote(), "MNT", "-o", "rw,ssh_config=" + s.config},
		"mount.fuse.sshmount": {s.remote(), "MNT", "-o", "rw,noauto,user,_netdev,exec,ssh_config=" + s.config},
	} {
		t.Run(name, func(t *testing.T) {
			link := filepath.Join(bin, name)
			must(t, os.Symlink(binary, link))
			point := mountPoint(t)
			t.Cleanup(func() { detach(point) })
			for i := range args {
				if args[i] == "MNT" {
					args[i] = point
				}
				// There is no -F in fstab: the option has the long form of ssh's own there.
				args[i] = strings.ReplaceAll(args[i], "ssh_config=", "ssh_command=ssh -F ")
			}
			out, err := commandEnv(programLimit, "", programEnv(), nil, link, args...)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			wantContent(t, filepath.Join(point, "f"), "x")
			run(t, "", "umount", point)
			eventually(t, 20*time.Second, "the daemon ends", func() (bool, string) {
				left := processes(point)
				return len(left) == 0, fmt.Sprint(left)
			})
		})
	}
}

// mount(8) mounts by a line of fstab, through the helper that the fuse package brings. That helper looks for the
// program in the system's own folders alone, so the test has a mount namespace of its own with such a folder.
func TestFstabLine(t *testing.T) {
	t.Parallel()
	needApart(t)
	onlySshmount(t)
	if _, err := os.Stat("/sbin/mount.fuse3"); err != nil {
		t.Skip("there is no mount.fuse3 on this machine, by which mount(8) finds FUSE programs")
	}
	s := newServer(t)
	write(t, s.local("f"), "x")
	for name, format := range map[string]string{
		"fuse.sshmount": "%[1]s %[2]s fuse.sshmount defaults,async,noauto,_netdev,nofail,x-systemd.automount,port=%[3]d,%[4]s 0 0\n",
		"fuse":          "sshmount#%[1]s %[2]s fuse async,noauto,port=%[3]d,%[4]s 0 0\n",
	} {
		t.Run(name, func(t *testing.T) {
			point := mountPoint(t)
			fstab := filepath.Join(testDir(t, "fstab"), "fstab")
			k := runKeys(t)
			known := filepath.Join(s.dir, "known_hosts")
			options := fmt.Sprintf("IdentityFile=%s,IdentitiesOnly=yes,UserKnownHostsFile=%s", k.user, known)
			write(t, fstab, fmt.Sprintf(format, fmt.Sprintf("%s@127.0.0.1:%s", s.user, s.root), point, s.port, options))
			out, err := commandApart("", programEnv(), `
				set -e
				mount -t tmpfs none /usr/local/bin
				cp "$1" /usr/local/bin/sshmount
				PATH=/usr/local/bin:$PATH
				mount --fstab "$2" "$3"
				cat "$3/f"
				findmnt -n -o FSTYPE,OPTIONS "$3"
				sshmount status --json "$3"
				umount "$3"
			`, binary, fstab, point)
			// mount.fuse3 asks for suid and dev on its own, and async is the word of mount(8).
			if fields := strings.Join(strings.Fields(out), " "); err != nil || !strings.Contains(fields, "xfuse.sshmount rw,nosuid,nodev,") ||
				!strings.Contains(fields, `"async": false`) {
				t.Fatalf("%v, says:\n%s", err, out)
			}
			eventually(t, 20*time.Second, "the daemon ends", func() (bool, string) {
				left := processes(point)
				return len(left) == 0, fmt.Sprint(left)
			})
		})
	}
}

// fusermount3 takes away only what /etc/mtab lists, so where that is missing auto_unmount can do nothing, and a user can't unmount.
func TestASystemWithoutMtabIsToldWhatItLacks(t *testing.T) {
	t.Parallel()
	needApart(t)
	onlySshmount(t)
	s := newServer(t)
	point, etc := mountPoint(t), testDir(t, "etc")
	out, err := commandApart("", programEnv(), `
		set -e
		cp -a /etc/. "$5"
		rm -f "$5/mtab"
		mount --bind "$5" /etc
		"$1" -F "$2" "$3" "$4" -o auto_unmount
		log=$("$1" status "$4" | sed -n 's/.*, log \([^,]*\),.*/\1/p')
		grep auto_unmount "$log"
		"$1" umount "$4"
	`, binary, s.config, s.remote(), point, etc)
	if err != nil || !strings.Contains(out, "auto_unmount has no effect here") || !strings.Contains(out, "ln -s /proc/self/mounts /etc/mtab") {
		t.Errorf("%v, says:\n%s", err, out)
	}
}
