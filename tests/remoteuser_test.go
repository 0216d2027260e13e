package tests

import (
	"os"
	"testing"
)

// An account whose login directory is root's (a chroot, a service's account) has its own files elsewhere: they are the user's here, and
// not those of root there.
func TestFilesOfALoginWithoutAHomeAreTheUsers(t *testing.T) {
	t.Parallel()
	needRoot(t)
	// The home of nobody does not exist, so the login directory is "/".
	s := newServerWith(t, serverOptions{user: "nobody", subsystem: "internal-sftp"})
	write(t, s.local("f"), "x")
	for _, path := range []string{s.root, s.local("f")} {
		must(t, os.Chown(path, 65534, 65534))
	}
	m := s.mount()
	if st := lstat(t, m.path("f")); st.Uid != uint32(os.Getuid()) || st.Gid != uint32(os.Getgid()) {
		t.Errorf("a file of the remote user's is shown as of %d:%d", st.Uid, st.Gid)
	}
	if err := os.Chown(m.path("f"), os.Getuid(), os.Getgid()); err != nil {
		t.Errorf("given to whom it belongs: %v", err)
	}
}

// A directory of another user's is not taken for the login's own.
func TestFilesOfAnotherThanTheLoginStayHis(t *testing.T) {
	t.Parallel()
	needRoot(t)
	s := newServerWith(t, serverOptions{user: "nobody", subsystem: "internal-sftp"})
	must(t, os.Chown(s.root, 1, 1)) // daemon
	if st := lstat(t, s.mount().point); st.Uid != 1 || st.Gid != 1 {
		t.Errorf("a directory of daemon's is shown as of %d:%d", st.Uid, st.Gid)
	}
}
