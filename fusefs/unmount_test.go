package fusefs_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestUnmountInUseIsRefused(t *testing.T) {
	for name, helper := range map[string]bool{"by mount(2)": false, "by fusermount3": true} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath("fusermount3"); err != nil && helper {
				t.Skip("fusermount3, with which users unmount, is not installed")
			}
			if os.Geteuid() != 0 && !helper {
				t.Skip("only root unmounts without the helper")
			}
			m := mount(t, func(s *setup) { s.Helper = helper && os.Geteuid() == 0 })
			f, err := os.Create(m.path("file"))
			check(t, err)
			defer f.Close()
			if a := m.ask("umount"); !strings.Contains(a.Err, "busy") {
				t.Errorf("an unmount in use says %q", a.Err)
			}
			check(t, f.Close())
			eventually(t, "the unmount", func() bool { return m.ask("umount").Err == "" })
			if isMounted(t, m.dir) {
				t.Error("it is still mounted")
			}
		})
	}
}

func TestOnlyTheMountItselfIsTakenAway(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root unmounts without a helper")
	}
	for name, detached := range map[string]bool{"made after ours was detached": true, "made over ours": false} {
		t.Run(name, func(t *testing.T) {
			m := mount(t)
			f, err := os.Create(m.path("file"))
			check(t, err)
			defer f.Close()
			if detached {
				check(t, unix.Unmount(m.dir, unix.MNT_DETACH))
			}
			if err := unix.Mount("another", m.dir, "tmpfs", 0, ""); err != nil {
				t.Skipf("no other mount can be made here: %v", err)
			}
			taken := false
			takeAway := func() {
				if !taken {
					taken = true
					check(t, unix.Unmount(m.dir, 0))
				}
			}
			defer takeAway()
			want := "lies over"
			if detached {
				want = "detached already"
			}
			for _, command := range []string{"umount", "unmount"} {
				if a := m.ask(command); !strings.Contains(a.Err, want) {
					t.Errorf("%s says %q, want %q", command, a.Err, want)
				}
			}
			if line := mountLine(t, m.dir); detached && !strings.HasPrefix(line, "another ") {
				t.Errorf("what is mounted there now is %s", line)
			}
			takeAway()
		})
	}
}

func TestTheHelperThatStaysLeavesAnotherMountAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root makes another mount")
	}
	m, err := tryMount(t, func(s *setup) { s.Mount.AutoUnmount = true })
	if err != nil {
		t.Skipf("fusermount3 does not stay beside a mount here: %v", err)
	}
	f, err := os.Create(m.path("file"))
	check(t, err)
	defer f.Close()
	check(t, unix.Unmount(m.dir, unix.MNT_DETACH))
	// The helper knows a mount by its place and type.
	fuse, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	check(t, err)
	defer fuse.Close()
	check(t, unix.Mount("another", m.dir, "fuse.sshmount", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fuse.Fd())))
	defer unix.Unmount(m.dir, unix.MNT_DETACH)
	check(t, f.Close())
	m.in.Close()
	if err := <-m.exited; err != nil { // by then the helper has done what it does
		t.Errorf("the child: %v", err)
	}
	m.exited <- nil
	if !isMounted(t, m.dir) {
		t.Error("the helper has taken the other mount away")
	}
	check(t, unix.Unmount(m.dir, unix.MNT_DETACH))
}

func TestOthersEndTheMount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root unmounts without a helper")
	}
	ends := func(t *testing.T, m *mounted) {
		t.Helper()
		select {
		case err := <-m.exited:
			if err != nil {
				t.Errorf("the child: %v", err)
			}
			m.exited <- nil
		case <-time.After(deadline):
			t.Error("the child serves on")
		}
	}
	t.Run("umount", func(t *testing.T) {
		m := mount(t)
		put(t, m.path("file"), "content")
		check(t, unix.Unmount(m.dir, 0))
		m.in.Close()
		ends(t, m)
	})
	t.Run("lazily while in use", func(t *testing.T) {
		m := mount(t)
		f, err := os.Create(m.path("file"))
		check(t, err)
		wantErrno(t, "an unmount in use", unix.Unmount(m.dir, 0), unix.EBUSY)
		check(t, unix.Unmount(m.dir, unix.MNT_DETACH))
		_, err = f.WriteString("to the end")
		check(t, err)
		check(t, f.Close())
		has(t, m.server("file"), "to the end")
		m.in.Close()
		ends(t, m)
	})
	t.Run("by force while programs wait for a frozen line", func(t *testing.T) {
		m := mount(t)
		put(t, m.server("file"), "content")
		kept, err := os.Open(m.path("file"))
		check(t, err)
		defer kept.Close()
		m.tell("freeze")
		cat := exec.Command("stat", m.path("other"))
		check(t, cat.Start())
		done := make(chan error, 1)
		go func() { done <- cat.Wait() }()
		m.awaitWaiting(1)
		check(t, unix.Unmount(m.dir, unix.MNT_FORCE|unix.MNT_DETACH))
		select {
		case <-done:
		case <-time.After(deadline):
			t.Error("a program still waits for the aborted mount")
		}
		m.in.Close()
		ends(t, m)
	})
}
