package sshdial

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A command such as sshpass or an expect script answers ssh's questions itself, where there is no user, and at each reconnect.
func TestACommandThatAnswersForItselfIsNotSilenced(t *testing.T) {
	dir := t.TempDir()
	key := keygen(t, dir, "locked", "ed25519", "open sesame")
	s := startServer(t, []string{key})
	answer := filepath.Join(dir, "answer")
	if err := os.WriteFile(answer, []byte("#!/bin/sh\necho open sesame\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	o := s.options(t, key)
	o.SSHCommand = fmt.Sprintf("env SSH_ASKPASS=%s SSH_ASKPASS_REQUIRE=force DISPLAY=:0 ssh", answer)
	d, err := New(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		closeTransport(t, dialWith(t, d))
	}
}

func TestOnlyTheSSHThatWasChosenHereMayNotAsk(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key})
	dir := t.TempDir()
	// It notes how it is called when it logs in, not when it is asked for the configuration.
	script := "#!/bin/sh\ncase \"$*\" in *-G*) ;; *) echo \"$SSH_ASKPASS_REQUIRE: $*\" >>" + dir + "/calls ;; esac\nexec /usr/bin/ssh \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("SSH_ASKPASS_REQUIRE", "mine")
	o := s.options(t, key)
	o.SSHCommand = "ssh"
	closeTransport(t, dial(t, o))
	o.SSHCommand, o.Compression = "", true
	closeTransport(t, dial(t, o))
	calls := strings.Split(strings.TrimSpace(read(t, filepath.Join(dir, "calls"))), "\n")
	if len(calls) != 2 {
		t.Fatalf("calls: %q", calls)
	}
	if !strings.HasPrefix(calls[0], "mine: ") || strings.Contains(calls[0], "BatchMode") {
		t.Errorf("the user's command was called as %q", calls[0])
	}
	if !strings.HasPrefix(calls[1], "never: ") || !strings.Contains(calls[1], "-oBatchMode=yes") {
		t.Errorf("the ssh that was chosen was called as %q", calls[1])
	}
}

// As with sftp, what somebody has set for a shell on the host is nothing for SFTP.
func TestWhatIsSetForAShellDoesNotKeepSFTPOut(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key})
	for _, set := range []string{"RemoteCommand=tmux", "RequestTTY=force", "StdinNull=yes"} {
		o := s.options(t, key)
		o.SSHOptions = append(o.SSHOptions, set)
		o.Compression = true // only ssh itself is asked for it
		tr := dial(t, o)
		if tr.Info().Client != "ssh" {
			t.Fatalf("%s: %+v", set, tr.Info())
		}
		closeTransport(t, tr)
	}
}

func TestTheSSHThatTookOverIsRunAgainAsItWas(t *testing.T) {
	key := keygen(t, t.TempDir(), "k", "ed25519", "")
	s := startServer(t, []string{key}, "KexAlgorithms sntrup761x25519-sha512@openssh.com")
	calls := filepath.Join(t.TempDir(), "calls")
	real, err := exec.LookPath("ssh")
	if err != nil {
		t.Fatal(err)
	}
	standIn(t, map[string]string{"ssh": "case \"$*\" in *-G*) ;; *) echo \"$*\" >>" + calls + " ;; esac\nexec " + real + " \"$@\""})
	d, err := New(ctxOf(t), s.options(t, key))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		tr := dialWith(t, d)
		if tr.Info().Client != "ssh" {
			t.Fatalf("%+v", tr.Info())
		}
		closeTransport(t, tr)
	}
	said := strings.Split(strings.TrimSpace(read(t, calls)), "\n")
	if len(said) != 2 || said[0] != said[1] || !strings.HasSuffix(said[0], " sftp") {
		t.Errorf("called as:\n%s", strings.Join(said, "\n"))
	}
}
