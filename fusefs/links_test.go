package fusefs_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLinksShareAFile(t *testing.T) {
	m := mount(t)
	put(t, m.path("one"), "shared")
	check(t, os.Link(m.path("one"), m.path("two")))
	has(t, m.server("two"), "shared")
	check(t, os.Remove(m.path("one")))
	has(t, m.path("two"), "shared")
}

func TestSymlinkKeepsItsText(t *testing.T) {
	m := mount(t)
	check(t, os.Mkdir(m.path("dir"), 0o755))
	put(t, m.path("dir/file"), "seen through a link")
	check(t, os.Symlink("dir/file", m.path("link")))
	has(t, m.path("link"), "seen through a link")
	if target, err := os.Readlink(m.server("link")); err != nil || target != "dir/file" {
		t.Errorf("on the server the link leads to %q, %v", target, err)
	}
	if st := lstat(t, m.path("link")); st.Mode&unix.S_IFMT != unix.S_IFLNK || st.Size != int64(len("dir/file")) {
		t.Errorf("the link has mode %o and size %d", st.Mode, st.Size)
	}
}

func TestOpenNeverFollowsALinkOnTheServer(t *testing.T) {
	m := mount(t, func(s *setup) { s.Cache.FreeSymlinks = true })
	outside := filepath.Join(t.TempDir(), "outside")
	put(t, outside, "not of this mount")
	put(t, m.path("name"), "")
	dev := lstat(t, m.path("name")).Dev

	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() { // makes name a file and a link in turn
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			f, err := os.Create(m.path("tmp"))
			if err == nil {
				err = f.Close()
			}
			for _, step := range []func() error{
				func() error { return os.Rename(m.path("tmp"), m.path("name")) },
				func() error { return os.Symlink(outside, m.path("tmp")) },
				func() error { return os.Rename(m.path("tmp"), m.path("name")) },
			} {
				if err == nil {
					err = step()
				}
			}
			if err != nil {
				stopped <- err
				return
			}
		}
	}()
	for range 300 {
		f, err := os.Open(m.path("name"))
		if err != nil {
			if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ESTALE) && !errors.Is(err, unix.ELOOP) {
				t.Errorf("an open gives %v", err)
			}
			continue
		}
		var st unix.Stat_t
		check(t, unix.Fstat(int(f.Fd()), &st))
		if st.Dev == dev && st.Size != 0 {
			t.Errorf("a file of %d bytes was opened through the server's link", st.Size)
		}
		f.Close()
	}
	close(stop)
	check(t, <-stopped)
}
