package fusefs_test

import (
	"os"
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
