package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"sshmount/cmd/sshmount/control"
	"sshmount/cmd/sshmount/mountpoint"
)

// mountFor makes the mount as mount.fuse3 does for drop_privileges, and gives the descriptor to pass.
func (w *world) mountFor() *os.File {
	w.t.Helper()
	if os.Geteuid() != 0 {
		w.t.Skip("only root can mount without a helper")
	}
	fuse, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { fuse.Close() })
	data := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fuse.Fd())
	if err := unix.Mount("sshmount", w.mnt, "fuse.sshmount", unix.MS_NOSUID|unix.MS_NODEV, data); err != nil {
		w.t.Skipf("mounting is not allowed here: %v", err)
	}
	return fuse
}

// passed starts the program with the descriptor as number 3, and finds its record.
func (w *world) passed(args ...string) (*exec.Cmd, control.Record) {
	w.t.Helper()
	fuse := w.mountFor()
	ctx, cancel := context.WithTimeout(context.Background(), 2*limit)
	w.t.Cleanup(cancel)
	cmd := w.command(ctx, "sshmount", append(args, "-F", w.client.Config, "try:", "/dev/fd/3")...)
	cmd.ExtraFiles = []*os.File{fuse}
	said := filepath.Join(w.dir, "said")
	stderr, err := os.Create(said)
	if err != nil {
		w.t.Fatal(err)
	}
	defer stderr.Close()
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	fuse.Close()
	w.t.Cleanup(func() {
		if w.t.Failed() {
			text, _ := os.ReadFile(said)
			w.t.Logf("it says:\n%s\nlog:\n%s", text, w.log())
		}
	})
	w.t.Setenv("XDG_RUNTIME_DIR", w.runtime())
	var r control.Record
	eventually(w.t, "the mount has a record", func() bool {
		for _, r = range control.Records() {
			if strings.HasSuffix(r.Mountpoint, "/fd/3") && r.Alive() {
				return true
			}
		}
		return false
	})
	return cmd, r
}

func TestAMountThatIsPassedAsADescriptorIsServed(t *testing.T) {
	for name, args := range map[string][]string{"foreground": {"-f"}, "background": nil} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.write(filepath.Join(w.data, "there"), "from the server")
			cmd, r := w.passed(args...)
			w.holds(filepath.Join(w.mnt, "there"), "from the server")
			w.write(filepath.Join(w.mnt, "here"), "from the mount")
			w.holds(filepath.Join(w.data, "here"), "from the mount")
			if o, err := control.Connect(r).Umount(t.Context(), control.UmountRequest{}, func(control.Progress) {}); err != nil || !strings.Contains(o.Error, "whoever started the program") {
				t.Errorf("umount, which can't be done from within: %+v, %v", o, err)
			}
			if err := mountpoint.Unmount(w.mnt); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("it ends with %v", err)
			}
			w.ended(r)
		})
	}
}

func TestASignalEndsAMountThatWasPassed(t *testing.T) {
	w := newWorld(t)
	cmd, r := w.passed()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	w.write(filepath.Join(w.mnt, "here"), "from the mount")
	if err := syscall.Kill(r.PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process ends", func() bool { return !r.Alive() })
	w.holds(filepath.Join(w.data, "here"), "from the mount")
	eventually(t, "the mount is dead", func() bool { return mountpoint.Ask(w.mnt) == unix.ENOTCONN })
	if !strings.Contains(w.log(), "all is saved") {
		t.Errorf("the log does not say that all is saved:\n%s", w.log())
	}
}

func TestADescriptorOfSomethingElseIsRefused(t *testing.T) {
	w := newWorld(t)
	w.want(exitFuse, []string{"/dev/fd/1 is no descriptor of /dev/fuse"}, "-f", "-F", w.client.Config, "try:", "/dev/fd/1")
}
