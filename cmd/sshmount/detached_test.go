package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sshmount/cmd/sshmount/control"
	"sshmount/cmd/sshmount/mountpoint"
)

// unmountedAndSaving is a mount that was unmounted, and whose process goes on because a file is not saved yet.
func unmountedAndSaving(t *testing.T) (*world, control.Record) {
	t.Helper()
	w, r := unsavedBehindABrokenLine(t)
	if err := mountpoint.Unmount(w.mnt); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process knows that it is unmounted", func() bool { return control.StatusOf(t.Context(), r).Ending })
	return w, r
}

func TestTheStatusOfAnUnmountedMountThatIsStillSavingSaysSo(t *testing.T) {
	w, r := unmountedAndSaving(t)
	if out := w.want(exitOK, []string{"ENDING", "NOT SAVED YET", "report"}, "status", w.mnt); strings.Contains(out, "DETACHED") {
		t.Errorf("it says that the mount is in use:\n%s", out)
	}
	w.want(exitUnsaved, []string{"not saved"}, "umount", "--timeout", "0", w.mnt) // long before drain_timeout
	w.ended(r)
}

// Who unmounts by fusermount3 and mounts anew at once must not lose sight of what is not saved yet.
func TestAMountThatIsStillSavingIsToldOfBesideANewOneAtItsPlace(t *testing.T) {
	w, old := unmountedAndSaving(t)
	other := newWorld(t)
	w.want(exitOK, nil, "-F", other.client.Config, "try:", w.mnt)
	w.want(exitOK, []string{"connected since", "ENDING", "NOT SAVED YET"}, "status")
	if out := w.want(exitOK, []string{"connected since"}, "status", w.mnt); strings.Contains(out, "ENDING") {
		t.Errorf("the status of the mount point is that of the older mount:\n%s", out)
	}
	w.want(exitMountPoint, []string{"already mounted"}, "-F", other.client.Config, "try:", w.mnt)
	w.want(exitOK, nil, "umount", w.mnt)
	w.want(exitOK, []string{"ENDING", "NOT SAVED YET"}, "status", w.mnt)
	w.want(exitUnsaved, []string{"not saved"}, "umount", "--timeout", "0", w.mnt)
	w.ended(old)
	w.want(exitNotMounted, nil, "status", w.mnt)
}

