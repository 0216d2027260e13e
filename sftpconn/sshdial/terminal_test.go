package sshdial

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// TestTerminalChild is the other process of the terminal tests: it asks on its
// controlling terminal. By itself it does nothing.
func TestTerminalChild(t *testing.T) {
	if os.Getenv("SSHDIAL_TERMINAL_CHILD") == "" {
		return
	}
	prompt, err := Terminal()
	if err != nil {
		fmt.Printf("no terminal: %v\n", err)
		return
	}
	ctx := context.Background()
	if limit, err := time.ParseDuration(os.Getenv("SSHDIAL_TERMINAL_CHILD")); err == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	prompt.Notice("a notice")
	secret, err := prompt.Ask(ctx, "Secret: ", false)
	fmt.Printf("got %q, %v\n", secret, err)
	if err == nil {
		open, err := prompt.Ask(ctx, "Open: ", true)
		fmt.Printf("got %q, %v\n", open, err)
	}
	prompt.(*terminal).Close()
}

// child runs TestTerminalChild on a new terminal.
func child(t *testing.T, mode string) (tty *os.File, lines *bufio.Reader) {
	t.Helper()
	return onTerminal(t, mode, exec.Command(os.Args[0], "-test.run=^TestTerminalChild$", "-test.timeout=60s"))
}

func onTerminal(t *testing.T, mode string, cmd *exec.Cmd) (tty *os.File, lines *bufio.Reader) {
	t.Helper()
	cmd.Env = append(os.Environ(), "SSHDIAL_TERMINAL_CHILD="+mode, "SSH_ASKPASS_REQUIRE=never")
	tty, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		tty.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return tty, bufio.NewReader(tty)
}

// until reads what the terminal shows up to a text.
func until(t *testing.T, r *bufio.Reader, text string) string {
	t.Helper()
	var shown strings.Builder
	for !strings.HasSuffix(shown.String(), text) {
		b, err := r.ReadByte()
		if err != nil {
			t.Fatalf("%q does not come; the terminal shows %q: %v", text, shown.String(), err)
		}
		shown.WriteByte(b)
	}
	return shown.String()
}

func echoes(t *testing.T, tty *os.File) bool {
	t.Helper()
	var on bool
	raw, err := tty.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		mode, gerr := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		if err = gerr; err == nil {
			on = mode.Lflag&unix.ECHO != 0
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return on
}

func TestTerminalAsks(t *testing.T) {
	tty, r := child(t, "yes")
	until(t, r, "a notice")
	until(t, r, "Secret: ")
	fmt.Fprint(tty, "pass word\n")
	shown := until(t, r, `got "pass word", <nil>`)
	if strings.Count(shown, "pass word") != 1 {
		t.Errorf("what was typed is shown: %q", shown)
	}
	until(t, r, "Open: ")
	if !echoes(t, tty) {
		t.Error("the echo is still off")
	}
	fmt.Fprint(tty, "sesame\n")
	until(t, r, "sesame")
	until(t, r, `got "sesame", <nil>`)
}

func TestTerminalInterrupted(t *testing.T) {
	tty, r := child(t, "yes")
	until(t, r, "Secret: ")
	fmt.Fprint(tty, "half\x03")
	until(t, r, `got "", interrupted`)
	if !echoes(t, tty) {
		t.Error("the echo is still off")
	}
}

func TestTerminalSuspendedAndContinued(t *testing.T) {
	script := `set -m; "$0" -test.run='^TestTerminalChild$' -test.timeout=60s; for n in 1 2 3; do echo the shell is back; read -r go; fg; done`
	tty, r := onTerminal(t, "yes", exec.Command("sh", "-c", script, os.Args[0]))
	until(t, r, "Secret: ")
	for range 2 {
		fmt.Fprint(tty, "half\x1a")
		until(t, r, "the shell is back")
		if !echoes(t, tty) {
			t.Error("the echo is still off")
		}
		fmt.Fprint(tty, "go\n")
		until(t, r, "Secret: ") // after fg the question stands there again
		if echoes(t, tty) {
			t.Error("the echo is on")
		}
	}
	fmt.Fprint(tty, "pass word\n")
	if shown := until(t, r, `got "pass word", <nil>`); strings.Count(shown, "pass word") != 1 {
		t.Errorf("what was typed is shown: %q", shown)
	}
	until(t, r, "Open: ")
	if !echoes(t, tty) {
		t.Error("the echo is off after the answer")
	}
	fmt.Fprint(tty, "\x1a") // behind the question Ctrl-Z does what it did before
	until(t, r, "the shell is back")
	fmt.Fprint(tty, "go\n")
	until(t, r, "TestTerminalChild") // of fg
	fmt.Fprint(tty, "sesame\n")
	until(t, r, `got "sesame", <nil>`)
}

func TestTerminalWithoutAnAnswer(t *testing.T) {
	tty, r := child(t, "yes")
	until(t, r, "Secret: ")
	fmt.Fprint(tty, "\x04")
	until(t, r, `got "", no answer was given`)
	if !echoes(t, tty) {
		t.Error("the echo is still off")
	}
}

// Without a shell nobody would let it go on.
func TestTerminalIsNotSuspendedWithoutAShell(t *testing.T) {
	tty, r := child(t, "yes")
	until(t, r, "Secret: ")
	fmt.Fprint(tty, "\x1a")
	until(t, r, "Secret: ")
	if echoes(t, tty) {
		t.Error("the echo is on")
	}
	fmt.Fprint(tty, "pass word\n")
	until(t, r, `got "pass word", <nil>`)
}

func TestTerminalQuestionEndsWithItsContext(t *testing.T) {
	tty, r := child(t, "300ms")
	until(t, r, `got "", context deadline exceeded`)
	if !echoes(t, tty) {
		t.Error("the echo is still off")
	}
}

func TestAskpassProgram(t *testing.T) {
	program := filepath.Join(t.TempDir(), "ask")
	if err := os.WriteFile(program, []byte("#!/bin/sh\ncase \"$1\" in *no*) exit 1;; esac\necho \"you said $1\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSH_ASKPASS", program)
	t.Setenv("SSH_ASKPASS_REQUIRE", "force")
	p, err := Terminal()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.Ask(ctxOf(t), "word? ", false); err != nil || got != "you said word?" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := p.Ask(ctxOf(t), "or no?", false); err == nil {
		t.Errorf("%q", got)
	}
}
