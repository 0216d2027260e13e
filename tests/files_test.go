package tests

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// oddNames are legal on the server and stumbled over by programs.
var oddNames = []string{
	"with space", " leading", "trailing ", "new\nline", "tab\there", "back\\slash", "quote'\"`$(x)", "*?[a]", "-rf", "~", "#x#",
	"ümläut-日本語-🙂", "not utf8 \xff\xfe\x80", "\x01\x02\x7f", "...", "..x", strings.Repeat("n", 255), strings.Repeat("é", 127) + "e",
}

func TestOddNames(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	must(t, os.Mkdir(m.path("dir"), 0o755))
	for _, name := range oddNames {
		must(t, os.WriteFile(m.path("dir", name), []byte(name), 0o644))
		wantContent(t, s.local("dir", name), name)
	}
	entries, err := os.ReadDir(m.path("dir"))
	must(t, err)
	if len(entries) != len(oddNames) {
		t.Errorf("the listing has %d names, want %d", len(entries), len(oddNames))
	}
	for _, name := range oddNames {
		wantContent(t, m.path("dir", name), name)
		must(t, os.Rename(m.path("dir", name), m.path("dir", "renamed")))
		must(t, os.Rename(m.path("dir", "renamed"), m.path("dir", name)))
		must(t, os.Mkdir(m.path(name), 0o755))
		must(t, os.Symlink(name, m.path("link")))
		if got, err := os.Readlink(m.path("link")); err != nil || got != name {
			t.Errorf("link to %q: %q, %v", name, got, err)
		}
		must(t, os.Remove(m.path("link")))
		must(t, os.Remove(m.path("dir", name)))
	}
	if left, _ := os.ReadDir(s.local("dir")); len(left) != 0 {
		t.Errorf("%d files are left on the server", len(left))
	}
	long := strings.Repeat("n", 256)
	wantErrno(t, "create a name of 256 bytes", os.WriteFile(m.path(long), nil, 0o644), syscall.ENAMETOOLONG)
	_, err = os.Stat(m.path(long))
	wantErrno(t, "stat a name of 256 bytes", err, syscall.ENAMETOOLONG)
}

func TestTwentyThousandNamesInOneDirectory(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const names = 20_000
	must(t, os.Mkdir(s.local("many"), 0o755))
	for i := range names {
		f, err := os.Create(s.local("many", fmt.Sprintf("name-%05d", i)))
		must(t, err)
		f.Close()
	}
	m := s.mount()
	if out := run(t, m.path("many"), "sh", "-c", "ls -lU | wc -l"); strings.TrimSpace(out) != fmt.Sprint(names+1) {
		t.Errorf("ls -l shows %s lines, want %d", strings.TrimSpace(out), names+1)
	}
	// Read in pieces, by an open directory that is read with getdents: each name comes exactly once.
	d, err := os.Open(m.path("many"))
	must(t, err)
	defer d.Close()
	seen := map[string]bool{}
	for {
		some, err := d.Readdirnames(777)
		for _, n := range some {
			if seen[n] {
				t.Fatalf("%s comes twice", n)
			}
			seen[n] = true
		}
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
	}
	if len(seen) != names {
		t.Errorf("%d names, want %d", len(seen), names)
	}
	// rm -r reads and removes in turns.
	run(t, "", "rm", "-r", m.path("many"))
	if exists(s.local("many")) {
		t.Error("rm -r did not remove everything")
	}
}

func TestFileOverFourGiB(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	const far = 5 << 30
	f, err := os.OpenFile(m.path("big"), os.O_RDWR|os.O_CREATE, 0o644)
	must(t, err)
	defer f.Close()
	mark := pseudoRandom(1, 300_000)
	_, err = f.WriteAt(mark, far)
	must(t, err)
	_, err = f.WriteAt([]byte("start"), 0)
	must(t, err)
	must(t, f.Sync())
	got := make([]byte, len(mark))
	_, err = f.ReadAt(got, far)
	must(t, err)
	if !bytes.Equal(got, mark) {
		t.Error("what was written at 5 GiB reads back differently")
	}
	hole := make([]byte, 4096)
	_, err = f.ReadAt(hole, 1<<32)
	must(t, err)
	if !bytes.Equal(hole, make([]byte, 4096)) {
		t.Error("the hole at 4 GiB is not of zeros")
	}
	if size := lstat(t, s.local("big")).Size; size != far+int64(len(mark)) {
		t.Errorf("the server's file has %d bytes, want %d", size, far+len(mark))
	}
	must(t, f.Truncate(1<<32+1))
	must(t, f.Sync())
	for _, p := range []string{s.local("big"), m.path("big")} {
		if size := lstat(t, p).Size; size != 1<<32+1 {
			t.Errorf("%s has %d bytes after truncating, want %d", p, size, int64(1<<32+1))
		}
	}
	if n, err := f.ReadAt(hole, 1<<32); n != 1 || !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %d bytes, %v", n, err)
	}
}

