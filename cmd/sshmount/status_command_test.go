package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode"

	"sshmount/cmd/sshmount/control"
)

// Names of files are others' to choose, and U+009B is for a terminal what ESC [ is.
func TestJSONDoesNothingToATerminal(t *testing.T) {
	s := control.Status{LastError: "a\u009b2J\x7f\x1b[2Jä"}
	s.Unsaved.Files = []string{"/b\u0085\u009f\u00a0"}
	for _, one := range []bool{true, false} {
		var out strings.Builder
		if err := writeJSON(&out, []control.Status{s}, one); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsFunc(out.String(), func(r rune) bool { return unicode.IsControl(r) && r != '\n' }) || !strings.Contains(out.String(), `\u009b2J\u007f`) {
			t.Errorf("%q", out.String())
		}
		var back []control.Status
		text := out.String()
		if one {
			text = "[" + text + "]"
		}
		if err := json.Unmarshal([]byte(text), &back); err != nil || len(back) != 1 || back[0].LastError != s.LastError || back[0].Unsaved.Files[0] != s.Unsaved.Files[0] {
			t.Errorf("%v: %+v", err, back)
		}
	}
}

func TestWhatCannotBePrintedIsAnErrorAndNoFaultOfTheCommandLine(t *testing.T) {
	w := newWorld(t)
	r := w.mount()
	for _, args := range [][]string{
		{"status", w.mnt}, {"status", "--json"}, {"status", "--help"}, {"help"}, {"--help"}, {"help", "umount"}, {"version"}, {"--version"},
		{"completion", "bash"}, {"serve", "--client-dir", filepath.Join(w.dir, "newclient")},
	} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Skipf("no device that is always full: %v", err)
		}
		cmd := w.command(t.Context(), "sshmount", args...)
		cmd.Stdout = full
		cmd.Run()
		full.Close()
		if code := cmd.ProcessState.ExitCode(); code != exitFailure {
			t.Errorf("%q ends with %d, want %d", args, code, exitFailure)
		}
	}
	w.want(exitOK, nil, "umount", w.mnt)
	w.ended(r)
}

func TestHelpForACommandThatThereIsNotIsAnError(t *testing.T) {
	w := newWorld(t)
	w.want(exitOK, []string{"--lazy", "MOUNTPOINT"}, "help", "umount")
	w.want(exitUsage, []string{`no command "nope"`, "sshmount --help"}, "help", "nope")
	w.want(exitUsage, []string{`no command "status nope"`}, "help", "status", "nope")
}

func TestCompletionForAShellThatThereIsNotIsAnError(t *testing.T) {
	w := newWorld(t)
	w.want(exitOK, []string{"__start_sshmount"}, "completion", "bash")
	w.want(exitUsage, []string{`unknown command "nope"`}, "completion", "nope")
	w.want(exitUsage, []string{"which shell"}, "completion")
	w.want(exitOK, []string{"bash", "zsh"}, "help", "completion")
}

func TestAMountPointIsCompletedHoweverItIsWritten(t *testing.T) {
	w := newWorld(t)
	r := w.mount()
	w.want(exitOK, []string{w.mnt + "\n"}, "__complete", "umount", "")
	w.want(exitOK, []string{w.mnt + "\n:4\n"}, "__complete", "umount", w.mnt[:len(w.mnt)-1])
	for _, typed := range []string{"~/m", "mn"} {
		if out := w.want(exitOK, []string{":16\n"}, "__complete", "umount", typed); strings.Contains(out, w.mnt) { // 16: directories
			t.Errorf("%s is completed with\n%s", typed, out)
		}
	}
	w.want(exitOK, nil, "umount", w.mnt)
	w.ended(r)
}

// As of a script's variable that is not set, in a shell whose working directory is a mount.
func TestAnEmptyMountPointIsNotTheWorkingDirectory(t *testing.T) {
	w := newWorld(t)
	for _, command := range []string{"status", "sync", "kick", "umount"} {
		w.want(exitUsage, []string{"mount point is empty", "sshmount " + command}, command, "")
	}
}

// As of who asks with '.' in a directory of a mount that hangs.
func TestWhatLiesInAMountIsToldFromItWithoutTouchingIt(t *testing.T) {
	w := newWorld(t)
	r := w.mount()
	if err := syscall.Kill(r.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(r.PID, syscall.SIGCONT)
	for _, command := range []string{"status", "sync", "umount"} {
		w.want(exitNotMounted, []string{"lies in the mount at " + w.mnt + ";"}, command, filepath.Join(w.mnt, "d", "e"))
	}
	if err := syscall.Kill(r.PID, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	w.want(exitOK, nil, "umount", w.mnt)
	w.ended(r)
}

func TestKickSaysWhereALineIsNotTriedAgain(t *testing.T) {
	w := newWorld(t)
	r := w.mount("-o", "no_reconnect")
	w.want(exitOK, nil, "kick", w.mnt)
	if err := w.server.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the line is lost for good", func() bool { return control.StatusOf(t.Context(), r).ForGood() })
	w.want(exitFailure, []string{"not tried again", "make it anew"}, "kick", w.mnt)
	w.want(exitOK, nil, "umount", w.mnt)
	w.ended(r)
}

func TestAMountThatHasNoSocketIsNotTakenForAnotherPrograms(t *testing.T) {
	w := newWorld(t)
	r := w.mount()
	if err := os.Rename(filepath.Join(w.runtime(), "sshmount"), filepath.Join(w.dir, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	if out := w.want(exitNotMounted, []string{"no control socket", "XDG_RUNTIME_DIR"}, "sync", w.mnt); strings.Contains(out, "another program") {
		t.Errorf("it says:\n%s", out)
	}
	w.want(exitOK, []string{"may still be saving", "not told here"}, "umount", w.mnt) // it has not waited for that
	w.ended(r)
}