func TestADetachedMountAnswersAllTheSame(t *testing.T) {
	for name, detach := range map[string]func(*world) error{
		"by umount --lazy": func(w *world) error {
			if out := w.want(exitOK, nil, "umount", "--lazy", w.mnt); out != "" {
				t.Errorf("with nothing to save it says:\n%s", out)
			}
			return nil
		},
		"by somebody else": func(w *world) error { return mountpoint.Detach(w.mnt) },
	} {
		t.Run(name, func(t *testing.T) {
			w, r := inUse(t)
			begun := time.Now()
			if err := detach(w); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took >= endPatience {
				t.Errorf("it takes %v, as if the end of the mount were waited for", took)
			}
			w.want(exitOK, []string{"connected since", "DETACHED"}, "status", w.mnt)
			w.want(exitOK, nil, "umount", w.mnt)
			w.want(exitOK, nil, "umount", "--lazy", w.mnt)
			w.want(exitOK, nil, "sync", w.mnt)
			if !r.Alive() {
				t.Error("the mount is over, and a program has a file of it open")
			}
			if err := syscall.Kill(r.PID, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			w.ended(r)
		})
	}
}

func TestWhatIsWrittenToADetachedMountIsSaved(t *testing.T) {
	w := newWorld(t)
	r := w.mount("-o", "sshmount_async")
	f, err := os.Create(filepath.Join(w.mnt, "report"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w.want(exitOK, nil, "sync", w.mnt)
	w.want(exitOK, nil, "umount", "-l", "--timeout", "0", w.mnt) // which is over when the last byte is written
	text := strings.Repeat("not to be lost\n", 1<<18)
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	w.ended(r)
	if b, err := os.ReadFile(filepath.Join(w.data, "report")); err != nil || string(b) != text {
		t.Errorf("%d of %d bytes are on the server, %v; log:\n%s", len(b), len(text), err, w.log())
	}
}

func TestAnEndThatNobodyToldOfIsNoDeadMount(t *testing.T) {
	w := newWorld(t)
	r := w.mount()
	socket := control.StatusOf(t.Context(), r).Socket
	connections := func() int {
		sockets, err := os.ReadFile("/proc/net/unix")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(sockets), socket) - 1 // one is the listener
	}
	eventually(t, "the question for the status is over", func() bool { return connections() == 0 })
	if err := syscall.Kill(r.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var said strings.Builder
	cmd := w.command(ctx, "sshmount", "umount", w.mnt)
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process has been asked", func() bool { return connections() > 0 })
	if err := errors.Join(mountpoint.Detach(w.mnt), syscall.Kill(r.PID, syscall.SIGKILL)); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitNotMounted || !strings.Contains(said.String(), "whether all was saved") || !strings.Contains(said.String(), r.Log) {
		t.Errorf("it ends with %d, want %d, and says:\n%s", code, exitNotMounted, said.String())
	}
	w.ended(r)
}

// A service has the record of its mount where a login session does not look, and sshfs has none.
func TestALiveMountInThePlaceOfADeadOneIsNotTakenForDead(t *testing.T) {
	w := newWorld(t)
	w.write(filepath.Join(w.data, "f"), "x")
	dead := w.mount()
	if err := syscall.Kill(dead.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process is gone", func() bool { return !dead.Alive() })
	if err := mountpoint.Detach(w.mnt); err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(w.dir, "elsewhere")
	if err := os.Mkdir(elsewhere, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := w.command(t.Context(), "sshmount", "-F", w.client.Config, "try:", w.mnt)
	cmd.Env = append(cmd.Env, "XDG_RUNTIME_DIR="+elsewhere)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	held, err := os.Open(filepath.Join(w.mnt, "f"))
	if err != nil {
		t.Fatal(err)
	}
	if out := w.want(exitNotMounted, []string{"does not answer to you"}, "status", w.mnt); strings.Contains(out, "DEAD") {
		t.Errorf("status says:\n%s", out)
	}
	if out := w.want(exitOK, nil, "status"); strings.Contains(out, w.mnt) {
		t.Errorf("status of all says:\n%s", out)
	}
	w.want(exitBusy, nil, "umount", w.mnt)
	held.Close()
	w.want(exitOK, nil, "umount", w.mnt)
}

// The command waits for the end of one mount, and has no business with the next.
func TestAnUmountWhoseProcessIsKilledLeavesTheNextMountAlone(t *testing.T) {
	w, old := unmountedAndSaving(t)
	cmd, lines := w.waiting("umount", w.mnt)
	other := newWorld(t)
	w.want(exitOK, nil, "-F", other.client.Config, "try:", w.mnt)
	if err := syscall.Kill(old.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		if strings.Contains(lines.Text(), "taken away") {
			t.Errorf("it says %q", lines.Text())
		}
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitNotMounted {
		t.Errorf("it ends with %d", code)
	}
	w.want(exitOK, []string{"connected since"}, "status", w.mnt)
	w.want(exitOK, nil, "umount", w.mnt)
}

func TestADeadMountIsTakenAwayAlsoWhereAnOlderOneOfItsPlaceIsStillSaving(t *testing.T) {
	w, old := unmountedAndSaving(t)
	other := newWorld(t)
	w.want(exitOK, nil, "-F", other.client.Config, "try:", w.mnt)
	dead := w.record()
	if err := syscall.Kill(dead.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process is gone", func() bool { return !dead.Alive() })
	w.want(exitOK, []string{"took away a dead mount"}, "-F", other.client.Config, "try:", w.mnt)
	w.want(exitOK, nil, "umount", w.mnt)
	w.want(exitUnsaved, nil, "umount", "--timeout", "0", w.mnt)
	w.ended(old)
}

// A login session and a service have the records of their mounts in different places, and either may have died before.
func TestADeadRecordBesideALiveOneIsForgotten(t *testing.T) {
	w := newWorld(t)
	r := w.mount()
	if err := syscall.Kill(r.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process is gone", func() bool { return !r.Alive() })
	other := filepath.Join(w.dir, fmt.Sprintf("sshmount-%d", os.Getuid()))
	if err := os.Rename(filepath.Join(w.runtime(), "sshmount"), other); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", w.dir)
	w.want(exitOK, []string{"took away a dead mount"}, "-F", w.client.Config, "try:", w.mnt)
	r = w.record()
	if out := w.want(exitOK, nil, "status"); strings.Count(out, w.mnt+" ") != 1 {
		t.Errorf("status of all tells of the mount not once:\n%s", out)
	}
	if out := w.want(exitOK, []string{"connected since"}, "status", w.mnt); strings.Contains(out, "DEAD") {
		t.Errorf("status of the mount says:\n%s", out)
	}
	if left, _ := filepath.Glob(filepath.Join(other, "*.json")); len(left) != 0 {
		t.Errorf("left over: %q", left)
	}
	w.want(exitOK, nil, "umount", w.mnt)
	w.ended(r)
}
