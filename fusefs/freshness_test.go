package fusefs_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestUnchangedFileIsReadFromTheKernelsPages(t *testing.T) {
	m := mount(t)
	want := noise(1, 1<<20)
	check(t, os.WriteFile(m.server("file"), want, 0o644))
	backdate(t, m.server("file")) // a file of this very second may change once more without a trace
	same(t, m.path("file"), want)
	m.tell("reset")
	same(t, m.path("file"), want)
	if n := m.tell("counts").Counts["READ"]; n != 0 {
		t.Errorf("reading an unchanged file again took %d READs", n)
	}
}

func TestOwnWritesKeepThePages(t *testing.T) {
	m := mount(t)
	want := noise(1, 1<<20)
	check(t, os.WriteFile(m.path("file"), want, 0o644))
	f, err := os.OpenFile(m.path("file"), os.O_RDWR, 0)
	check(t, err)
	_, err = f.WriteAt([]byte("changed"), 5000)
	check(t, err)
	copy(want[5000:], "changed")
	check(t, f.Close())
	m.tell("reset")
	same(t, m.path("file"), want)
	if n := m.tell("counts").Counts["READ"]; n != 0 {
		t.Errorf("reading what was just written took %d READs", n)
	}
}

func TestChangeOnTheServerIsSeenAtTheNextOpen(t *testing.T) {
	m := mount(t)
	for _, content := range []string{"one", "another size", "same length1", "same length2"} {
		put(t, m.server("file"), content)
		has(t, m.path("file"), content)
		backdate(t, m.server("file"))
		has(t, m.path("file"), content)
	}
	check(t, os.WriteFile(m.server("new"), []byte("replacing"), 0o644))
	check(t, os.Rename(m.server("new"), m.server("file")))
	has(t, m.path("file"), "replacing")
}

func TestChangeSeenByOneOpenReachesTheOthers(t *testing.T) {
	m := mount(t)
	first := noise(1, 100_000)
	check(t, os.WriteFile(m.server("file"), first, 0o644))
	backdate(t, m.server("file"))
	f, err := os.Open(m.path("file"))
	check(t, err)
	defer f.Close()
	got, err := io.ReadAll(f)
	check(t, err)
	if !bytes.Equal(got, first) {
		t.Error("the first content is wrong")
	}
	second := noise(2, 100_000)
	check(t, os.WriteFile(m.server("file"), second, 0o644))
	same(t, m.path("file"), second)
	eventually(t, "the new content in the descriptor that was open", func() bool {
		n, err := f.ReadAt(got, 0)
		return err == nil && bytes.Equal(got[:n], second)
	})
}

func TestOwnChangesAreKnownAtOnce(t *testing.T) {
	m := mount(t)
	_, err := os.Lstat(m.path("name"))
	wantErrno(t, "lstat before", err, unix.ENOENT)
	put(t, m.path("name"), "content")
	if st := lstat(t, m.path("name")); st.Size != int64(len("content")) {
		t.Errorf("its size is %d", st.Size)
	}
	check(t, os.Remove(m.path("name")))
	_, err = os.Lstat(m.path("name"))
	wantErrno(t, "lstat after", err, unix.ENOENT)
	check(t, os.Mkdir(m.path("name"), 0o755))
	if st := lstat(t, m.path("name")); st.Mode&unix.S_IFMT != unix.S_IFDIR {
		t.Errorf("its mode is %o", st.Mode)
	}
}

func TestWithoutDirCacheEachQuestionGoesToTheServer(t *testing.T) {
	zero := time.Duration(0)
	m := mount(t, func(s *setup) {
		s.Cache.NoDirCache = true
		s.Mount.AttrTimeout, s.Mount.EntryTimeout, s.Mount.NegativeTimeout = &zero, &zero, &zero
	})
	for range 3 {
		_, err := os.Lstat(m.path("name"))
		wantErrno(t, "lstat of a missing name", err, unix.ENOENT)
		put(t, m.server("name"), "1")
		if st := lstat(t, m.path("name")); st.Size != 1 {
			t.Errorf("its size is %d, want 1", st.Size)
		}
		put(t, m.server("name"), "22")
		if st := lstat(t, m.path("name")); st.Size != 2 {
			t.Errorf("its size is %d, want 2", st.Size)
		}
		entries, err := os.ReadDir(m.dir)
		if err != nil || len(entries) != 1 {
			t.Errorf("listed are %v, %v", entries, err)
		}
		check(t, os.Remove(m.server("name")))
	}
}

func TestTrustEnds(t *testing.T) {
	m := mount(t, func(s *setup) { s.Cache.Timeout = 2 * time.Second })
	_, err := os.Lstat(m.path("absent"))
	wantErrno(t, "lstat of an absent name", err, unix.ENOENT)
	put(t, m.server("gone"), "1")
	lstat(t, m.path("gone"))
	put(t, m.server("absent"), "here now")
	check(t, os.Remove(m.server("gone")))
	eventually(t, "a name made on the server", func() bool {
		_, err := os.Lstat(m.path("absent"))
		return err == nil
	})
	eventually(t, "the end of a name removed on the server", func() bool {
		_, err := os.Lstat(m.path("gone"))
		return errors.Is(err, unix.ENOENT)
	})
}

func TestWhatIsKnownCostsNoRequest(t *testing.T) {
	m := mount(t)
	put(t, m.server("file"), "content")
	check(t, os.Symlink("file", m.server("link")))
	_, err := os.ReadDir(m.dir)
	check(t, err)
	lstat(t, m.path("file"))
	_, err = os.Readlink(m.path("link"))
	check(t, err)
	m.tell("reset")
	for range 100 {
		lstat(t, m.path("file"))
		_, err := os.Readlink(m.path("link"))
		check(t, err)
		_, err = os.Lstat(m.path("absent"))
		wantErrno(t, "lstat of an absent name", err, unix.ENOENT)
	}
	if counts := m.tell("counts").Counts; len(counts) != 0 {
		t.Errorf("what is known was asked for: %v", counts)
	}
}

// What a change does to the time of a directory the server's clock says, and not ours.
func TestTheTimeOfAChangedDirectoryIsTheServers(t *testing.T) {
	zero := time.Duration(0)
	m := mount(t, func(s *setup) { s.Mount.EntryTimeout = &zero })
	check(t, os.Mkdir(m.path("dir"), 0o755))
	put(t, m.path("dir/file"), "content")
	then := time.Now().Add(-time.Hour) // so late is it there
	check(t, os.Chtimes(m.server("dir"), then, then))
	if got := lstat(t, m.path("dir")).Mtim.Sec; got != then.Unix() {
		t.Errorf("its mtime is %d, not %d", got, then.Unix())
	}
}
