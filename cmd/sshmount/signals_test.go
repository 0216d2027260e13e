package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"sshmount/cmd/sshmount/control"
)

// signalSet is a set of signals of a process, by its name in /proc: bit n-1 for signal n.
func signalSet(t *testing.T, pid int, name string) uint64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, set, _ := strings.Cut(string(status), name)
	set, _, _ = strings.Cut(set, "\n")
	n, err := strconv.ParseUint(strings.TrimSpace(set), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// nohup has the program ignore SIGHUP, and a shell has what it runs in the background ignore SIGINT.
func TestSignalsThatWereIgnoredAtTheStartStayIgnored(t *testing.T) {
	for name, args := range map[string][]string{"foreground": {"-f"}, "background": nil} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ctx, cancel := context.WithTimeout(t.Context(), 2*limit)
			defer cancel()
			cmd := w.command(ctx, "sshmount", append(args, "-F", w.client.Config, "try:", w.mnt)...)
			cmd.Args = append([]string{"sh", "-c", `trap "" HUP INT; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
			cmd.Path, _ = exec.LookPath("sh")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if args == nil {
				if err := cmd.Wait(); err != nil {
					t.Fatalf("it ends with %v", err)
				}
			}
			t.Setenv("XDG_RUNTIME_DIR", w.runtime())
			var r control.Record
			eventually(t, "the mount has a record", func() (ok bool) {
				r, ok = control.Find(w.mnt)
				return ok
			})
			// The record is made when the process has long asked for the signals that it wants.
			ignored := signalSet(t, r.PID, "SigIgn:")
			for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT} {
				if ignored&(1<<(s-1)) == 0 {
					t.Errorf("%v is not ignored any more", s)
				}
			}
			if err := syscall.Kill(r.PID, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if args != nil {
				if err := cmd.Wait(); err != nil {
					t.Errorf("it ends with %v", err)
				}
			}
			w.ended(r)
		})
	}
}

// The signal is the wish of systemd or of the user that the mount end, whatever somebody else has asked for before.
func TestASignalEndsAMountAlsoWhereSomebodyAskedForAnEndThatItsUseForbids(t *testing.T) {
	w, r := unsavedBehindABrokenLine(t)
	held, err := unix.Open(w.mnt, unix.O_PATH|unix.O_CLOEXEC, 0) // without a question to the server
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(held)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var once sync.Once
	o, err := control.Connect(r).Umount(ctx, control.UmountRequest{}, func(control.Progress) {
		once.Do(func() { syscall.Kill(r.PID, syscall.SIGTERM) })
	})
	if err != nil || o.Busy || !o.Unsaved || len(o.Rescued) != 1 {
		t.Errorf("who asked is told %+v, %v", o, err)
	}
	w.ended(r)
}

// Programs may have used the mount by then, and a service that is stopped has not failed.
func TestASignalBetweenTheRecordAndTheEndOfTheStartEndsTheMountInPeace(t *testing.T) {
	w := newWorld(t)
	said, says, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	size, err := unix.FcntlInt(says.Fd(), unix.F_SETPIPE_SZ, 4096)
	if err != nil {
		t.Fatal(err)
	}
	// The line that says 'mounted' finds no room, and the start does not get beyond it.
	if _, err := says.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := w.command(ctx, "sshmount", "-f", "-F", w.client.Config, "try:", w.mnt)
	cmd.Stdout, cmd.Stderr = says, says
	err = cmd.Start()
	says.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", w.runtime())
	var r control.Record
	eventually(t, "the mount has a record", func() (ok bool) {
		r, ok = control.Find(w.mnt)
		return ok
	})
	if err := syscall.Kill(r.PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process has taken the signal", func() bool { return signalSet(t, r.PID, "ShdPnd:") == 0 })
	go io.Copy(io.Discard, said)
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	w.ended(r)
}

func TestASignalCountsAgainWhenTheEchoOfTheLastOneIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, done := make(chan os.Signal, 4), make(chan struct{})
		defer close(done)
		wishes := withoutEchoes(all, false, done)
		got := func(s os.Signal) int {
			all <- s
			synctest.Wait()
			return len(wishes)
		}
		if n := got(syscall.SIGINT); n != 1 {
			t.Fatalf("the first one makes %d wishes", n)
		}
		time.Sleep(echoTime / 2)
		if n := got(syscall.SIGTERM); n != 1 {
			t.Errorf("its echo makes %d of them", n)
		}
		time.Sleep(echoTime / 2)
		if n := got(syscall.SIGINT); n != 2 {
			t.Errorf("a later one makes %d of them", n)
		}
	})
}