func TestHardLinks(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	write(t, m.path("a"), "one")
	must(t, os.Link(m.path("a"), m.path("b")))
	wantErrno(t, "link over a name", os.Link(m.path("a"), m.path("b")), syscall.EEXIST)
	on := lstat(t, s.local("a"))
	if on.Nlink != 2 || on.Ino != lstat(t, s.local("b")).Ino {
		t.Errorf("on the server a has %d links", on.Nlink)
	}
	must(t, os.Remove(m.path("a")))
	wantContent(t, m.path("b"), "one")
}

func TestSymlinksStayInside(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	must(t, os.MkdirAll(s.local("d/e"), 0o755))
	write(t, s.local("target"), "inside")
	links := map[string]string{ // name: target as it is on the server
		"plain":      "target",
		"d/up":       "../target",
		"d/e/up-two": "../../target",
		"d/inside":   s.local("target"),
		"d/e/dir":    s.local("d"),
		"dangling":   "nowhere",
	}
	outside := map[string]string{
		"absolute":      "/etc/passwd",
		"too-far-up":    "../secret",
		"d/too-far-up":  "../../secret",
		"d/up-later":    "e/../../../secret",
		"beside-prefix": s.root + "x/secret",
	}
	for name, target := range links {
		must(t, os.Symlink(target, s.local(name)))
	}
	for name, target := range outside {
		must(t, os.Symlink(target, s.local(name)))
	}
	m := s.mount()
	for _, name := range []string{"plain", "d/up", "d/e/up-two"} {
		wantContent(t, m.path(name), "inside")
	}
	if got, err := os.Readlink(m.path("dangling")); err != nil || got != "nowhere" {
		t.Errorf("the dangling link shows %q, %v", got, err)
	}
	if !standIn {
		wantContent(t, m.path("d/inside"), "inside")
		wantContent(t, m.path("d/e/dir/up"), "inside")
	}
	for name := range outside {
		_, err := os.Readlink(m.path(name))
		wantErrno(t, "readlink "+name, err, syscall.EPERM)
		_, err = os.ReadFile(m.path(name))
		wantErrno(t, "read through "+name, err, syscall.EPERM)
	}
	if !standIn && !strings.Contains(m.logText(), "contain_symlinks") {
		t.Errorf("the log does not name the option that allows such links:\n%s", m.logText())
	}

	// A link itself can be listed, renamed and removed wherever it leads.
	must(t, os.Rename(m.path("absolute"), m.path("renamed")))
	must(t, os.Remove(m.path("renamed")))

	free := s.mount("-o", "no_contain_symlinks")
	if got, err := os.Readlink(free.path("too-far-up")); err != nil || got != "../secret" {
		t.Errorf("with no_contain_symlinks: %q, %v", got, err)
	}
	follow := s.mount("-o", "follow_symlinks")
	if st := lstat(t, follow.path("plain")); st.Mode&syscall.S_IFMT != syscall.S_IFREG || st.Size != 6 {
		t.Errorf("with follow_symlinks a link shows as mode %o, size %d", st.Mode, st.Size)
	}
	transform := s.mount("-o", "transform_symlinks")
	if got, err := os.Readlink(transform.path("d/inside")); err != nil || filepath.Join(transform.path("d"), got) != transform.path("target") {
		t.Errorf("with transform_symlinks: %q, %v", got, err)
	}
}

