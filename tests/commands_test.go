package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sshmount runs one of the other commands with the environment of the mounts.
func sshmount(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return commandEnv(programLimit, "", programEnv(), nil, binary, args...)
}

// Exit status 0 in the background means: mounted and answering.
func TestBackgroundMountAnswersWhenItReturns(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	write(t, s.local("f"), "x")
	for range 3 {
		point := mountPoint(t)
		out, err := sshmount(t, "-F", s.config, s.remote(), point)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Cleanup(func() { detach(point) })
		if strings.TrimSpace(out) != "" {
			t.Errorf("it says %q, want nothing", out)
		}
		wantContent(t, filepath.Join(point, "f"), "x")
		// The daemon holds nothing of the caller's: its terminal, its directory, its session.
		left := processes(point)
		if len(left) != 1 {
			t.Errorf("%d processes serve the mount: %v", len(left), left)
		}
		for _, p := range left {
			if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.pid)); err == nil && cwd != "/" {
				t.Errorf("the daemon stays in %s", cwd)
			}
			if sid, _ := syscall.Getpgid(p.pid); sid == syscall.Getpgrp() {
				t.Error("the daemon is in the caller's process group")
			}
		}
		run(t, "", "fusermount3", "-u", point)
		eventually(t, 20*time.Second, "the daemon ends", func() (bool, string) {
			left := processes(point)
			return len(left) == 0, fmt.Sprint(left)
		})
	}
}

func TestForegroundMountUnmountedExitsZero(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, how := range [][]string{{"fusermount3", "-u"}, {"umount"}} {
		if how[0] == "umount" && os.Getuid() != 0 {
			continue
		}
		m := s.mountPart(t, "")
		run(t, "", how[0], append(how[1:], m.point)...)
		m.waitEnd(0)
	}
}

func TestUmountCommand(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	m := s.mount()
	f, err := os.Create(m.path("f"))
	must(t, err)
	_, err = f.WriteString("held open")
	must(t, err)
	if out, err := sshmount(t, "umount", m.point); err == nil {
		t.Errorf("umount of a busy mount succeeded: %s", out)
	} else if !strings.Contains(out, m.point) {
		t.Errorf("umount of a busy mount says %q", out)
	}
	must(t, f.Close())
	if out, err := sshmount(t, "umount", m.point); err != nil {
		t.Errorf("umount: %v\n%s", err, out)
	}
	m.waitEnd(0)
	wantContent(t, s.local("f"), "held open")
	if out, err := sshmount(t, "umount", m.point); err == nil || strings.Count(strings.TrimSpace(out), "\n") != 0 {
		t.Errorf("umount of what is not mounted: %v, %q", err, out)
	}
}

// report is what status says of a mount, as far as the tests ask.
type report struct {
	Line    struct{ Channels int }
	Process struct{ Goroutines int }
}

func (m *mounted) report(t *testing.T) (r report) {
	t.Helper()
	out, err := sshmount(t, "status", m.point, "--json")
	must(t, err)
	must(t, json.Unmarshal([]byte(out), &r))
	return r
}

func TestStatusShowsTheConnection(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	m := s.mount("-o", "ServerAliveInterval=1,ServerAliveCountMax=2")
	out, err := sshmount(t, "status", m.point)
	if err != nil || !strings.Contains(out, m.point) || !strings.Contains(out, "connected") {
		t.Errorf("status: %v\n%s", err, out)
	}
	status := func() string {
		out, err := sshmount(t, "status", m.point, "--json")
		if err != nil {
			t.Fatalf("status --json: %v\n%s", err, out)
		}
		if !json.Valid([]byte(out)) {
			t.Fatalf("status --json gives no JSON:\n%s", out)
		}
		return out
	}
	connected := func(want bool) func() (bool, string) {
		return func() (bool, string) {
			out := strings.ToLower(strings.Join(strings.Fields(status()), ""))
			return strings.Contains(out, fmt.Sprintf(`"connected":%v`, want)), out
		}
	}
	eventually(t, 10*time.Second, "status says connected", connected(true))
	s.down()
	eventually(t, 30*time.Second, "status says not connected", connected(false))
	// First it tells how the connection ended, and then what came of trying for another.
	eventually(t, 10*time.Second, "status says that the server refuses", func() (bool, string) {
		out, err := sshmount(t, "status", m.point)
		return err == nil && strings.Contains(out, "refused"), out
	})
	s.start()
	eventually(t, 40*time.Second, "status says connected again", connected(true))

	// Without a mount point: all of this user's mounts.
	all, err := sshmount(t, "status")
	if err != nil || !strings.Contains(all, m.point) {
		t.Errorf("status of all mounts: %v\n%s", err, all)
	}
	if out, err := sshmount(t, "status", "/"); err == nil || strings.Count(strings.TrimSpace(out), "\n") != 0 {
		t.Errorf("status of no mount: %v\n%s", err, out)
	}
	// The socket is nobody else's.
	found := false
	_ = filepath.WalkDir(filepath.Join(scratch, "run"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.Type()&os.ModeSocket == 0 {
			return nil
		}
		found = true
		if st, err := os.Lstat(path); err == nil && st.Mode().Perm() != 0o600 {
			t.Errorf("the control socket has mode %v", st.Mode())
		}
		if st, err := os.Stat(filepath.Dir(path)); err == nil && st.Mode().Perm() != 0o700 {
			t.Errorf("the control socket's directory has mode %v", st.Mode())
		}
		return nil
	})
	if !found {
		t.Error("there is no control socket below $XDG_RUNTIME_DIR")
	}
}

