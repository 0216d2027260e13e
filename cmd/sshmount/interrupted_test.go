package main

import (
	"bufio"
	"context"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

func TestASyncThatIsInterruptedSaysNothingOfTheMountsProcess(t *testing.T) {
	w, r := unsavedBehindABrokenLine(t)
	cmd, lines := w.waiting("sync", w.mnt)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for lines.Scan() {
		said.WriteString(lines.Text())
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || strings.Contains(said.String(), "gone") || !strings.Contains(said.String(), "goes on saving") {
		t.Errorf("it ends with %d and says %q", code, said.String())
	}
	w.want(exitUnsaved, nil, "umount", "--timeout", "0", w.mnt)
	w.ended(r)
}

// waiting is a command that waits for what is not saved, and what it says from now on; it has said that it waits. The test waits for it.
func (w *world) waiting(args ...string) (*exec.Cmd, *bufio.Scanner) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
	w.t.Cleanup(cancel)
	cmd := w.command(ctx, "sshmount", args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	if !lines.Scan() || !strings.Contains(lines.Text(), "to go") {
		w.t.Fatalf("it says %q", lines.Text())
	}
	return cmd, lines
}
