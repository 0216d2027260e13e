package main

import (
	"context"
	"os"
	"path/filepath"
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
