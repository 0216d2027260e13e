package fusefs_test

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNoProgramIsLedOnByALinkWithNosymfollow(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root mounts without a helper, which may not know the option")
	}
	m := mount(t, func(s *setup) { s.Mount.NoSymfollow = true })
	if line := mountLine(t, m.dir); !strings.Contains(line, "nosymfollow") {
		t.Skip("a kernel before 5.10: " + line)
	}
	put(t, m.path("file"), "content")
	check(t, os.Symlink("file", m.path("link")))
	_, err := os.Open(m.path("link"))
	wantErrno(t, "opening through a link", err, unix.ELOOP)
	if target, err := os.Readlink(m.path("link")); err != nil || target != "file" {
		t.Errorf("the link leads to %q, %v", target, err)
	}
	has(t, m.path("file"), "content")
}
