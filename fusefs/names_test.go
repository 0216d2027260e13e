package fusefs_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestErrnoOfEachMistake(t *testing.T) {
	m := mount(t)
	put(t, m.server("file"), "content")
	put(t, m.server("other"), "content")
	check(t, os.MkdirAll(m.server("full/sub"), 0o755))
	check(t, os.Mkdir(m.server("empty"), 0o755))
	check(t, os.Symlink("loop2", m.server("loop1")))
	check(t, os.Symlink("loop1", m.server("loop2")))
	long := strings.Repeat("n", 256)
	open := func(name string, flags int) error {
		fd, err := unix.Open(m.path(name), flags, 0o644)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
	rename2 := func(from, to string, flags uint) error {
		return unix.Renameat2(unix.AT_FDCWD, m.path(from), unix.AT_FDCWD, m.path(to), flags)
	}
	file, err := os.OpenFile(m.path("file"), os.O_RDWR, 0)
	check(t, err)
	defer file.Close()
	_, ioctl := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	_, xattr := unix.Getxattr(m.path("file"), "user.x", make([]byte, 10))
	_, readlink := os.Readlink(m.path("file"))

	for _, c := range []struct {
		what string
		err  error
		want syscall.Errno
	}{
		{"open of a missing file", open("missing", unix.O_RDONLY), unix.ENOENT},
		{"open in a missing directory", open("missing/file", unix.O_RDWR|unix.O_CREAT), unix.ENOENT},
		{"open below a file", open("file/below", unix.O_RDONLY), unix.ENOTDIR},
		{"open of a file as a directory", open("file", unix.O_RDONLY|unix.O_DIRECTORY), unix.ENOTDIR},
		{"open of a directory for writing", open("full", unix.O_RDWR), unix.EISDIR},
		{"exclusive creation of what exists", open("file", unix.O_RDWR|unix.O_CREAT|unix.O_EXCL), unix.EEXIST},
		{"open of a loop of links", open("loop1", unix.O_RDONLY), unix.ELOOP},
		{"open of a link with O_NOFOLLOW", open("loop1", unix.O_RDONLY|unix.O_NOFOLLOW), unix.ELOOP},
		{"open of a long name", open(long, unix.O_RDONLY), unix.ENAMETOOLONG},
		{"creation of a long name", open(long, unix.O_RDWR|unix.O_CREAT), unix.ENAMETOOLONG},
		{"file without a name", open("", unix.O_RDWR|unix.O_TMPFILE), unix.EOPNOTSUPP},
		{"mkdir of a directory", unix.Mkdir(m.path("full"), 0o755), unix.EEXIST},
		{"mkdir of a file", unix.Mkdir(m.path("file"), 0o755), unix.EEXIST},
		{"mkdir in a missing directory", unix.Mkdir(m.path("missing/dir"), 0o755), unix.ENOENT},
		{"mkdir of a long name", unix.Mkdir(m.path(long), 0o755), unix.ENAMETOOLONG},
		{"rmdir of a full directory", unix.Rmdir(m.path("full")), unix.ENOTEMPTY},
		{"rmdir of a file", unix.Rmdir(m.path("file")), unix.ENOTDIR},
		{"rmdir of a missing directory", unix.Rmdir(m.path("missing")), unix.ENOENT},
		{"unlink of a directory", unix.Unlink(m.path("full")), unix.EISDIR},
		{"unlink of a missing file", unix.Unlink(m.path("missing")), unix.ENOENT},
		{"rename of a missing file", unix.Rename(m.path("missing"), m.path("x")), unix.ENOENT},
		{"rename of a file over a directory", unix.Rename(m.path("file"), m.path("empty")), unix.EISDIR},
		{"rename of a directory over a file", unix.Rename(m.path("empty"), m.path("file")), unix.ENOTDIR},
		{"rename over a full directory", unix.Rename(m.path("empty"), m.path("full")), unix.ENOTEMPTY},
		{"rename of a directory into itself", unix.Rename(m.path("full"), m.path("full/sub/x")), unix.EINVAL},
		{"rename to a long name", unix.Rename(m.path("file"), m.path(long)), unix.ENAMETOOLONG},
		{"rename that may not replace", rename2("file", "other", unix.RENAME_NOREPLACE), unix.EEXIST},
		{"exchange of two names", rename2("file", "other", unix.RENAME_EXCHANGE), unix.EINVAL},
		{"rename with a whiteout", rename2("file", "x", unix.RENAME_WHITEOUT), unix.EINVAL},
		{"link to what exists", unix.Link(m.path("file"), m.path("other")), unix.EEXIST},
		{"link to a directory", unix.Link(m.path("full"), m.path("x")), unix.EPERM},
		{"link to a long name", unix.Link(m.path("file"), m.path(long)), unix.ENAMETOOLONG},
		{"symlink to what exists", unix.Symlink("x", m.path("file")), unix.EEXIST},
		{"symlink of a long name", unix.Symlink("x", m.path(long)), unix.ENAMETOOLONG},
		{"readlink of a file", readlink, unix.EINVAL},
		{"a named pipe", unix.Mknod(m.path("pipe"), unix.S_IFIFO|0o644, 0), unix.EPERM},
		{"a device", unix.Mknod(m.path("null"), unix.S_IFCHR|0o644, 0x103), unix.EPERM},
		{"fallocate", unix.Fallocate(int(file.Fd()), 0, 0, 100), unix.EOPNOTSUPP},
		{"an ioctl", ioctl, unix.ENOTTY},
		{"an extended attribute", xattr, unix.EOPNOTSUPP},
	} {
		wantErrno(t, c.what, c.err, c.want)
	}
	names, err := os.ReadDir(m.remote)
	check(t, err)
	if len(names) != 6 {
		t.Errorf("the mistakes left %v", names)
	}
}

func TestMknodMakesARegularFile(t *testing.T) {
	m := mount(t)
	check(t, unix.Mknod(m.path("made"), unix.S_IFREG|0o640, 0))
	st, err := os.Lstat(m.server("made"))
	check(t, err)
	if st.Mode() != 0o640 || st.Size() != 0 {
		t.Errorf("mknod made %v of %d bytes", st.Mode(), st.Size())
	}
	wantErrno(t, "mknod of what exists", unix.Mknod(m.path("made"), unix.S_IFREG|0o640, 0), unix.EEXIST)
}

func TestRenameMovesAndReplaces(t *testing.T) {
	m := mount(t)
	put(t, m.path("a"), "from a")
	put(t, m.path("b"), "from b")
	check(t, os.Rename(m.path("a"), m.path("b")))
	has(t, m.path("b"), "from a")
	has(t, m.server("b"), "from a")
	_, err := os.Lstat(m.path("a"))
	wantErrno(t, "the old name", err, unix.ENOENT)

	check(t, unix.Renameat2(unix.AT_FDCWD, m.path("b"), unix.AT_FDCWD, m.path("c"), unix.RENAME_NOREPLACE))
	has(t, m.server("c"), "from a")

	check(t, os.MkdirAll(m.path("dir/sub"), 0o755))
	put(t, m.path("dir/sub/file"), "deep")
	f, err := os.OpenFile(m.path("dir/sub/file"), os.O_WRONLY|os.O_APPEND, 0)
	check(t, err)
	check(t, os.Mkdir(m.path("empty"), 0o755))
	defer f.Close()
	check(t, unix.Rename(m.path("dir"), m.path("empty"))) // os.Rename refuses this by itself
	has(t, m.path("empty/sub/file"), "deep")
	_, err = f.WriteString("er")
	check(t, err)
	check(t, f.Close())
	has(t, m.path("empty/sub/file"), "deeper")
	has(t, m.server("empty/sub/file"), "deeper")
	check(t, os.Mkdir(m.path("dir"), 0o755))
	names, err := os.ReadDir(m.path("dir"))
	check(t, err)
	if len(names) != 0 {
		t.Errorf("a directory made anew holds %v", names)
	}
}

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

func TestAnyNameThatLinuxAllows(t *testing.T) {
	m := mount(t)
	names := []string{
		"two words", " ", "line\nbreak", "tab\t", "-rf", "*", `back\slash`, `"quoted'`, "$(true)", "..x", "...",
		"um\xc3\xa4ut", "not\xff\xfeutf8", strings.Repeat("l", 255), strings.Repeat("\xe2\x82\xac", 85),
	}
	for _, name := range names {
		put(t, m.path(name), name)
		has(t, m.server(name), name)
	}
	slices.Sort(names)
	var got []string
	entries, err := os.ReadDir(m.dir)
	check(t, err)
	for _, e := range entries {
		got = append(got, e.Name())
	}
	slices.Sort(got)
	if !slices.Equal(got, names) {
		t.Errorf("listed are %q, want %q", got, names)
	}
	for _, name := range names {
		check(t, os.Rename(m.path(name), m.path(name[:len(name)-1]+"~")))
		check(t, os.Remove(m.path(name[:len(name)-1]+"~")))
	}
}

func TestDirectoryOfManyNames(t *testing.T) {
	for _, plus := range []bool{true, false} {
		name := map[bool]string{true: "with attributes", false: "names alone"}[plus]
		t.Run(name, func(t *testing.T) {
			m := mount(t, func(s *setup) { s.Mount.NoReaddirplus = !plus })
			const n = 1200
			dir := m.server("dir")
			check(t, os.Mkdir(dir, 0o755))
			var want []string
			for i := range n {
				name := "file" + strings.Repeat("x", i%50) + string(rune('a'+i%26)) + "-" + strconv.Itoa(i)
				want = append(want, name)
				check(t, os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte{'.'}, i%7), 0o600))
			}
			slices.Sort(want)
			entries, err := os.ReadDir(m.path("dir"))
			check(t, err)
			var got []string
			for _, e := range entries {
				got = append(got, e.Name())
				info, err := e.Info()
				check(t, err)
				if info.Mode() != 0o600 || !e.Type().IsRegular() {
					t.Errorf("%s has mode %v", e.Name(), info.Mode())
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d names are listed, want %d", len(got), len(want))
			}
			check(t, os.RemoveAll(m.path("dir")))
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("after the removal stat on the server gives %v", err)
			}
		})
	}
}

