package fusefs_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMountShowsWhatItIs(t *testing.T) {
	m := mount(t, func(s *setup) {
		s.Mount.FsName, s.Mount.Subtype = "user@host:/some,dir", "sshfs"
		s.Mount.NoExec, s.Mount.NoAtime, s.Mount.MaxRead = true, true, 65536
	})
	line := mountLine(t, m.dir)
	for _, want := range []string{"user@host:/some,dir ", " fuse.sshfs ", "nosuid", "nodev", "noexec", "noatime", "max_read=65536"} {
		if !strings.Contains(line, want) {
			t.Errorf("%q is not in %s", want, line)
		}
	}
	put(t, m.path("file"), "content")
	has(t, m.server("file"), "content")
}

func TestReadOnlyMountChangesNothing(t *testing.T) {
	m := mount(t, func(s *setup) { s.Mount.ReadOnly = true })
	put(t, m.server("file"), "content")
	has(t, m.path("file"), "content")
	_, err := os.Create(m.path("new"))
	wantErrno(t, "creation", err, unix.EROFS)
	wantErrno(t, "removal", os.Remove(m.path("file")), unix.EROFS)
	wantErrno(t, "chmod", os.Chmod(m.path("file"), 0o600), unix.EROFS)
}

func TestFailureLeavesNoMount(t *testing.T) {
	_, err := tryMount(t, func(s *setup) { s.Cache.Root = "/no/such/directory" })
	if err == nil || !strings.Contains(err.Error(), "no such") {
		t.Errorf("the mount of a missing directory gives %v", err)
	}
	_, err = tryMount(t, func(s *setup) { s.Mount.Mountpoint += "/missing" })
	if err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("a missing mount point gives %v", err)
	}
	_, err = tryMount(t, func(s *setup) { s.Mount.MountOptions = []string{"no_such_option"} })
	if err == nil || !strings.Contains(err.Error(), "no_such_option") {
		t.Errorf("an option that the kernel does not know gives %v", err)
	}
}

// asNobody runs a command with the path of a name in dir as its last argument. The command gets there by a descriptor,
// as nobody may have no right to pass through the test's own folders.
func asNobody(t *testing.T, dir, name string, argv ...string) error {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	check(t, err)
	f := os.NewFile(uintptr(fd), dir)
	defer f.Close()
	cmd := exec.Command(argv[0], append(argv[1:], "/proc/self/fd/3/"+name)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{f}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func TestWhoMayUseTheMount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	for _, c := range []struct {
		name   string
		change func(*setup)
		stat   bool // nobody may look
		read   bool // nobody may read a file of mode 0600
	}{
		{"the mounting user alone", func(*setup) {}, false, false},
		{"allow_root", func(s *setup) { s.Mount.AllowRoot = true }, false, false},
		{"allow_other", func(s *setup) { s.Mount.AllowOther = true }, true, true},
		{"allow_other with default_permissions", func(s *setup) { s.Mount.AllowOther, s.Mount.DefaultPermissions = true, true }, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := mount(t, c.change)
			put(t, m.path("file"), "content")
			check(t, os.Chmod(m.path("file"), 0o600))
			if err := asNobody(t, m.dir, "file", "stat"); (err == nil) != c.stat {
				t.Errorf("stat as nobody: %v", err)
			}
			if err := asNobody(t, m.dir, "file", "cat"); (err == nil) != c.read {
				t.Errorf("cat as nobody: %v", err)
			}
			has(t, m.path("file"), "content")
		})
	}
}

func TestWhoMayNotMountUsesTheHelper(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("as a user, all the other tests mount with the helper")
	}
	if _, err := exec.LookPath("fusermount3"); err != nil {
		t.Skip("fusermount3, with which users mount, is not installed")
	}
	m := mount(t, func(s *setup) {
		s.Helper = true
		s.Mount.FsName, s.Mount.Subtype = `host:/a,b\c`, "sshfs"
		s.Mount.AllowOther, s.Mount.DefaultPermissions, s.Mount.MaxRead = true, true, 65536
	})
	line := mountLine(t, m.dir)
	for _, want := range []string{`host:/a,b\134c `, "fuse.sshfs", "allow_other", "default_permissions", "nosuid", "nodev", "max_read=65536"} {
		if !strings.Contains(line, want) {
			t.Errorf("%q is not in %s", want, line)
		}
	}
	put(t, m.path("file"), "content")
	has(t, m.server("file"), "content")

	_, err := tryMount(t, func(s *setup) { s.Helper, s.Mount.MountOptions = true, []string{"no_such_option"} })
	if err == nil || !strings.Contains(err.Error(), "no_such_option") || !strings.Contains(err.Error(), "fusermount") {
		t.Errorf("an option that the helper does not know gives %v", err)
	}
}

func TestBrokenLineIsNotNoticed(t *testing.T) {
	m := mount(t)
	want := noise(5, 4<<20)
	check(t, os.WriteFile(m.server("file"), want, 0o644))
	f, err := os.Open(m.path("file"))
	check(t, err)
	defer f.Close()
	got := make([]byte, 100_000)
	_, err = f.ReadAt(got, 0)
	check(t, err)
	m.tell("cut")
	_, err = f.ReadAt(got, 3<<20)
	check(t, err)
	if !bytes.Equal(got, want[3<<20:3<<20+len(got)]) {
		t.Error("after a cut line other bytes are read")
	}
	put(t, m.path("new"), "written after the cut")
	has(t, m.server("new"), "written after the cut")
}
