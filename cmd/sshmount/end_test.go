package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sshmount/cmd/sshmount/control"
	"sshmount/cmd/sshmount/mountpoint"
)

// 'sshmount -f host: mnt 2>&1 | tee log': Ctrl-C ends tee, and what is said after that has no reader.
func TestAMountEndsInPeaceWhereNobodyReadsWhatItSays(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	said, says, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := w.command(ctx, "sshmount", "-f", "-F", w.client.Config, "try:", w.mnt)
	cmd.Stdout, cmd.Stderr = says, says
	err = cmd.Start()
	says.Close()
	if err != nil {
		said.Close()
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", w.runtime())
	var r control.Record
	eventually(t, "the mount has a record", func() (ok bool) {
		r, ok = control.Find(w.mnt)
		return ok
	})
	f, err := os.Create(filepath.Join(w.mnt, "report"))
	if err != nil {
		t.Fatal(err)
	}
	// Before this answer a signal would count as one that came during the login.
	if o, err := control.Connect(r).Umount(ctx, control.UmountRequest{}, func(control.Progress) {}); err != nil || !o.Busy {
		t.Errorf("a mount with an open file is ended: %+v, %v", o, err)
	}
	said.Close()
	if _, err := f.WriteString("not to be lost"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	w.holds(filepath.Join(w.data, "report"), "not to be lost")
}

// A helper that fails for a reason of its own says nothing of programs that use the mount.
func TestAnUnmountThatFailsIsNotTakenForAMountInUse(t *testing.T) {
	real, err := exec.LookPath("fusermount3")
	if err != nil {
		t.Skip("fusermount3 is not installed")
	}
	w := newWorld(t)
	w.write(filepath.Join(w.dir, "fusermount3"), "#!/bin/sh\ncase $* in *-u*) [ -e "+w.dir+"/works ] || { echo no table of mounts >&2; exit 1; } ;; esac\nexec "+real+" \"$@\"\n")
	if err := os.Chmod(filepath.Join(w.dir, "fusermount3"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", w.dir+":"+os.Getenv("PATH"))
	r := w.mount("-o", "auto_unmount") // by the helper, for root too
	if out := w.want(exitFailure, []string{"cannot be unmounted", "no table of mounts"}, "umount", w.mnt); strings.Contains(out, "in use") {
		t.Errorf("it says that the mount is in use:\n%s", out)
	}
	w.write(filepath.Join(w.dir, "works"), "")
	w.want(exitOK, nil, "umount", w.mnt)
	w.ended(r)
}

func TestWhoAsksForAnEndThatIsUnderWayIsToldHowItWent(t *testing.T) {
	w, r := inUse(t)
	if err := syscall.Kill(r.PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the mount is detached, and waits for who has a file open", func() bool {
		_, _, mounted := mountpoint.Mounted(w.mnt)
		return !mounted
	})
	// Not with a command: it would have to be started, and to find the record, before the wait is over.
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if o, err := control.Connect(r).Umount(ctx, control.UmountRequest{}, func(control.Progress) {}); err != nil || o.Busy || o.Error != "" || o.Unsaved {
		t.Errorf("it is told %+v, %v", o, err)
	}
	w.ended(r)
}

func TestAHurriedEndDoesNotWarnOfWhatIsSaved(t *testing.T) {
	w, r := inUse(t)
	terminate := func() {
		t.Helper()
		if err := syscall.Kill(r.PID, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	terminate()
	eventually(t, "the mount is detached, and waits for who has a file open", func() bool {
		return strings.Contains(w.log(), "the mount is in use; it is detached")
	})
	time.Sleep(echoTime) // a signal that comes earlier does not count
	terminate()
	w.ended(r)
	if log := w.log(); strings.Contains(log, "on its way to the server") || !strings.Contains(log, "all is saved") {
		t.Errorf("the log:\n%s", log)
	}
}
