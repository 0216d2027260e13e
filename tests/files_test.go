package tests

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

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
	// As by /dev/stdin.
	again, err := os.ReadFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if string(again) != "before and after" || err != nil {
		t.Errorf("opened once more it reads %q, %v", again, err)
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
