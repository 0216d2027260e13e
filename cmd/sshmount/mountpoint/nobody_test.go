package mountpoint

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// asNobody gives a folder that all users may enter, whatever the umask and the place for temporary files of who runs the tests, and a
// check of a mount point as the user nobody.
func asNobody(t *testing.T) (dir string, check func(place string) (says string, err error)) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err = os.MkdirTemp("/tmp", "mountpoint")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	copied := filepath.Join(dir, "check")
	if out, err := exec.Command("cp", self, copied).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(copied, 0o755)); err != nil {
		t.Fatal(err)
	}
	return dir, func(place string) (string, error) {
		cmd := exec.Command(copied)
		cmd.Dir = "/"
		cmd.Env = []string{checkVariable + "=" + place}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
}
