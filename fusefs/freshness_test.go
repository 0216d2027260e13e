package fusefs_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
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

// copy_file_range(2) and sendfile(2) go as far as the kernel believes the file to go, and don't ask.
func TestAFileThatGrewIsCopiedToItsEnd(t *testing.T) {
	m := mount(t)
	for name, copied := range map[string]string{"within the mount": m.path("copy"), "to this machine": filepath.Join(t.TempDir(), "copy")} {
		t.Run(name, func(t *testing.T) {
			check(t, os.WriteFile(m.path("file"), noise(1, 5000), 0o644))
			want := noise(2, 300_000)
			check(t, os.WriteFile(m.server("file"), want, 0o644))
			in, err := os.Open(m.path("file"))
			check(t, err)
			defer in.Close()
			out, err := os.Create(copied)
			check(t, err)
			if n, err := io.Copy(out, in); n != int64(len(want)) || err != nil {
				t.Errorf("%d bytes of %d are copied; %v", n, len(want), err)
			}
			check(t, out.Close())
			same(t, copied, want)
		})
	}
}

// The kernel does not believe attributes beside which it is told that the pages are out of date.
func TestAFileThatWasSeenToGrowIsCopiedToItsEnd(t *testing.T) {
	m := mount(t)
	for i := range 50 {
		check(t, os.WriteFile(m.path("file"), noise(1, 5000), 0o644))
		check(t, os.Truncate(m.path("file"), 4000)) // the time of which is the server's to tell, so the stat will ask
		want := noise(2, 300_000+i)
		check(t, os.WriteFile(m.server("file"), want, 0o644))
		_, err := os.Stat(m.path("file"))
		check(t, err)
		in, err := os.Open(m.path("file"))
		check(t, err)
		out, err := os.Create(m.path("copy"))
		check(t, err)
		if n, err := io.Copy(out, in); n != int64(len(want)) || err != nil {
			t.Fatalf("%d bytes of %d are copied; %v", n, len(want), err)
		}
		check(t, out.Close())
		check(t, in.Close())
	}
}

// Then the pages that the other program has read are to be forgotten first.
func TestAFileThatGrewWhileAnotherHasItOpenIsCopiedToItsEnd(t *testing.T) {
	m := mount(t)
	check(t, os.WriteFile(m.path("file"), noise(1, 5000), 0o644))
	backdate(t, m.server("file"))
	other, err := os.Open(m.path("file"))
	check(t, err)
	defer other.Close()
	_, err = io.ReadAll(other)
	check(t, err)
	want := noise(2, 300_000)
	check(t, os.WriteFile(m.server("file"), want, 0o644))
	in, err := os.Open(m.path("file"))
	check(t, err)
	defer in.Close()
	out, err := os.Create(m.path("copy"))
	check(t, err)
	if n, err := io.Copy(out, in); n != int64(len(want)) || err != nil {
		t.Errorf("%d bytes of %d are copied; %v", n, len(want), err)
	}
	check(t, out.Close())
}

// Who is put off once, so that the kernel learns the size, is not put off again by the next change.
func TestAFileThatIsReplacedAllTheTimeIsOpened(t *testing.T) {
	m := mount(t)
	put(t, m.server("file"), "x")
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for range 200 {
				f, err := os.Open(m.path("file"))
				if err != nil {
					t.Error(err)
					return
				}
				f.Close()
			}
		})
	}
	done := make(chan struct{})
	go func() { readers.Wait(); close(done) }()
	for size := 1; ; size = size%9000 + 37 {
		select {
		case <-done:
			return
		default:
		}
		check(t, os.WriteFile(m.server("next"), noise(1, size), 0o644))
		check(t, os.Rename(m.server("next"), m.server("file")))
	}
}

// A hard link that was changed elsewhere is looked up by its name once more before it is opened. The kernel does that once, and whoever
// opens it is not put off a second time because it has grown meanwhile.
func TestAHardLinkThatGrowsAllTheTimeIsOpened(t *testing.T) {
	m := mount(t)
	put(t, m.path("file"), "x")
	f, err := os.OpenFile(m.server("file"), os.O_WRONLY|os.O_APPEND, 0)
	check(t, err)
	defer f.Close()
	var writer sync.WaitGroup
	defer writer.Wait()
	done := make(chan struct{})
	defer close(done)
	writer.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if _, err := f.WriteString("x"); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 50 {
		check(t, os.Link(m.path("file"), m.path("link")))
		in, err := os.Open(m.path("file"))
		check(t, err)
		check(t, in.Close())
		check(t, os.Remove(m.path("link")))
	}
}

// backdate makes the next change visible in the mtime, whose unit is a second.
func backdate(t *testing.T, path string) {
	t.Helper()
	old := time.Now().Add(-time.Hour)
	check(t, os.Chtimes(path, old, old))
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
