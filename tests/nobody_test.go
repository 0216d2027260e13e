package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nobody is an ordinary user with a home, a mount point and a login to a server.
type nobody struct {
	t                            *testing.T
	s                            *server
	point, home, runtime, config string
}

func newNobody(t *testing.T) *nobody {
	t.Helper()
	needApart(t)
	onlySshmount(t)
	if _, err := os.Stat("/etc/mtab"); err != nil {
		t.Skipf("fusermount3 unmounts only what it finds there: %v", err)
	}
	// The path of a socket is short, and a test's folder may be too deep for one: it would be put into the machine's /tmp.
	runtime, err := os.MkdirTemp("/tmp", "sshmount-tests-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(runtime) })
	n := &nobody{t: t, s: newServerWith(t, serverOptions{user: "nobody", subsystem: "internal-sftp"}),
		point: mountPoint(t), home: testDir(t, "home"), runtime: runtime}
	for _, dir := range []string{n.s.root, n.point, n.home, n.runtime} {
		must(t, os.Chown(dir, 65534, 65534))
	}
	key := filepath.Join(n.home, "key")
	run(t, "", "install", "-o", "nobody", "-m", "600", filepath.Join(scratch, "user_key"), key)
	n.config = n.s.clientConfig("config_nobody_"+filepath.Base(n.home), n.s.port, "IdentityFile "+key)
	return n
}

// run runs a script whose arguments are the program, its configuration, the remote side and the mount point, and returns its lines.
func (n *nobody) run(script string, env ...string) []string {
	n.t.Helper()
	file := filepath.Join(n.home, "script")
	write(n.t, file, script)
	args := append([]string{n.home}, env...)
	args = append(args, "XDG_RUNTIME_DIR="+n.runtime, "sh", "-eu", file, binary, n.config, n.s.remote(), n.point)
	out, err := commandApart("/", nil, `
		set -e
		mknod "$1/fuse" c 10 229
		chmod 666 "$1/fuse"
		mount --bind "$1/fuse" /dev/fuse
		shift
		exec setpriv --reuid=65534 --regid=65534 --clear-groups env -i PATH="$PATH" "$@"
	`, args...)
	if err != nil {
		n.t.Fatalf("%v\n%s", err, out)
	}
	eventually(n.t, 20*time.Second, "the daemon ends", func() (bool, string) {
		left := processes(n.point)
		return len(left) == 0, fmt.Sprint(left)
	})
	return strings.Split(strings.TrimSpace(out), "\n")
}

func TestOrdinaryUserMounts(t *testing.T) {
	t.Parallel()
	n := newNobody(t)
	lines := n.run(`
		"$1" -F "$2" "$3" "$4"
		echo "by nobody" >"$4/f"
		cat "$4/f"
		findmnt -n -o OPTIONS "$4"
		"$1" status "$4" >/dev/null
		fusermount3 -u "$4"
	`, "HOME="+n.home, "XDG_STATE_HOME="+n.home)
	if len(lines) != 2 || lines[0] != "by nobody" || !strings.Contains(lines[1], "nosuid,nodev") {
		t.Errorf("an ordinary user sees %q", lines)
	}
	wantContent(t, n.s.local("f"), "by nobody\n")
}

// Services have no home that they can write.
func TestOrdinaryUserWithoutAHomeMounts(t *testing.T) {
	t.Parallel()
	n := newNobody(t)
	lines := n.run(`
		"$1" -F "$2" "$3" "$4"
		"$1" status "$4" | grep -o "log .*"
		fusermount3 -u "$4"
	`, "HOME=/nonexistent")
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "log "+n.runtime) {
		t.Errorf("it says %q, want a log in %s", lines, n.runtime)
	}
}

// Whether the mount of a killed process is taken away is up to fusermount3; but it must be ended with the mount.
func TestAutoUnmountOfAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	n := newNobody(t)
	lines := n.run(`
		"$1" -F "$2" "$3" "$4" -o auto_unmount
		ps -eo args | grep -c "[f]usermount3.* $4"
		"$1" umount "$4"
		findmnt "$4" || echo "gone"
		ps -eo args | grep "[f]usermount3.* $4" || echo "no helper is left"
	`, "HOME="+n.home, "XDG_STATE_HOME="+n.home)
	if !slices.Equal(lines, []string{"1", "gone", "no helper is left"}) {
		t.Errorf("it says %q", lines)
	}
}

func TestAMountOfAnotherUserSaysWhoseItIs(t *testing.T) {
	t.Parallel()
	needRoot(t)
	onlySshmount(t)
	m := newServer(t).mount()
	for _, args := range [][]string{{"status"}, {"sync"}, {"kick"}, {"umount"}, {"umount", "--lazy"}} {
		cmd := exec.Command(binary, append(args, m.point)...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "belongs to user root (uid 0)") || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%q of root's mount by another user: %v, says %q", args, err, out)
		}
	}
}
