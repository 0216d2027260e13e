package main

import (
	"bufio"
	"context"
	"strings"
	"syscall"
	"testing"
)

func TestASyncThatIsInterruptedSaysNothingOfTheMountsProcess(t *testing.T) {
	w, r := unsavedBehindABrokenLine(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := w.command(ctx, "sshmount", "sync", w.mnt)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	if !lines.Scan() || !strings.Contains(lines.Text(), "to go") {
		t.Fatalf("it says %q", lines.Text())
	}
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