// A link's own times are set, never those of what it leads to.
func TestTimesOfALinkAreItsOwn(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	m := s.mount()
	write(t, m.path("file"), "x")
	must(t, os.Symlink("file", m.path("link")))
	must(t, os.Symlink("nowhere", m.path("dangling")))
	before := lstat(t, s.local("file")).Mtim.Sec
	run(t, m.point, "touch", "-h", "-d", "2001-02-03 04:05:06 UTC", "link", "dangling")
	const want = 981173106
	for _, p := range []string{m.path("link"), s.local("link"), m.path("dangling"), s.local("dangling")} {
		if got := lstat(t, p).Mtim.Sec; got != want {
			t.Errorf("%s has mtime %d, want %d", p, got, want)
		}
	}
	if got := lstat(t, s.local("file")).Mtim.Sec; got != before {
		t.Errorf("touch -h changed the file's mtime from %d to %d", before, got)
	}
}

func TestTimesAndModes(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	write(t, m.path("f"), "x")
	for _, when := range []int64{0, 1, 86400, 1<<31 - 1} {
		must(t, os.Chtimes(m.path("f"), time.Unix(when, 0), time.Unix(when, 0)))
		if got := lstat(t, s.local("f")); got.Mtim.Sec != when || got.Atim.Sec != when {
			t.Errorf("set to %d, the server has mtime %d, atime %d", when, got.Mtim.Sec, got.Atim.Sec)
		}
		if got := lstat(t, m.path("f")); got.Mtim.Sec != when {
			t.Errorf("set to %d, the mount shows mtime %d", when, got.Mtim.Sec)
		}
	}
	// One time alone leaves the other.
	must(t, os.Chtimes(m.path("f"), time.Unix(1111, 0), time.Unix(2222, 0)))
	run(t, "", "touch", "-m", "-d", "@3333", m.path("f"))
	if got := lstat(t, s.local("f")); got.Atim.Sec != 1111 || got.Mtim.Sec != 3333 {
		t.Errorf("after touch -m: atime %d, mtime %d", got.Atim.Sec, got.Mtim.Sec)
	}
	before := time.Now().Unix()
	run(t, "", "touch", m.path("f"))
	if got := lstat(t, s.local("f")).Mtim.Sec; got < before-2 || got > before+60 {
		t.Errorf("touch sets %d, now is %d", got, before)
	}
	for _, mode := range []os.FileMode{0o600, 0o755, 0o444, 0} {
		must(t, os.Chmod(m.path("f"), mode))
		if got := lstat(t, s.local("f")).Mode & 0o7777; got != uint32(mode) {
			t.Errorf("chmod %o made %o on the server", mode, got)
		}
		if got := lstat(t, m.path("f")).Mode & 0o7777; got != uint32(mode) {
			t.Errorf("chmod %o shows %o", mode, got)
		}
	}
}

// New files and directories get the mode that was asked for less the creating process's umask, whatever the server's is.
func TestModesOfNewFilesFollowTheUmask(t *testing.T) {
	t.Parallel()
	for _, remote := range []string{"022", "077"} {
		t.Run("server's umask "+remote, func(t *testing.T) {
			s := newServerWith(t, serverOptions{subsystem: sftpServer + " -u " + remote})
			m := s.mount()
			for _, umask := range []string{"022", "027", "077", "000"} {
				shell(t, m.point, `umask $1; : >f$1; mkdir d$1; mkfifo p$1 2>/dev/null || :`, umask)
				var bits uint32
				fmt.Sscanf(umask, "%o", &bits)
				if standIn && remote == "077" {
					continue // sshfs lets the server's umask have its way
				}
				for _, at := range []string{s.root, m.point} {
					if got := lstat(t, at+"/f"+umask).Mode & 0o7777; got != 0o666&^bits {
						t.Errorf("%s: a file made with umask %s has mode %o", at, umask, got)
					}
					if got := lstat(t, at+"/d"+umask).Mode & 0o7777; got != 0o777&^bits {
						t.Errorf("%s: a directory made with umask %s has mode %o", at, umask, got)
					}
				}
			}
		})
	}
}

func TestSharedMapping(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	want := pseudoRandom(3, 3<<20)
	write(t, m.path("f"), string(want))
	startHelper(t, "mmap", m.path("f"), "through a mapping", "1048570").wait(t)
	copy(want[1048570:], "through a mapping")
	wantContent(t, m.path("f"), string(want))
	wantContent(t, s.local("f"), string(want))
}

