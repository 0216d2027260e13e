package main

import (
	"context"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"sshmount/cmd/sshmount/control"
	"sshmount/cmd/sshmount/mountpoint"
)

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
			for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT} {
				if err := syscall.Kill(r.PID, s); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(300 * time.Millisecond)
			if _, _, mounted := mountpoint.Mounted(w.mnt); !mounted || !r.Alive() {
				t.Error("a signal that was ignored has ended the mount")
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
