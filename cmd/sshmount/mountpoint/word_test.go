package mountpoint

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestWordsAreReadByAShellAsTheyWereMeant(t *testing.T) {
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Skip(err)
	}
	for _, name := range []string{"/mnt/a-b_c.d", "/mnt/Größe", "/mnt/a b", "~/mnt", "it's", `"x" $HOME \n`, "a\nb", "tab\tand 'quote' and \\ and \"x\"", "-m", "a;b", "*"} {
		out, err := exec.Command(shell, "-c", "printf %s "+Word(name)).CombinedOutput()
		if got := strings.TrimPrefix(string(out), "./"); err != nil || got != name {
			t.Errorf("%q is written %s, and read %q, %v", name, Word(name), out, err)
		}
		if strings.ContainsAny(Word(name), "\n\t") {
			t.Errorf("%q is written %q", name, Word(name))
		}
	}
	for _, name := range []string{"/home/me/mnt", "mnt", "/srv/a,b"} {
		if Word(name) != name {
			t.Errorf("%s is written %s", name, Word(name))
		}
	}
}

func TestTheCommandsOfRefusalsCanBeCopied(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "my files")
	refused(t, missing, Options{}, "mkdir -p '"+missing+"'")
}