// Two processes append to one file: no line is lost or cut.
func TestAppendByTwoProcesses(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	write(t, m.path("log"), "begin\n")
	const lines = 500
	a := startHelper(t, "append", m.path("log"), "a", fmt.Sprint(lines))
	b := startHelper(t, "append", m.path("log"), "b", fmt.Sprint(lines))
	a.wait(t)
	b.wait(t)
	got := strings.Split(strings.TrimSuffix(read(t, s.local("log")), "\n"), "\n")
	if len(got) != 2*lines+1 || got[0] != "begin" {
		t.Fatalf("%d lines, the first %q; want %d", len(got), got[0], 2*lines+1)
	}
	next := map[string]int{}
	for _, line := range got[1:] {
		var who string
		var n int
		if _, err := fmt.Sscanf(line, "%1s %06d", &who, &n); err != nil || n != next[who] {
			t.Fatalf("line %q, want number %d", line, next[who])
		}
		next[who]++
	}
}

func TestLocksBetweenProcesses(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	for _, kind := range []string{"count-fcntl", "count-flock"} {
		file := m.path(kind)
		write(t, file, "00000000")
		const times = 150
		var all []*background
		for range 3 {
			all = append(all, startHelper(t, kind, file, fmt.Sprint(times)))
		}
		for _, b := range all {
			b.wait(t)
		}
		wantContent(t, s.local(kind), fmt.Sprintf("%08d", 3*times))
	}
	// A lock ends with its process, however that ends.
	holder := startHelper(t, "hold-flock", m.path("count-flock"))
	f, err := os.OpenFile(m.path("count-flock"), os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	eventually(t, 20*time.Second, "the other process has the lock", func() (bool, string) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
		}
		return errors.Is(err, syscall.EWOULDBLOCK), fmt.Sprint(err)
	})
	_ = holder.cmd.Process.Kill()
	must(t, within(t, 20*time.Second, "getting the lock of a killed process", func() error {
		return syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}))
}

