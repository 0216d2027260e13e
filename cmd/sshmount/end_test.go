package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

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
	eventually(t, "the mount is there", func() bool {
		_, _, mounted := mountpoint.Mounted(w.mnt)
		return mounted && mountpoint.Ask(w.mnt) == nil
	})
	f, err := os.Create(filepath.Join(w.mnt, "report"))
	if err != nil {
		t.Fatal(err)
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
