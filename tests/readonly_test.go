package tests

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

// In a directory that its permission bits close to the user nothing is known beforehand: a change there is refused, not reported as done.
func TestAsyncChangesInAReadOnlyDirectoryAreRefused(t *testing.T) {
	t.Parallel()
	needRoot(t)
	onlySshmount(t)
	s := newServerWith(t, serverOptions{user: "nobody", subsystem: "internal-sftp"})
	must(t, os.Chown(s.root, 65534, 65534))
	m := s.mount("-o", "async")
	dir := m.path("d")
	must(t, os.Mkdir(dir, 0o755))
	write(t, m.path("d/f"), "x")
	must(t, os.Mkdir(m.path("d/sub"), 0o755))
	must(t, os.Chmod(dir, 0o500))
	for what, change := range map[string]func() error{
		"unlink": func() error { return os.Remove(m.path("d/f")) },
		"rmdir":  func() error { return syscall.Rmdir(m.path("d/sub")) },
		"mkdir":  func() error { return os.Mkdir(m.path("d/new"), 0o755) },
		"create": func() error { return os.WriteFile(m.path("d/made"), []byte("x"), 0o644) },
		"rename": func() error { return os.Rename(m.path("d/f"), m.path("f")) },
	} {
		if err := change(); !errors.Is(err, syscall.EACCES) {
			t.Errorf("%s in a directory that is read-only: %v, want EACCES", what, err)
		}
	}
	wantContent(t, m.path("d/f"), "x")
}

// A directory that was listed before is refused like any other once its permission bits don't let it be read.
func TestADirectoryMadeUnreadableIsNotListed(t *testing.T) {
	t.Parallel()
	needRoot(t)
	onlySshmount(t)
	s := newServerWith(t, serverOptions{user: "nobody", subsystem: "internal-sftp"})
	must(t, os.Chown(s.root, 65534, 65534))
	for _, o := range []string{"rw", "async"} {
		m := s.mount("-o", o)
		dir := m.path(o)
		must(t, os.Mkdir(dir, 0o755))
		write(t, m.path(o+"/f"), "x")
		if _, err := os.ReadDir(dir); err != nil {
			t.Fatal(err)
		}
		must(t, os.Chmod(dir, 0))
		if names, err := os.ReadDir(dir); !errors.Is(err, syscall.EACCES) {
			t.Errorf("%s: listing a directory of mode 0: %v, %v, want EACCES", o, names, err)
		}
		must(t, os.Chmod(dir, 0o700))
		if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
			t.Errorf("%s: listing it once it may be read: %v, %v", o, names, err)
		}
	}
}
