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
)

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

// timeout(1) sends its signal to the program and to the group in which that runs.
func TestASignalThatComesTwiceAtOnceIsOneWishForTheEnd(t *testing.T) {
	w := newWorld(t)
	addr := w.server.Addr().String()
	r := w.mount("-o", "sshmount_async")
	if _, err := os.ReadDir(w.mnt); err != nil {
		t.Fatal(err)
	}
	if err := w.server.Close(); err != nil {
		t.Fatal(err)
	}
	w.write(filepath.Join(w.mnt, "report"), "not to be lost")
	begun := time.Now()
	for range 2 {
		if err := syscall.Kill(r.PID, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the process has taken the signal", func() bool { return signalSet(t, r.PID, "ShdPnd:") == 0 })
	}
	slow := time.Since(begun) > echoTime/2 // then the second one may have counted
	eventually(t, "the end waits for what is not saved", func() bool { return strings.Contains(w.log(), "msg=saving") || !r.Alive() })
	w.serve(addr, w.hostKey)
	w.ended(r)
	if slow {
		t.Skip("the machine is too busy for two signals at once")
	}
	w.holds(filepath.Join(w.data, "report"), "not to be lost")
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
