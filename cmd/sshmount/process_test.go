package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"sshmount/cmd/sshmount/mountpoint"
)

func TestTheProcessIsCalledAsTheProgramWas(t *testing.T) {
	self := filepath.Base(os.Args[0])
	self = self[:min(len(self), 15)] // as the kernel cuts it
	for name, comm := range map[string]string{"sshfs": "sshfs", "sshmount": self} {
		w := newWorld(t)
		if out, err := w.command(t.Context(), name, "-F", w.client.Config, "try:", w.mnt).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		r := w.record()
		if got, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", r.PID)); err != nil || strings.TrimSpace(string(got)) != comm {
			t.Errorf("called as %s the process is called %q, %v", name, got, err)
		}
		w.want(exitOK, nil, "umount", w.mnt)
		w.ended(r)
	}
}

// A service may be started with no environment at all.
func TestWithoutAPathSSHIsFoundAllTheSame(t *testing.T) {
	if _, err := os.Stat("/usr/bin/ssh"); err != nil {
		t.Skip("ssh is not installed, or at another place")
	}
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := w.command(ctx, "sshmount", "-F", w.client.Config, "try:", w.mnt, "-o", "ssh_command=ssh")
	cmd.Env = slices.DeleteFunc(cmd.Env, func(v string) bool { return strings.HasPrefix(v, "PATH=") })
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r := w.record()
	w.want(exitOK, []string{"client ssh"}, "status", w.mnt)
	w.want(exitOK, nil, "umount", w.mnt)
	w.ended(r)
}

// The helper's own words are of a mount point that may not be accessed.
func TestWhoComesSecondToAMountPointIsToldOfTheFirst(t *testing.T) {
	real, err := exec.LookPath("fusermount3")
	if err != nil || os.Geteuid() != 0 {
		t.Skip("fusermount3 is not installed, or there is no right to mount without it")
	}
	w := newWorld(t)
	first := w.command(t.Context(), "sshmount", "-F", w.client.Config, "try:", w.mnt)
	script := fmt.Sprintf("#!/bin/sh\ncase $* in *-u*) exec %s \"$@\" ;; esac\n%s -F %s try: %s 3>&-\necho Permission denied >&2\nexit 1\n", real, first.Path, w.client.Config, w.mnt)
	w.write(filepath.Join(w.dir, "fusermount3"), script)
	if err := os.Chmod(filepath.Join(w.dir, "fusermount3"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", w.dir+":"+os.Getenv("PATH"))
	w.want(exitMountPoint, []string{"was mounted from try: meanwhile"}, "-F", w.client.Config, "try:", w.mnt, "-o", "auto_unmount") // by the helper, for root too
	r := w.record()
	w.want(exitOK, nil, "umount", w.mnt)
	w.ended(r)
}

func TestAutoUnmountTakesTheMountOfAKilledProcessAway(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not every fusermount3 takes the mount of an ordinary user away (that of Debian 12 does not)")
	}
	if _, err := os.Stat("/etc/mtab"); err != nil {
		t.Skipf("fusermount3 takes away only what it finds there: %v", err)
	}
	if _, err := exec.LookPath("pgrep"); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.write(filepath.Join(w.data, "there"), "from the server")
	r := w.mount("-o", "auto_unmount")
	w.holds(filepath.Join(w.mnt, "there"), "from the server")
	if err := syscall.Kill(r.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the mount is taken away", func() bool {
		_, _, mounted := mountpoint.Mounted(w.mnt)
		return !mounted
	})
	// An end in peace leaves no helper behind that could look at what is mounted there next.
	r = w.mount("-o", "auto_unmount")
	w.want(exitOK, nil, "umount", w.mnt)
	w.ended(r)
	left, err := exec.Command("pgrep", "-f", "fusermount3.* "+w.mnt).CombinedOutput()
	if len(left) > 0 {
		t.Errorf("left over: %s, %v", left, err)
	}
}
