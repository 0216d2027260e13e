package fusefs_test

import (
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func utimens(t *testing.T, path string, atime, mtime unix.Timespec) {
	t.Helper()
	check(t, unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{atime, mtime}, unix.AT_SYMLINK_NOFOLLOW))
}

func TestTimes(t *testing.T) {
	m := mount(t)
	put(t, m.path("file"), "content")
	omit, now := unix.Timespec{Nsec: unix.UTIME_OMIT}, unix.Timespec{Nsec: unix.UTIME_NOW}
	expect := func(what string, atime, mtime int64) {
		t.Helper()
		for _, path := range []string{m.path("file"), m.server("file")} {
			if st := lstat(t, path); st.Atim.Sec != atime || st.Mtim.Sec != mtime {
				t.Errorf("%s: %s has the times %d and %d, want %d and %d", what, path, st.Atim.Sec, st.Mtim.Sec, atime, mtime)
			}
		}
	}
	utimens(t, m.path("file"), unix.Timespec{Sec: 1000}, unix.Timespec{Sec: 2000})
	expect("both set", 1000, 2000)
	utimens(t, m.path("file"), omit, unix.Timespec{Sec: 3000})
	expect("atime left alone", 1000, 3000)
	utimens(t, m.path("file"), unix.Timespec{Sec: 4000}, omit)
	expect("mtime left alone", 4000, 3000)
	utimens(t, m.path("file"), unix.Timespec{}, unix.Timespec{})
	expect("the first second of 1970", 0, 0)
	before := time.Now().Unix()
	utimens(t, m.path("file"), unix.Timespec{Sec: 5000}, now)
	for _, path := range []string{m.path("file"), m.server("file")} {
		if st := lstat(t, path); st.Atim.Sec != 5000 || st.Mtim.Sec < before-1 || st.Mtim.Sec > time.Now().Unix()+1 {
			t.Errorf("%s has the times %d and %d, want 5000 and now", path, st.Atim.Sec, st.Mtim.Sec)
		}
	}

	// Written, and then given an old time: the write that is delivered later must not make it new.
	f, err := os.OpenFile(m.path("file"), os.O_WRONLY, 0)
	check(t, err)
	_, err = f.WriteString("other")
	check(t, err)
	check(t, unix.Futimes(int(f.Fd()), []unix.Timeval{{Sec: 6000}, {Sec: 7000}}))
	check(t, f.Close())
	expect("set before close", 6000, 7000)
}

func TestTimesOfALinkAreItsOwn(t *testing.T) {
	m := mount(t)
	put(t, m.path("file"), "content")
	utimens(t, m.path("file"), unix.Timespec{Sec: 1000}, unix.Timespec{Sec: 1000})
	check(t, os.Symlink("file", m.path("link")))
	utimens(t, m.path("link"), unix.Timespec{Sec: 2000}, unix.Timespec{Sec: 3000})
	if st := lstat(t, m.server("link")); st.Mtim.Sec != 3000 {
		t.Errorf("on the server the link has the time %d, want 3000", st.Mtim.Sec)
	}
	if st := lstat(t, m.path("link")); st.Mtim.Sec != 3000 {
		t.Errorf("the link has the time %d, want 3000", st.Mtim.Sec)
	}
	if st := lstat(t, m.server("file")); st.Mtim.Sec != 1000 {
		t.Errorf("the file behind the link has the time %d, want 1000 still", st.Mtim.Sec)
	}
}

func TestModes(t *testing.T) {
	m := mount(t, func(s *setup) { s.Args = []string{"-u", "077"} }) // a server with its own ideas of modes
	old := unix.Umask(0o022)
	defer unix.Umask(old)
	fd, err := unix.Open(m.path("file"), unix.O_WRONLY|unix.O_CREAT, 0o777)
	check(t, err)
	check(t, unix.Close(fd))
	check(t, unix.Mkdir(m.path("dir"), 0o775))
	unread, err := os.OpenFile(m.path("secret"), os.O_WRONLY|os.O_CREATE, 0)
	check(t, err)
	_, err = unread.WriteString("written without a right to open it again")
	check(t, err)
	check(t, unread.Close())
	for name, want := range map[string]uint32{"file": 0o755, "dir": 0o755, "secret": 0} {
		for _, path := range []string{m.path(name), m.server(name)} {
			if st := lstat(t, path); st.Mode&0o7777 != want {
				t.Errorf("%s has mode %o, want %o", path, st.Mode&0o7777, want)
			}
		}
	}
	check(t, unix.Chmod(m.path("file"), 0o4711))
	for _, path := range []string{m.path("file"), m.server("file")} {
		if st := lstat(t, path); st.Mode&0o7777 != 0o4711 {
			t.Errorf("%s has mode %o after chmod 4711", path, st.Mode&0o7777)
		}
	}
}

func TestOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may give files to others")
	}
	m := mount(t)
	put(t, m.path("file"), "content")
	expect := func(uid, gid uint32) {
		t.Helper()
		for _, path := range []string{m.path("file"), m.server("file")} {
			if st := lstat(t, path); st.Uid != uid || st.Gid != gid {
				t.Errorf("%s belongs to %d:%d, want %d:%d", path, st.Uid, st.Gid, uid, gid)
			}
		}
	}
	check(t, os.Lchown(m.path("file"), 1001, 1002))
	expect(1001, 1002)
	check(t, os.Lchown(m.path("file"), 1003, -1))
	expect(1003, 1002)
	check(t, os.Lchown(m.path("file"), -1, 1004))
	expect(1003, 1004)
	check(t, os.Symlink("file", m.path("link")))
	check(t, os.Lchown(m.path("link"), 1005, 1006))
	expect(1003, 1004)
	if st := lstat(t, m.server("link")); st.Uid != 1005 || st.Gid != 1006 {
		t.Errorf("on the server the link belongs to %d:%d", st.Uid, st.Gid)
	}
}

func TestIdentitiesAreTranslatedBothWays(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may give files to others")
	}
	m := mount(t, func(s *setup) { s.IDMap = "user" })
	put(t, m.server("file"), "content")
	check(t, os.Chown(m.server("file"), 1234, 1234))
	if st := lstat(t, m.path("file")); st.Uid != 0 || st.Gid != 0 {
		t.Errorf("the remote user's file belongs to %d:%d here", st.Uid, st.Gid)
	}
	check(t, os.Chown(m.path("file"), 77, 0))
	if st := lstat(t, m.server("file")); st.Uid != 77 || st.Gid != 1234 {
		t.Errorf("after a chown to 77:0 it belongs to %d:%d on the server", st.Uid, st.Gid)
	}
}

func TestShownOwnerAndMode(t *testing.T) {
	uid, gid, umask := uint32(77), uint32(88), uint32(0o027)
	m := mount(t, func(s *setup) { s.Mount.UID, s.Mount.GID, s.Mount.Umask = &uid, &gid, &umask })
	put(t, m.server("file"), "content")
	check(t, os.Mkdir(m.server("dir"), 0o700))
	for name, want := range map[string]uint32{"file": unix.S_IFREG | 0o750, "dir": unix.S_IFDIR | 0o750} {
		if st := lstat(t, m.path(name)); st.Uid != uid || st.Gid != gid || st.Mode != want {
			t.Errorf("%s is shown as %d:%d with mode %o", name, st.Uid, st.Gid, st.Mode)
		}
	}
}

func TestStatfsIsTheServers(t *testing.T) {
	m := mount(t)
	var here, there unix.Statfs_t
	check(t, unix.Statfs(m.dir, &here))
	check(t, unix.Statfs(m.remote, &there))
	if a, b := here.Blocks*uint64(here.Bsize), there.Blocks*uint64(there.Frsize); a != b {
		t.Errorf("the disk is shown with %d bytes, it has %d", a, b)
	}
	if here.Namelen != 255 || here.Bavail == 0 {
		t.Errorf("names may have %d bytes, %d blocks are free", here.Namelen, here.Bavail)
	}

	blind := mount(t, func(s *setup) { s.Args = []string{"-P", "statvfs,fstatvfs"} })
	check(t, unix.Statfs(blind.dir, &here))
	if here.Bavail*uint64(here.Bsize) < 1<<39 {
		t.Errorf("a server that can't tell is shown with %d blocks free of %d bytes", here.Bavail, here.Bsize)
	}
}

func TestInodeNumbersStay(t *testing.T) {
	m := mount(t)
	put(t, m.path("a"), "")
	before := lstat(t, m.path("a")).Ino
	entries, err := os.ReadDir(m.dir)
	check(t, err)
	info, err := entries[0].Info()
	check(t, err)
	if got := info.Sys().(*syscall.Stat_t).Ino; got != before {
		t.Errorf("listed as inode %d, stat says %d", got, before)
	}
	check(t, os.Rename(m.path("a"), m.path("b")))
	if after := lstat(t, m.path("b")).Ino; after != before {
		t.Errorf("the rename made inode %d of %d", after, before)
	}
	if root := lstat(t, m.dir).Ino; root != 1 {
		t.Errorf("the root is inode %d", root)
	}
}

// A shell looks for programs with access(2), and root is no exception to it.
func TestAccessTellsAProgramFromOtherFiles(t *testing.T) {
	m := mount(t)
	put(t, m.path("file"), "#!/bin/sh")
	check(t, os.Mkdir(m.path("dir"), 0o700))
	for _, test := range []struct {
		name string
		mode os.FileMode
		want error
	}{
		{"file", 0o644, unix.EACCES}, {"file", 0o744, nil}, {"file", 0o601, nil}, {"dir", 0o700, nil},
	} {
		check(t, os.Chmod(m.path(test.name), test.mode))
		if err := unix.Access(m.path(test.name), unix.X_OK); err != test.want {
			t.Errorf("%s with mode %o: access says %v, want %v", test.name, test.mode, err, test.want)
		}
		if err := unix.Access(m.path(test.name), unix.R_OK|unix.W_OK); err != nil {
			t.Errorf("%s with mode %o is not to be read and written: %v", test.name, test.mode, err)
		}
	}
}
