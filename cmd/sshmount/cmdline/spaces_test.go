package cmdline

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestAFileInAWorkingDirectoryWithSpacesIsOneWordForSSH(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "my keys")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	s, err := Parse("sshmount", []string{"h:", "/mnt", "-o", "IdentityFile=./key"}, false)
	if want := []string{`IdentityFile="` + dir + `/key"`}; err != nil || !slices.Equal(s.Dial.SSHOptions, want) {
		t.Errorf("%q, %v; want %q", s.Dial.SSHOptions, err, want)
	}
}