// A file that was removed or replaced while open stays what it was for who has it open.
func TestUnlinkedOpenFileStaysUsable(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	f, err := os.OpenFile(m.path("f"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	must(t, err)
	defer f.Close()
	_, err = f.WriteString("before")
	must(t, err)
	must(t, os.Remove(m.path("f")))
	if exists(m.path("f")) {
		t.Error("the removed name is still there")
	}
	entries, err := os.ReadDir(m.point)
	must(t, err)
	for _, e := range entries {
		if standIn && strings.HasPrefix(e.Name(), ".fuse_hidden") {
			continue
		}
		t.Errorf("the directory shows %s", e.Name())
	}
	_, err = f.WriteString(" and after")
	must(t, err)
	must(t, f.Sync())
	got := make([]byte, 100)
	n, err := f.ReadAt(got, 0)
	if string(got[:n]) != "before and after" || !errors.Is(err, io.EOF) {
		t.Errorf("reads %q, %v", got[:n], err)
	}
	st, err := f.Stat()
	must(t, err)
	if st.Size() != 16 {
		t.Errorf("fstat says %d bytes, want 16", st.Size())
	}
	must(t, f.Truncate(6))
	// A new file of the old name is another one.
	write(t, m.path("f"), "another")
	n, _ = f.ReadAt(got, 0)
	if string(got[:n]) != "before" {
		t.Errorf("after a new file of that name: %q", got[:n])
	}
	write(t, m.path("g"), "third")
	must(t, os.Rename(m.path("g"), m.path("f")))
	wantContent(t, m.path("f"), "third")
	must(t, f.Close())
	wantContent(t, s.local("f"), "third")
}

func TestRenames(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	must(t, os.MkdirAll(m.path("a/b"), 0o755))
	must(t, os.Mkdir(m.path("full"), 0o755))
	write(t, m.path("full/x"), "x")
	write(t, m.path("a/b/f"), "content")
	f, err := os.Open(m.path("a/b/f"))
	must(t, err)
	defer f.Close()
	must(t, os.Rename(m.path("a"), m.path("moved")))
	wantContent(t, m.path("moved/b/f"), "content")
	b := make([]byte, 7)
	if _, err := f.ReadAt(b, 0); err != nil || string(b) != "content" {
		t.Errorf("the open file below a renamed directory: %q, %v", b, err)
	}
	write(t, m.path("old"), "old")
	write(t, m.path("new"), "new")
	must(t, os.Rename(m.path("new"), m.path("old")))
	wantContent(t, m.path("old"), "new")
	wantContent(t, s.local("old"), "new")

	write(t, m.path("other"), "other")
	rename := func(flags uint) error {
		return unix.Renameat2(unix.AT_FDCWD, m.path("other"), unix.AT_FDCWD, m.path("old"), flags)
	}
	wantErrno(t, "rename with NOREPLACE onto a file", rename(unix.RENAME_NOREPLACE), syscall.EEXIST)
	wantContent(t, s.local("old"), "new")
	wantErrno(t, "rename with EXCHANGE", rename(unix.RENAME_EXCHANGE), syscall.EINVAL)
	if !standIn {
		must(t, unix.Renameat2(unix.AT_FDCWD, m.path("other"), unix.AT_FDCWD, m.path("fresh"), unix.RENAME_NOREPLACE))
		wantContent(t, s.local("fresh"), "other")
		wantErrno(t, "rename onto a full directory", syscall.Rename(m.path("moved"), m.path("full")), syscall.ENOTEMPTY)
		wantErrno(t, "rename a directory onto a file", syscall.Rename(m.path("moved"), m.path("old")), syscall.ENOTDIR)
		wantErrno(t, "rename a file onto a directory", syscall.Rename(m.path("old"), m.path("full")), syscall.EISDIR)
	}
}

// What programs decide by: the server folds many errors into one, the mount gives the right one back.
func TestErrorsAreTheRightOnes(t *testing.T) {
	t.Parallel()
	onlySshmount(t)
	s := newServer(t)
	must(t, os.Mkdir(s.local("dir"), 0o755))
	must(t, os.Mkdir(s.local("empty"), 0o755))
	write(t, s.local("dir/f"), "x")
	write(t, s.local("f"), "x")
	must(t, os.Symlink("loop", s.local("loop")))
	m := s.mount()
	_, err := os.Stat(m.path("none"))
	wantErrno(t, "stat of a missing name", err, syscall.ENOENT)
	_, err = os.Stat(m.path("f/x"))
	wantErrno(t, "stat below a file", err, syscall.ENOTDIR)
	wantErrno(t, "rmdir of a full directory", syscall.Rmdir(m.path("dir")), syscall.ENOTEMPTY)
	wantErrno(t, "rmdir of a file", syscall.Rmdir(m.path("f")), syscall.ENOTDIR)
	wantErrno(t, "unlink of a directory", syscall.Unlink(m.path("dir")), syscall.EISDIR)
	wantErrno(t, "mkdir of what is there", syscall.Mkdir(m.path("f"), 0o755), syscall.EEXIST)
	wantErrno(t, "mkdir in a missing directory", syscall.Mkdir(m.path("none/x"), 0o755), syscall.ENOENT)
	wantErrno(t, "symlink over a name", os.Symlink("x", m.path("f")), syscall.EEXIST)
	_, err = os.OpenFile(m.path("f"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	wantErrno(t, "O_EXCL of what is there", err, syscall.EEXIST)
	_, err = os.OpenFile(m.path("dir"), os.O_WRONLY, 0)
	wantErrno(t, "write to a directory", err, syscall.EISDIR)
	_, err = os.ReadFile(m.path("loop"))
	wantErrno(t, "read a link to itself", err, syscall.ELOOP)
	wantErrno(t, "mkfifo", syscall.Mkfifo(m.path("fifo"), 0o600), syscall.EPERM)
	must(t, syscall.Rmdir(m.path("empty")))
	// Gone on the server behind the mount's back.
	wantContent(t, m.path("f"), "x")
	must(t, os.Remove(s.local("f")))
	wantErrno(t, "unlink of what has gone", syscall.Unlink(m.path("f")), syscall.ENOENT)
}

func TestCopiesWithinTheMount(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	content := string(pseudoRandom(5, 8<<20+123))
	write(t, m.path("a"), content)
	run(t, m.point, "cp", "a", "b")
	wantContent(t, s.local("b"), content)
	wantContent(t, m.path("b"), content)

	if standIn {
		return
	}
	// Parts of files, from one that has bytes the server has not seen.
	src, err := os.OpenFile(m.path("a"), os.O_RDWR, 0)
	must(t, err)
	defer src.Close()
	dst, err := os.OpenFile(m.path("c"), os.O_RDWR|os.O_CREATE, 0o644)
	must(t, err)
	defer dst.Close()
	fresh := pseudoRandom(6, 100_000)
	_, err = src.WriteAt(fresh, 50_000)
	must(t, err)
	in, out, left := int64(40_000), int64(7), 300_000
	for left > 0 {
		n, err := unix.CopyFileRange(int(src.Fd()), &in, int(dst.Fd()), &out, left, 0)
		must(t, err)
		if n == 0 {
			t.Fatal("copy_file_range stops early")
		}
		left -= n
	}
	must(t, dst.Close())
	want := []byte(content)
	copy(want[50_000:], fresh)
	wantContent(t, s.local("c"), strings.Repeat("\x00", 7)+string(want[40_000:340_000]))
	wantContent(t, m.path("c"), strings.Repeat("\x00", 7)+string(want[40_000:340_000]))
}

func TestFreeSpaceIsTheServers(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	var here, there syscall.Statfs_t
	must(t, syscall.Statfs(m.point, &here))
	must(t, syscall.Statfs(s.root, &there))
	if a, b := here.Blocks*uint64(here.Frsize), there.Blocks*uint64(there.Frsize); a != b {
		t.Errorf("size: the mount says %d bytes, the server %d", a, b)
	}
	a, b := float64(here.Bavail)*float64(here.Frsize), float64(there.Bavail)*float64(there.Frsize)
	if a < 0.8*b || a > 1.25*b {
		t.Errorf("free: the mount says %.0f bytes, the server %.0f", a, b)
	}
	if here.Namelen != 255 {
		t.Errorf("names may have %d bytes, want 255", here.Namelen)
	}
	if out := run(t, "", "df", "-T", m.point); !strings.Contains(out, "fuse.ssh") {
		t.Errorf("df -T says:\n%s", out)
	}
}

// A write in the middle, a hole, a cut and growth, by several handles of one file: what each sees is what was written last.
func TestHandlesOfOneFileAgree(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	var open [4]*os.File
	for i := range open {
		f, err := os.OpenFile(m.path("f"), os.O_RDWR|os.O_CREATE, 0o644)
		must(t, err)
		defer f.Close()
		open[i] = f
	}
	want := []byte{}
	put := func(p []byte, off int) {
		if n := off + len(p); n > len(want) {
			want = append(want, make([]byte, n-len(want))...)
		}
		copy(want[off:], p)
	}
	for i := range 60 {
		f := open[i%len(open)]
		off := (i * 37_123) % 400_000
		p := pseudoRandom(uint64(i), 1+(i*7919)%60_000)
		_, err := f.WriteAt(p, int64(off))
		must(t, err)
		put(p, off)
		if i%13 == 12 {
			size := len(want) * 2 / 3
			must(t, f.Truncate(int64(size)))
			want = want[:size:size]
		}
		other := open[(i+1)%len(open)]
		got, err := io.ReadAll(io.NewSectionReader(other, 0, 1<<30))
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Fatalf("after step %d another handle reads %d bytes that are not the %d written", i, len(got), len(want))
		}
	}
	for _, f := range open {
		must(t, f.Close())
	}
	wantContent(t, s.local("f"), string(want))
}

// Reads and writes of many threads in one process at once, as databases and downloaders do them.
func TestRaceParallelReadersAndWritersOfOneFile(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	m := s.mount()
	const parts, size = 16, 400_000
	f, err := os.OpenFile(m.path("f"), os.O_RDWR|os.O_CREATE, 0o644)
	must(t, err)
	defer f.Close()
	must(t, f.Truncate(parts*size))
	var wg sync.WaitGroup
	errs := make(chan error, parts)
	for i := range parts {
		wg.Go(func() {
			want := pseudoRandom(uint64(i), size)
			for at := 0; at < size; at += 33_333 {
				if _, err := f.WriteAt(want[at:min(at+33_333, size)], int64(i*size+at)); err != nil {
					errs <- err
					return
				}
			}
			got := make([]byte, size)
			if _, err := f.ReadAt(got, int64(i*size)); err != nil || !bytes.Equal(got, want) {
				errs <- fmt.Errorf("part %d reads back differently (%v)", i, err)
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	must(t, f.Close())
	var whole []byte
	for i := range parts {
		whole = append(whole, pseudoRandom(uint64(i), size)...)
	}
	wantContent(t, s.local("f"), string(whole))
}
