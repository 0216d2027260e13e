package tests

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

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
		must(t, os.Symlink(m.path("target"), m.path("d/made-here")))
		wantContent(t, m.path("d/made-here"), "inside")
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
