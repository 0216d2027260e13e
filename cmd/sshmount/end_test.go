package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
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

// unsavedBehindABrokenLine is a mount with a file that can't be saved, as the server is gone.
func unsavedBehindABrokenLine(t *testing.T, options ...string) (*world, control.Record) {
	t.Helper()
	w := newWorld(t)
	r := w.mount("-o", strings.Join(append(options, "sshmount_async"), ","))
	if _, err := os.ReadDir(w.mnt); err != nil {
		t.Fatal(err)
	}
	if err := w.server.Close(); err != nil {
		t.Fatal(err)
	}
	w.write(filepath.Join(w.mnt, "report"), "not saved")
	return w, r
}

func TestWhoWaitsForLessShortensTheEndThatIsUnderWay(t *testing.T) {
	w, r := unsavedBehindABrokenLine(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	waits := make(chan struct{})
	first := make(chan control.Outcome, 1)
	go func() {
		var once sync.Once
		o, err := control.Connect(r).Umount(ctx, control.UmountRequest{}, func(control.Progress) { once.Do(func() { close(waits) }) })
		if err != nil {
			o.Error = err.Error()
		}
		first <- o
	}()
	<-waits
	w.want(exitUnsaved, []string{"not saved"}, "umount", "--timeout", "0", w.mnt)
	if o := <-first; !o.Unsaved || !strings.Contains(o.Error, "not saved") {
		t.Errorf("who asked first is told %+v", o)
	}
	w.ended(r)
}

// The end saves twice, and the second time none is left to wait.
func TestWhatWasNotWaitedForIsToldWithTheReason(t *testing.T) {
	t.Run("time", func(t *testing.T) {
		w, r := unsavedBehindABrokenLine(t)
		w.want(exitUnsaved, []string{"not saved: time is over (1s)"}, "umount", "--timeout", "1", w.mnt)
		w.ended(r)
	})
	t.Run("signal", func(t *testing.T) {
		w, r := unsavedBehindABrokenLine(t)
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		var hurry sync.Once
		o, err := control.Connect(r).Umount(ctx, control.UmountRequest{}, func(control.Progress) {
			hurry.Do(func() { syscall.Kill(r.PID, syscall.SIGTERM) })
		})
		if err != nil || !o.Unsaved || !strings.Contains(o.Error, "not saved: a signal") {
			t.Errorf("who waited is told %+v, %v", o, err)
		}
		w.ended(r)
	})
}

func TestAllWhoAskForTheEndAreToldWhatWasRescued(t *testing.T) {
	w := newWorld(t)
	r := w.mount("-o", "sshmount_async,drain_timeout=3")
	if _, err := os.ReadDir(w.mnt); err != nil {
		t.Fatal(err)
	}
	if err := w.server.Close(); err != nil {
		t.Fatal(err)
	}
	w.write(filepath.Join(w.mnt, "report"), "not to be lost")
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	ends := map[*exec.Cmd]*strings.Builder{}
	for range 3 {
		cmd, said := w.command(ctx, "sshmount", "umount", w.mnt), new(strings.Builder)
		cmd.Stdout, cmd.Stderr = said, said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ends[cmd] = said
	}
	for cmd, said := range ends {
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != exitUnsaved || !strings.Contains(said.String(), "not saved on the server, but here: ") {
			t.Errorf("it ends with %d, want %d, and says:\n%s", code, exitUnsaved, said)
		}
	}
	w.ended(r)
}

func TestAnEndThatIsNotToWaitDoesNot(t *testing.T) {
	for name, umount := range map[string][]string{
		"drain_timeout=0":   {"umount"},
		"drain_timeout=600": {"umount", "--timeout", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			r := w.mount("-o", "sshmount_async,"+name)
			if _, err := os.ReadDir(w.mnt); err != nil {
				t.Fatal(err)
			}
			if err := w.server.Close(); err != nil {
				t.Fatal(err)
			}
			w.write(filepath.Join(w.mnt, "report"), "not to be lost")
			w.want(exitUnsaved, []string{"not saved on the server, but here: "}, append(umount, w.mnt)...)
			w.ended(r)
		})
	}
}

// The server is back before the next attempt to reach it is due.
func TestALineThatWasGivenUpIsTriedBeforeAnythingIsLeftUnsaved(t *testing.T) {
	for _, command := range []string{"sync", "umount"} {
		t.Run(command, func(t *testing.T) {
			w := newWorld(t)
			r := w.mount("-o", "sshmount_async,reconnect_timeout=1")
			if _, err := os.ReadDir(w.mnt); err != nil {
				t.Fatal(err)
			}
			addr := w.server.Addr().String()
			if err := w.server.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(filepath.Join(w.mnt, "d"), 0o700); err != nil {
				t.Fatal(err)
			}
			w.write(filepath.Join(w.mnt, "d", "report"), "not to be lost")
			eventually(t, "the line is given up, and left alone for a while", func() bool {
				s := control.StatusOf(t.Context(), r)
				return s.State == control.Unreachable && time.Until(s.NextTry) > 3*time.Second
			})
			w.serve(addr, w.hostKey)
			w.want(exitOK, nil, command, w.mnt)
			w.holds(filepath.Join(w.data, "d", "report"), "not to be lost")
			if command != "umount" {
				w.want(exitOK, nil, "umount", w.mnt)
			}
			w.ended(r)
		})
	}
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
	terminate()
	w.ended(r)
	if log := w.log(); strings.Contains(log, "on its way to the server") || !strings.Contains(log, "all is saved") {
		t.Errorf("the log:\n%s", log)
	}
}

// Where a program that waited for its file was told what went wrong, no error is left to show at the end.
func TestAnEndThatLeavesSomethingUnsavedSaysSoAlsoWhereTheErrorsWereTold(t *testing.T) {
	err := outcomeError("/mnt", control.Outcome{Unsaved: true, Rescued: []string{"/rescue/report"}})
	if code := exitCode(err); code != exitUnsaved || !strings.Contains(err.Error(), "not everything could be saved") {
		t.Errorf("it ends with %d and %q", code, err)
	}
}

func TestWhatWasLostIsToldAlsoWhereNobodyWaitsAnyLonger(t *testing.T) {
	lost, over := errors.New("no space left on the server"), errors.New("time is over")
	for _, tc := range []struct {
		what         string
		err, cause   error
		left         string
		failed, late error
	}{
		{"all is saved", nil, nil, "", nil, nil},
		{"all is saved at the last moment", nil, over, "", nil, nil},
		{"bytes were lost", lost, nil, "", lost, nil},
		{"bytes were lost, and the wait was over", lost, over, "", lost, nil},
		{"bytes are left", fmt.Errorf("sync: %w", over), over, "1 file", nil, over},
		{"the wait was over, and nothing is left", fmt.Errorf("sync: %w", over), over, "", nil, nil},
	} {
		failed, late := drained(tc.err, tc.cause, tc.left)
		if failed != tc.failed || !errors.Is(late, tc.late) || (late == nil) != (tc.late == nil) {
			t.Errorf("%s: failed %v, late %v", tc.what, failed, late)
		}
	}
}