func TestRewoundDirectoryShowsWhatIsThereNow(t *testing.T) {
	m := mount(t)
	put(t, m.path("before"), "")
	d, err := os.Open(m.dir)
	check(t, err)
	defer d.Close()
	first, err := d.Readdirnames(-1)
	check(t, err)
	put(t, m.path("after"), "")
	check(t, os.Remove(m.path("before")))
	_, err = d.Seek(0, 0)
	check(t, err)
	second, err := d.Readdirnames(-1)
	check(t, err)
	if !slices.Equal(first, []string{"before"}) || !slices.Equal(second, []string{"after"}) {
		t.Errorf("listed are first %q and then %q", first, second)
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

// A program that opens a directory, works in it by that descriptor and lists it then for the first time sees what it has done.
func TestADirectoryIsListedAsItIsWhenItIsReadFirst(t *testing.T) {
	m := mount(t)
	put(t, m.server("old"), "x")
	put(t, m.server("removed"), "x")
	_, err := os.ReadDir(m.dir)
	check(t, err)
	d, err := os.Open(m.dir)
	check(t, err)
	defer d.Close()
	fd, err := unix.Openat(int(d.Fd()), "new", unix.O_CREAT|unix.O_WRONLY, 0o644)
	check(t, err)
	unix.Close(fd)
	check(t, unix.Unlinkat(int(d.Fd()), "removed", 0))
	names, err := d.Readdirnames(-1)
	check(t, err)
	if slices.Sort(names); !slices.Equal(names, []string{"new", "old"}) {
		t.Errorf("the directory holds %q", names)
	}
}
