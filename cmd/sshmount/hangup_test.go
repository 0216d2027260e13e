package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"
)

func TestTheSSHThatAskedOutlastsItsTerminal(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("there is no ssh here")
	}
	w := newWorld(t)
	w.encryptKey("open sesame")
	w.write(filepath.Join(w.data, "file"), "text")
	// As sshpass and 'ssh -t' do: the program leads the session, so that its end takes the terminal away from all in it.
	cmd := w.command(t.Context(), "sshmount", "-F", w.client.Config, "try:", w.mnt, "-o", "ssh_command=ssh,reconnect_timeout=1")
	tty, err := pty.Start(cmd)
	if err != nil {
		t.Skipf("there are no pseudo-terminals here: %v", err)
	}
	defer tty.Close()
	var shown strings.Builder
	for b := make([]byte, 1); !strings.HasSuffix(shown.String(), "id_ed25519': "); shown.Write(b) {
		if _, err := tty.Read(b); err != nil {
			t.Fatalf("it does not ask; the terminal shows %q: %v", shown.String(), err)
		}
	}
	tty.WriteString("open sesame\n")
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v; log:\n%s", err, w.log())
	}
	w.want(exitOK, nil, "kick", w.mnt)
	if text, err := os.ReadFile(filepath.Join(w.mnt, "file")); err != nil || string(text) != "text" {
		t.Errorf("the mount holds %q, %v; log:\n%s", text, err, w.log())
	}
	if log := w.log(); strings.Contains(log, "connection lost") {
		t.Errorf("the connection was lost; log:\n%s", log)
	}
	r := w.record()
	w.want(exitOK, nil, "umount", w.mnt)
	w.ended(r)
}