func TestVersionAndHelp(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"-V", "--version", "-h", "--help"} {
		out, err := sshmount(t, flag)
		if err != nil || len(strings.TrimSpace(out)) < 8 {
			t.Errorf("%s: %v, %q", flag, err, out)
		}
		if strings.HasPrefix(strings.TrimLeft(flag, "-"), "h") && !strings.Contains(out, "reconnect") {
			t.Errorf("%s does not list the options:\n%s", flag, out)
		}
	}
}

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
	needRoot(t)
	onlySshmount(t)
	if _, err := os.Stat("/sbin/mount.fuse3"); err != nil {
		t.Skip("there is no mount.fuse3 on this machine, by which mount(8) finds FUSE programs")
	}
	if out, err := command(programLimit, "", "unshare", "-m", "true"); err != nil {
		t.Skipf("this machine gives no mount namespace: %v %s", err, out)
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
			out, err := commandEnv(programLimit, "", programEnv(), nil, "unshare", "-m", "--propagation", "private", "sh", "-euc", `
				mount -t tmpfs none /usr/local/bin
				cp "$1" /usr/local/bin/sshmount
				PATH=/usr/local/bin:$PATH
				mount --fstab "$2" "$3"
				cat "$3/f"
				findmnt -n -o FSTYPE,OPTIONS "$3"
				sshmount status --json "$3"
				umount "$3"
			`, "sh", binary, fstab, point)
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
	needRoot(t)
	onlySshmount(t)
	if out, err := command(programLimit, "", "unshare", "-m", "true"); err != nil {
		t.Skipf("this machine gives no mount namespace: %v %s", err, out)
	}
	s := newServer(t)
	point, etc := mountPoint(t), testDir(t, "etc")
	out, err := commandEnv(programLimit, "", programEnv(), nil, "unshare", "-m", "--propagation", "private", "sh", "-euc", `
		cp -a /etc/. "$5"
		rm -f "$5/mtab"
		mount --bind "$5" /etc
		"$1" -F "$2" "$3" "$4" -o auto_unmount
		log=$("$1" status "$4" | sed -n 's/.*, log \([^,]*\),.*/\1/p')
		grep auto_unmount "$log"
		"$1" umount "$4"
	`, "sh", binary, s.config, s.remote(), point, etc)
	if err != nil || !strings.Contains(out, "auto_unmount has no effect here") || !strings.Contains(out, "ln -s /proc/self/mounts /etc/mtab") {
		t.Errorf("%v, says:\n%s", err, out)
	}
}

// A program that hangs on the mount does not keep its terminal: the mount's own process group is apart.
func TestKilledInTheBackgroundLeavesNothingButTheMountPoint(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	point := mountPoint(t)
	t.Cleanup(func() { detach(point) })
	if out, err := sshmount(t, "-F", s.config, s.remote(), point); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, p := range processes(point) {
		must(t, syscall.Kill(p.pid, syscall.SIGKILL))
	}
	eventually(t, 10*time.Second, "the mount is dead", func() (bool, string) {
		_, err := os.ReadDir(point) // the kernel may still answer a stat from what it knows
		return err != nil, fmt.Sprint(err)
	})
	// umount takes the dead mount away as well.
	if out, err := sshmount(t, "umount", point); err != nil {
		t.Errorf("umount of a dead mount: %v\n%s", err, out)
	}
	if _, err := os.ReadDir(point); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
