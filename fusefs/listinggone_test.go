package fusefs_test

import (
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// readdir(3) says of ENOENT that the directory has come to its end.
func TestAnOpenDirectoryThatIsNotThereAnyMoreHasNoEnd(t *testing.T) {
	m := mount(t, func(s *setup) { s.Cache.NoDirCache = true })
	check(t, os.Mkdir(m.server("dir"), 0o755))
	put(t, m.server("dir/f"), "")
	d, err := os.Open(m.path("dir"))
	check(t, err)
	defer d.Close()
	if names, err := d.Readdirnames(-1); err != nil || len(names) != 1 {
		t.Fatalf("%v, %v", names, err)
	}
	check(t, os.RemoveAll(m.server("dir")))
	_, err = d.Seek(0, 0)
	check(t, err)
	buf := make([]byte, 4096)
	for {
		n, err := unix.Getdents(int(d.Fd()), buf) // "." and ".." come first
		if err != nil {
			wantErrno(t, "reading on", err, syscall.ESTALE)
			return
		}
		if n == 0 {
			t.Fatal("it has come to its end")
		}
	}
}
