package cmdline

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestSignsInTheNameOfTheWorkingDirectoryMeanNothingToSSH(t *testing.T) {
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		t.Skip(err)
	}
	for _, name := range []string{"joe's", `a "b" c`, `c\d`, `c\\d e`, "it's # 1", "50%off"} {
		dir := filepath.Join(t.TempDir(), name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		t.Chdir(dir)
		s, err := Parse("sshmount", []string{"h:", "/mnt", "-o", "IdentityFile=./key"}, false)
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(ssh, "-F", "none", "-G", "-o", s.Dial.SSHOptions[0], "h").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "\nidentityfile "+strings.ReplaceAll(dir, "%", "%%")+"/key\n") {
			t.Errorf("in %s ssh is given %s: %v\n%s", dir, s.Dial.SSHOptions[0], err, out)
		}
	}
}
