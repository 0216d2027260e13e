package fusefs_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The kernel has one set of pages for all who have a file open, those who opened it before it was replaced among them.
func TestAReaderOfAReplacedFileLeavesNoPagesToOthers(t *testing.T) {
	m := mount(t)
	old, fresh := bytes.Repeat([]byte("A"), 4<<20), bytes.Repeat([]byte("B"), 4<<20+1)
	ago := time.Now().Add(-time.Hour)
	check(t, os.WriteFile(m.server("f"), old, 0o644))
	check(t, os.WriteFile(m.server("g"), fresh, 0o644))
	check(t, os.Chtimes(m.server("g"), ago, ago))
	f, err := os.Open(m.path("f"))
	check(t, err)
	defer f.Close()
	some := make([]byte, 4096)
	read := func(off int64, want byte) {
		t.Helper()
		if _, err := f.ReadAt(some, off); err != nil || some[0] != want {
			t.Errorf("the reader of the old file gets %q at %d; %v", some[:1], off, err)
		}
	}
	read(0, 'A')
	check(t, os.Rename(m.server("g"), m.server("f")))
	same(t, m.path("f"), fresh)
	read(2<<20, 'A')
	same(t, m.path("f"), fresh)
	check(t, f.Close())
	same(t, m.path("f"), fresh)
}

// A page that holds the old end of a file has zeros behind it, which must not be shown when the file has grown.
func TestAReaderAtTheEndOfAGrowingFileSeesNoZeros(t *testing.T) {
	m := mount(t, func(s *setup) { s.Cache.NoDirCache = true })
	line := bytes.Repeat([]byte("x"), 100)
	check(t, os.WriteFile(m.server("log"), line, 0o644))
	server, err := os.OpenFile(m.server("log"), os.O_WRONLY|os.O_APPEND, 0)
	check(t, err)
	defer server.Close()
	f, err := os.Open(m.path("log"))
	check(t, err)
	defer f.Close()
	got := make([]byte, 4096)
	for lines := 1; lines <= 30; lines++ {
		for rest := len(line); rest > 0; {
			n, err := f.Read(got[:rest])
			if err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			if bytes.IndexByte(got[:n], 0) >= 0 {
				t.Fatalf("line %d is read as %q", lines, got[:n])
			}
			rest -= n
		}
		if lines < 30 {
			_, err := server.Write(line)
			check(t, err)
		}
	}
}

// As with tail: the name of the file goes to another one, a longer one, and the reader compares what it has open with what has the name.
func TestAReaderOfARotatedFileSeesItsEndAndThatTheNameIsAnothers(t *testing.T) {
	m := mount(t, func(s *setup) { s.Cache.NoDirCache = true })
	put(t, m.server("log"), "old\n")
	f, err := os.Open(m.path("log"))
	check(t, err)
	defer f.Close()
	got := make([]byte, 4096)
	n, err := f.Read(got)
	check(t, err)
	if string(got[:n]) != "old\n" {
		t.Fatalf("read %q", got[:n])
	}
	check(t, os.Rename(m.server("log"), m.server("log.1")))
	put(t, m.server("log"), "longer than it\n")
	for range 3 {
		_, err := f.Stat()
		check(t, err)
		if n, err := f.Read(got); n != 0 || !errors.Is(err, io.EOF) {
			t.Fatalf("behind its end it reads %q; %v", got[:n], err)
		}
	}
	eventually(t, "the name to lead to another file", func() bool {
		named, err := os.Stat(m.path("log"))
		check(t, err)
		open, err := f.Stat()
		check(t, err)
		return !os.SameFile(named, open) && named.Size() == 15 && open.Size() == 4
	})
	has(t, m.path("log"), "longer than it\n")
}

// openShrunk opens a file whose bytes were read here when it was long, and that the server has made short since.
func openShrunk(t *testing.T, m *mounted, long, short []byte) *os.File {
	t.Helper()
	check(t, os.WriteFile(m.path("f"), long, 0o644))
	same(t, m.path("f"), long)
	check(t, os.WriteFile(m.server("f"), short, 0o644))
	f, err := os.Open(m.path("f"))
	check(t, err)
	return f
}

