package fusefs

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A system with FUSE 2 alone has no fusermount3.
func TestTheHelperOfFUSE2UnmountsWhereThereIsNoOther(t *testing.T) {
	defer func(names []string) { fusermounts = names }(fusermounts)
	fusermounts = []string{"fusermount3", "fusermount"}
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	said := filepath.Join(dir, "said")
	script := "#!/bin/sh\necho \"$*\" >" + said + "\n"
	if err := os.WriteFile(filepath.Join(dir, "fusermount"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := UnmountByHelper("/mnt/a b", true); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(said); err != nil || strings.TrimSpace(string(got)) != "-u -z -- /mnt/a b" {
		t.Errorf("it was run with %q, %v", got, err)
	}
}

func TestWhatTheHelperSaysOfAMountInUseIsEBUSY(t *testing.T) {
	defer func(names []string) { fusermounts = names }(fusermounts)
	program := filepath.Join(t.TempDir(), "fusermount3")
	fusermounts = []string{program}
	for said, want := range map[string]struct {
		busy   bool
		advice string
	}{
		"fusermount3: failed to unmount /mnt: Device or resource busy":     {busy: true},
		"fusermount3: failed to open /etc/mtab: No such file or directory": {advice: "; have root run ln -s /proc/self/mounts /etc/mtab"},
		"fusermount3: entry for /mnt not found in /etc/mtab":               {},
	} {
		if err := os.WriteFile(program, []byte("#!/bin/sh\necho '"+said+"' >&2\nexit 1\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		err := UnmountByHelper("/mnt", false)
		if err == nil || err.Error() != said+want.advice || errors.Is(err, unix.EBUSY) != want.busy {
			t.Errorf("the error is %v, EBUSY %v; the helper said %q", err, errors.Is(err, unix.EBUSY), said)
		}
	}
}

// Ctrl-C comes to every process of the terminal's foreground group, and an impatient user's comes twice.
func TestASignalOfTheTerminalDoesNotReachTheHelper(t *testing.T) {
	defer func(names []string) { fusermounts = names }(fusermounts)
	dir := t.TempDir()
	program := filepath.Join(dir, "fusermount3")
	fusermounts = []string{program}
	if err := os.WriteFile(program, []byte("#!/bin/sh\ncut -d' ' -f5 /proc/$$/stat >"+dir+"/group\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := UnmountByHelper("/mnt", false); err != nil {
		t.Fatal(err)
	}
	group, err := os.ReadFile(filepath.Join(dir, "group"))
	if err != nil || strings.TrimSpace(string(group)) == strconv.Itoa(unix.Getpgrp()) {
		t.Errorf("it runs in the group %s, %v, and that is ours", group, err)
	}
}

func TestARefusalOfTheHelperComesWithWhatToDo(t *testing.T) {
	defer func(names []string) { fusermounts = names }(fusermounts)
	program := filepath.Join(t.TempDir(), "fusermount3")
	fusermounts = []string{program}
	for said, todo := range map[string]string{
		"fusermount3: failed to open /dev/fuse: Permission denied":             "chmod 666 /dev/fuse",
		"fusermount3: mount failed: Operation not permitted":                   "--cap-add SYS_ADMIN",
		"fusermount3: failed to access mountpoint /mnt/sub: Permission denied": "allow_root",
	} {
		if err := os.WriteFile(program, []byte("#!/bin/sh\necho '"+said+"' >&2\nexit 1\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, _, err := mountByHelper(Options{Mountpoint: "/mnt"}); err == nil || !strings.Contains(err.Error(), said) || !strings.Contains(err.Error(), todo) {
			t.Errorf("the error is %v; the helper said %q", err, said)
		}
	}
}

func TestAMissingHelperIsNamedWithItsPackage(t *testing.T) {
	defer func(names []string) { fusermounts = names }(fusermounts)
	fusermounts = []string{"fusermount3", "fusermount"}
	t.Setenv("PATH", t.TempDir())
	if err := UnmountByHelper("/mnt", false); err == nil || !strings.Contains(err.Error(), "package fuse3") {
		t.Errorf("the error is %v", err)
	}
}
