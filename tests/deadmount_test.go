package tests

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A mount whose process was killed is cleared up by the next mount in its place, without a word being needed.
func TestDeadMountIsClearedUp(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	write(t, s.local("f"), "x")
	m := s.mount()
	must(t, m.cmd.Process.Kill())
	<-m.ended
	_, err := os.ReadDir(m.point)
	wantErrno(t, "a listing of a dead mount", err, syscall.ENOTCONN)
	again := mountArgs(t, []string{"-F", s.config, s.remote(), m.point}, nil)
	eventually(t, 10*time.Second, "the new mount answers", func() (bool, string) {
		b, err := os.ReadFile(again.path("f"))
		return string(b) == "x", fmt.Sprint(err)
	})
	if n := len(mountsUnder(m.point)); n != 1 {
		t.Errorf("%d mounts lie on each other, want 1", n)
	}
}

// A mount point under which a mount hangs is named, not waited for.
func TestHangingMountIsNamed(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	m := s.mount("-o", "attr_timeout=0,entry_timeout=0,dir_cache=no")
	must(t, m.cmd.Process.Signal(syscall.SIGSTOP))
	defer func() { _ = m.cmd.Process.Signal(syscall.SIGCONT) }()
	began := time.Now()
	out, err := commandEnv(30*time.Second, "", programEnv(), nil, binary, "-F", s.config, s.remote(), m.point)
	if err == nil {
		t.Error("mounting over a hanging mount succeeded")
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	if !strings.Contains(out, m.point) || strings.Count(strings.TrimSpace(out), "\n") != 0 {
		t.Errorf("it says:\n%s", out)
	}
}
