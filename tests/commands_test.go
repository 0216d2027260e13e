package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

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
