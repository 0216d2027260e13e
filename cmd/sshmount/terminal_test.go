package main

import (
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/crypto/ssh"

	"sshmount/cmd/sshmount/control"
	"sshmount/cmd/sshmount/mountpoint"
)

// encryptKey puts a passphrase on the client's key.
func (w *world) encryptKey(passphrase string) {
	w.t.Helper()
	text, err := os.ReadFile(w.client.KeyFile)
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := ssh.ParseRawPrivateKey(text)
	if err != nil {
		w.t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(*key.(*ed25519.PrivateKey), "", []byte(passphrase))
	if err != nil {
		w.t.Fatal(err)
	}
	w.write(w.client.KeyFile, string(pem.EncodeToMemory(block)))
}

// onTerminal runs a mount on a terminal of its own and types an answer to its question.
func (w *world) onTerminal(answer string) (status int, shown string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
	defer cancel()
	cmd := w.command(ctx, "sshmount", "-F", w.client.Config, "try:", w.mnt)
	tty, err := pty.Start(cmd)
	if err != nil {
		w.t.Skipf("there are no pseudo-terminals here: %v", err)
	}
	defer tty.Close()
	answered := false
	var text strings.Builder
	for b := make([]byte, 1024); ; {
		n, err := tty.Read(b)
		text.Write(b[:n])
		if !answered && strings.Contains(strings.ToLower(text.String()), "passphrase") {
			answered = true
			if _, err := tty.WriteString(answer); err != nil {
				w.t.Fatal(err)
			}
		}
		if err != nil {
			break // the last process has left the terminal
		}
	}
	err = cmd.Wait()
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.ExitCode(), text.String()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return 0, text.String()
}

func TestTheLoginAsksOnTheTerminalBeforeItGoesAway(t *testing.T) {
	w := newWorld(t)
	w.encryptKey("open sesame")
	status, shown := w.onTerminal("open sesame\n")
	if status != exitOK {
		t.Fatalf("it ends with %d and shows:\n%s\nlog:\n%s", status, shown, w.log())
	}
	if strings.Contains(shown, "sesame") || strings.Contains(w.log(), "sesame") {
		t.Error("the passphrase is shown, or in the log")
	}
	r := w.record()
	if sid, err := syscall.Getpgid(r.PID); err != nil || sid != r.PID {
		t.Errorf("the process group of the background process %d is %d, %v", r.PID, sid, err)
	}
	w.want(exitOK, nil, "umount", w.mnt)
	w.ended(r)
}

func TestCtrlZAtTheQuestionGivesTheShellItsEchoAndShowsNoAnswer(t *testing.T) {
	w := newWorld(t)
	w.encryptKey("open sesame")
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := w.command(ctx, "sshmount", "-F", w.client.Config, "try:", w.mnt)
	cmd.Args = append([]string{"sh", "-c", `set -m; "$0" "$@"; stty -a; echo the shell is back; read -r go; fg; echo it ended with $?`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path, _ = exec.LookPath("sh")
	tty, err := pty.Start(cmd)
	if err != nil {
		t.Skipf("there are no pseudo-terminals here: %v", err)
	}
	defer cmd.Wait()
	defer tty.Close()
	var all strings.Builder
	until := func(text string) string {
		var shown strings.Builder
		for b := make([]byte, 1); !strings.HasSuffix(shown.String(), text); shown.Write(b) {
			if _, err := tty.Read(b); err != nil {
				t.Fatalf("%q does not come; the terminal shows %q: %v", text, shown.String(), err)
			}
		}
		all.WriteString(shown.String())
		return shown.String()
	}
	until("id_ed25519': ")
	tty.WriteString("\x1a")
	if shown := until("the shell is back"); !strings.Contains(shown, " echo ") {
		t.Errorf("the shell has a terminal without echo:\n%s", shown)
	}
	tty.WriteString("go\n")
	until("id_ed25519': ")
	tty.WriteString("open sesame\n")
	until("it ended with 0")
	if strings.Contains(all.String(), "sesame") {
		t.Error("the passphrase is shown")
	}
	r := w.record()
	w.want(exitOK, nil, "umount", w.mnt)
	w.ended(r)
}

func TestCtrlCAtTheQuestionEndsBothProcesses(t *testing.T) {
	w := newWorld(t)
	w.encryptKey("open sesame")
	before := time.Now()
	status, shown := w.onTerminal("\x03")
	if status != exitInterrupted {
		t.Errorf("it ends with %d after %v and shows:\n%s", status, time.Since(before), shown)
	}
	if _, _, mounted := mountpoint.Mounted(w.mnt); mounted {
		t.Error("something is mounted")
	}
	t.Setenv("XDG_RUNTIME_DIR", w.runtime())
	if _, ok := control.Find(w.mnt); ok {
		t.Error("a record is left")
	}
}
