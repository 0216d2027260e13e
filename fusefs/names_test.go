package fusefs_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

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
