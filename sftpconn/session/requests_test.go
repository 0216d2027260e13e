package session

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

func TestWriteAndReadBack(t *testing.T) {
	s, dir := real(t)
	data := pattern(int(limits(t, s).MaxWrite)*2 + 12345)
	f := must(t, s.OpenFile("f", OpenRead|OpenWrite|OpenCreate|OpenExcl, Attr{Flags: HasMode, Mode: 0o640})).Handle()
	var calls []*Call
	for off := 0; off < len(data); off += int(limits(t, s).MaxWrite) {
		piece := data[off:min(off+int(limits(t, s).MaxWrite), len(data))]
		c := s.Write(f, uint64(off), piece)
		calls = append(calls, c)
	}
	for _, c := range calls {
		must(t, c)
		if c.N() == 0 || c.RTT() <= 0 {
			t.Errorf("a WRITE of %d bytes took %v", c.N(), c.RTT())
		}
	}
	if there, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || !bytes.Equal(there, data) {
		t.Fatalf("written file: %v, equal %v", err, bytes.Equal(there, data))
	}

	back := make([]byte, len(data)+100)
	calls = nil
	for off := 0; off < len(back); off += int(limits(t, s).MaxRead) {
		calls = append(calls, s.Read(f, uint64(off), back[off:min(off+int(limits(t, s).MaxRead), len(back))]))
	}
	got := 0
	for _, c := range calls {
		must(t, c)
		got += c.N()
	}
	if got != len(data) || !bytes.Equal(back[:got], data) {
		t.Errorf("read %d bytes of %d, equal %v", got, len(data), bytes.Equal(back[:got], data))
	}
	end := s.Read(f, uint64(len(data)), make([]byte, 10))
	if err := outcome(t, end); err != io.EOF || end.N() != 0 {
		t.Errorf("READ at the end: %v, %d bytes", err, end.N())
	}
	must(t, s.Fsync(f))
	must(t, s.CloseHandle(f))
	var refused *StatusError
	if err := outcome(t, s.CloseHandle(f)); !errors.As(err, &refused) {
		t.Errorf("handle given back twice: %v", err)
	}
}

func TestPayloadsOfAllSizesArriveWhole(t *testing.T) {
	s, dir := real(t)
	f := must(t, s.OpenFile("f", OpenRead|OpenWrite|OpenCreate, Attr{})).Handle()
	var want []byte
	var calls []*Call
	// Sizes at both sides of where the writer cuts, queued behind each other.
	for _, n := range []int{1, 100, sshPacket - 60, sshPacket - 20, sshPacket, sshPacket + 1, 2*sshPacket - 29, 2 * sshPacket, 200_000, 3} {
		piece := pattern(n + 7)[7:]
		calls = append(calls, s.Lstat("f"), s.Write(f, uint64(len(want)), piece))
		want = append(want, piece...)
	}
	for _, c := range calls {
		must(t, c)
	}
	if there, _ := os.ReadFile(filepath.Join(dir, "f")); !bytes.Equal(there, want) {
		t.Error("the written file is not what was sent")
	}
}

