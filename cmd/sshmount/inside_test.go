package main

import (
	"context"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// inside makes a command that waits in the mount, in the directory of a shell there, for a line of its input.
func (w *world) inside(ctx context.Context, args ...string) (proceed func(), wait func() (string, error)) {
	w.t.Helper()
	cmd := w.command(ctx, "sshmount", args...)
	cmd.Args = append([]string{"sh", "-c", `read -r go; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path, _ = exec.LookPath("sh")
	cmd.Dir = w.mnt
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	in, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	proceed = func() { in.Write([]byte("go\n")) }
	wait = func() (string, error) {
		err := cmd.Wait()
		return said.String(), err
	}
	return proceed, wait
}

// Whoever finds that nothing answers any more is in the mount, and calls it by its nearest name.
func TestADeadMountIsFoundFromWithin(t *testing.T) {
	w := newWorld(t)
	r := w.mount("-o", "attr_timeout=0,entry_timeout=0") // the kernel answers nothing by itself
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	ask, told := w.inside(ctx, "status", ".")
	end, ended := w.inside(ctx, "umount", ".")
	if err := syscall.Kill(r.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process is gone", func() bool { return !r.Alive() })
	ask()
	if text, err := told(); err != nil || !strings.Contains(text, "DEAD") {
		t.Errorf("status . ends with %v and says:\n%s", err, text)
	}
	end()
	if text, err := ended(); err != nil || !strings.Contains(text, "dead mount is taken away") {
		t.Errorf("umount . ends with %v and says:\n%s", err, text)
	}
}
