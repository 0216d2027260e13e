package main

import (
	"bufio"
	"context"
	"net"
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

// A terminal sends SIGINT to the second process too, kill and what a script has started it from do not.
func TestAStartEndsAtASIGINTThatIsSentToTheFirstProcessAlone(t *testing.T) {
	w := newWorld(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := w.command(ctx, "sshmount", "sftp://"+silent.Addr().String()+"/", w.mnt, "-o", "ConnectTimeout=600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := silent.Accept(); err != nil { // the second process has come as far as that
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("it ends with %d", code)
	}
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