func TestAttributes(t *testing.T) {
	s, dir := real(t)
	if err := os.WriteFile(filepath.Join(dir, "f"), make([]byte, 1234), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("f", filepath.Join(dir, "l")); err != nil {
		t.Fatal(err)
	}
	must(t, s.Setstat("f", Attr{Flags: HasMode | HasTimes, Mode: 0o751, Atime: 1_000_000_000, Mtime: 1_100_000_000}))
	must(t, s.Setstat("f", Attr{Flags: HasOwner, UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}))
	f := must(t, s.OpenFile("f", OpenRead|OpenWrite, Attr{})).Handle()
	want := Attr{Flags: hasAll, Mode: syscall.S_IFREG | 0o751, Size: 1234,
		UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Atime: 1_000_000_000, Mtime: 1_100_000_000}
	for name, c := range map[string]*Call{"lstat": s.Lstat("f"), "stat": s.Stat("l"), "fstat": s.Fstat(f)} {
		if got := must(t, c).Attr(); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	if mode := must(t, s.Lstat("l")).Attr().Mode; mode&syscall.S_IFMT != syscall.S_IFLNK {
		t.Errorf("lstat of a link: mode %o", mode)
	}
	must(t, s.Fsetstat(f, Attr{Flags: HasSize | HasMode, Size: 99, Mode: 0o600}))
	if got := must(t, s.Lstat("f")).Attr(); got.Size != 99 || got.Mode&0o777 != 0o600 {
		t.Errorf("after fsetstat: %+v", got)
	}
	refusedWith(t, s.Lstat("none"), StatusNoSuchFile)
}

func TestLsetstatChangesTheLinkAndNotItsTarget(t *testing.T) {
	s, dir := real(t)
	must(t, s.Symlink("target", "link"))
	if err := os.WriteFile(filepath.Join(dir, "target"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, s.Lsetstat("link", Attr{Flags: HasTimes, Atime: 1_000_000_000, Mtime: 1_000_000_000}))
	if got := must(t, s.Lstat("link")).Attr().Mtime; got != 1_000_000_000 {
		t.Errorf("mtime of the link is %d", got)
	}
	if got := must(t, s.Lstat("target")).Attr().Mtime; got == 1_000_000_000 {
		t.Error("mtime of the target was changed")
	}
}

func TestListing(t *testing.T) {
	s, dir := real(t)
	var want []string
	for i := range 250 {
		name := fmt.Sprintf("name %03d\n\xff", i)
		want = append(want, name)
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, i), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := must(t, opendir(s, ".")).Handle()
	var got []string
	answers := []*Call{s.Readdir(d), s.Readdir(d), s.Readdir(d), s.Readdir(d), s.Readdir(d)}
	var err error
	for _, c := range answers {
		if err = outcome(t, c); err != nil {
			break
		}
		for _, e := range c.Entries() {
			if e.Name == "." || e.Name == ".." {
				continue
			}
			got = append(got, e.Name)
			if size := slices.Index(want, e.Name); e.Attr.Flags != hasAll || e.Attr.Size != uint64(size) {
				t.Errorf("%q: %+v", e.Name, e.Attr)
			}
		}
	}
	if err != io.EOF {
		t.Errorf("the listing ended with %v", err)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d names listed, %d there", len(got), len(want))
	}
	must(t, s.CloseHandle(d))
	refusedWith(t, opendir(s, "none"), StatusNoSuchFile)
}

func TestNames(t *testing.T) {
	s, dir := real(t)
	exists := func(name string) bool {
		_, err := os.Lstat(filepath.Join(dir, name))
		return err == nil
	}
	must(t, s.Mkdir("d", Attr{Flags: HasMode, Mode: 0o700}))
	refusedWith(t, s.Mkdir("d", Attr{}), StatusFailure)
	if info, err := os.Stat(filepath.Join(dir, "d")); err != nil || info.Mode() != os.ModeDir|0o700 {
		t.Errorf("mkdir: %v %v", info, err)
	}
	must(t, s.Rmdir("d"))
	for _, name := range []string{"a", "b"} {
		must(t, s.CloseHandle(must(t, s.OpenFile(name, OpenWrite|OpenCreate, Attr{})).Handle()))
	}
	refusedWith(t, s.Rename("a", "b"), StatusFailure)
	must(t, s.Rename("a", "c"))
	must(t, s.PosixRename("c", "b"))
	if exists("a") || exists("c") || !exists("b") {
		t.Error("renames left the wrong names")
	}
	must(t, s.Hardlink("b", "e"))
	must(t, s.Remove("b"))
	if exists("b") || !exists("e") {
		t.Error("hardlink and remove left the wrong names")
	}
	must(t, s.Symlink("some/target", "l"))
	if target, err := os.Readlink(filepath.Join(dir, "l")); err != nil || target != "some/target" {
		t.Errorf("symlink made: %q, %v", target, err)
	}
	if target := must(t, s.Readlink("l")).Name(); target != "some/target" {
		t.Errorf("readlink: %q", target)
	}
	wantDir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	if path := must(t, s.Realpath(".")).Name(); path != wantDir {
		t.Errorf("realpath: %q, want %q", path, wantDir)
	}
}

func TestOpenFlags(t *testing.T) {
	s, dir := real(t)
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	refusedWith(t, s.OpenFile("f", OpenWrite|OpenCreate|OpenExcl, Attr{}), StatusFailure)
	must(t, s.CloseHandle(must(t, s.OpenFile("f", OpenWrite|OpenTrunc|OpenCreate, Attr{})).Handle()))
	if info, err := os.Stat(filepath.Join(dir, "f")); err != nil || info.Size() != 0 {
		t.Errorf("truncated file: %v, %v", info, err)
	}
}

func TestTooLongRequestsAreRefusedHere(t *testing.T) {
	s, _ := real(t)
	limits(t, s)
	if err := outcome(t, s.Write("h", 0, make([]byte, 300<<10))); err == nil {
		t.Error("a WRITE longer than any packet was sent")
	}
	if err := outcome(t, s.Lstat(string(make([]byte, 300<<10)))); err == nil {
		t.Error("a path longer than any packet was sent")
	}
	must(t, s.Lstat("."))
}