// The kernel is told of the new size by the short answer to the READ, which it does not believe where it is told of a change meanwhile.
func TestAFileThatShrankEndsWhereItEnds(t *testing.T) {
	m := mount(t)
	long, short := bytes.Repeat([]byte("x"), 60_000), bytes.Repeat([]byte("y"), 800)
	got := make([]byte, 16_000)
	for range 40 {
		f := openShrunk(t, m, long, short)
		n, err := f.ReadAt(got, 600)
		if n != 200 || !errors.Is(err, io.EOF) {
			t.Fatalf("%d bytes were read of the last 200; %v", n, err)
		}
		check(t, f.Close())
	}
}

// A large read is several READs. The first short answer to one of them tells the kernel the size, and those that come after it are not
// believed: where the one in which the file ends is among them, the kernel shows zeros up to where another began.
func TestAFileThatShrankHasNothingBehindItsEnd(t *testing.T) {
	m := mount(t, func(s *setup) { s.Mount.MaxRead = 64 << 10 })
	long, short := bytes.Repeat([]byte("x"), 900_000), bytes.Repeat([]byte("y"), 1000)
	got := make([]byte, 800_000)
	for range 100 {
		f := openShrunk(t, m, long, short)
		if n, err := f.ReadAt(got, 5000); n != 0 || !errors.Is(err, io.EOF) {
			t.Fatalf("%d bytes were read behind the end; %v", n, err)
		}
		check(t, f.Close())
	}
}

func TestTheAppendFlagMayBeTakenAway(t *testing.T) {
	m := mount(t)
	check(t, os.WriteFile(m.server("f"), []byte("content"), 0o644))
	fd, err := unix.Open(m.path("f"), unix.O_RDWR|unix.O_APPEND, 0)
	check(t, err)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, 0)
	check(t, err)
	_, err = unix.Pwrite(fd, []byte("X"), 0)
	check(t, err)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, unix.O_APPEND)
	check(t, err)
	_, err = unix.Write(fd, []byte("!"))
	check(t, err)
	check(t, unix.Close(fd))
	same(t, m.server("f"), []byte("Xontent!"))
}

func TestLinksThatAreFollowed(t *testing.T) {
	m := mount(t, func(s *setup) { s.Cache.FollowSymlinks = true })
	check(t, os.Mkdir(m.server("real"), 0o755))
	check(t, os.WriteFile(m.server("real/f"), []byte("x"), 0o644))
	check(t, os.Symlink("real", m.server("there")))
	entries, err := os.ReadDir(m.path("."))
	check(t, err)
	for _, e := range entries {
		if e.Type()&os.ModeSymlink != 0 {
			t.Errorf("%s is listed as a link and shown as what it leads to", e.Name())
		}
	}
	check(t, os.Symlink("real", m.path("made")))
	if target, err := os.Readlink(m.server("made")); target != "real" {
		t.Errorf("on the server it leads to %q; %v", target, err)
	}
	same(t, m.path("made/f"), []byte("x"))
}

func TestAccessGoesByTheShownMode(t *testing.T) {
	umask := uint32(0o022)
	m := mount(t, func(s *setup) { s.Mount.Umask = &umask })
	check(t, os.WriteFile(m.server("f"), []byte("x"), 0o644))
	if err := unix.Access(m.path("f"), unix.X_OK); err != nil {
		t.Errorf("of a file that is shown with all x bits: %v", err)
	}
}

func TestALinkToAnotherFileSystemOfTheServer(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give the server a second file system")
	}
	m := mount(t)
	check(t, os.Mkdir(m.server("other"), 0o755))
	check(t, unix.Mount("none", m.server("other"), "tmpfs", 0, ""))
	defer unix.Unmount(m.server("other"), unix.MNT_DETACH)
	check(t, os.WriteFile(m.server("f"), []byte("x"), 0o644))
	if err := os.Link(m.path("f"), m.path("other/f")); !errors.Is(err, syscall.EXDEV) {
		t.Errorf("a link across file systems: %v", err)
	}
	check(t, os.WriteFile(m.server("other/ro"), []byte("x"), 0o644))
	check(t, os.Mkdir(m.server("other/dir"), 0o755))
	check(t, unix.Mount("none", m.server("other"), "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	if err := os.Chmod(m.path("other/ro"), 0o600); !errors.Is(err, syscall.EROFS) {
		t.Errorf("chmod: %v", err)
	}
	if err := os.Remove(m.path("other/dir")); !errors.Is(err, syscall.EROFS) {
		t.Errorf("rmdir: %v", err)
	}
}
