package tests

import (
	"strings"
	"testing"
)

// needApart skips a test that works in a mount namespace of its own where there is none to be had.
func needApart(t *testing.T) {
	t.Helper()
	needRoot(t)
	if out, err := command(programLimit, "", "unshare", "-m", "true"); err != nil {
		t.Skipf("this machine gives no mount namespace: %v %s", err, out)
	}
}

// commandApart runs a script of sh in a mount namespace of its own. That begins with copies of the mounts that other tests, also of
// other packages, have at that time, none of which could end before the namespace does: they are taken away at once.
func commandApart(dir string, env []string, script string, args ...string) (string, error) {
	script = "umount -a -i -l -t fuse.sshmount,fuse.sshfs\n" + script
	return commandEnv(programLimit, dir, env, nil, "unshare", append([]string{"-m", "--propagation", "private", "sh", "-uc", script, "sh"}, args...)...)
}

func TestANamespaceOfATestKeepsNoMountOfAnother(t *testing.T) {
	t.Parallel()
	needApart(t)
	onlySshmount(t)
	m := newServer(t).mount()
	out, err := commandApart("", programEnv(), "cat /proc/self/mountinfo")
	if err != nil || strings.Contains(out, m.point) {
		t.Errorf("%v; mounted in it:\n%s", err, out)
	}
}
