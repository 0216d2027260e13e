package sftpconn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

func TestEveryQuestionIsAnswered(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv)
	ctx := limited(t)
	p := file(t, srv, "file", []byte("content"))
	link := filepath.Join(srv.Dir(), "link")
	if err := os.Symlink("file", link); err != nil {
		t.Fatal(err)
	}
	if a, err := c.Lstat(ctx, link); err != nil || a.Mode&modeType != modeLink {
		t.Errorf("Lstat of a link: %+v, %v", a, err)
	}
	if a, err := c.Stat(ctx, link); err != nil || a.Size != 7 {
		t.Errorf("Stat of a link: %+v, %v", a, err)
	}
	if s, err := c.Realpath(ctx, srv.Dir()+"/./"); err != nil || s != srv.Dir() {
		t.Errorf("Realpath: %q, %v", s, err)
	}
	if c.Has("expand-path@openssh.com") {
		if s, err := c.Expand(ctx, "~/x"); err != nil || !strings.HasSuffix(s, "/x") || s[0] != '/' {
			t.Errorf("Expand: %q, %v", s, err)
		}
	}
	if v, err := c.Statvfs(ctx, p); err != nil || v.Blocks == 0 {
		t.Errorf("Statvfs: %+v, %v", v, err)
	}
	if users, groups, err := c.UserGroupNames(ctx, []uint32{0}, []uint32{0}); err != nil || users[0] != "root" || groups[0] != "root" {
		t.Errorf("UserGroupNames: %q %q, %v", users, groups, err)
	}
	_, err := c.Lstat(ctx, p+"-absent")
	if !isAbsent(err) || !strings.Contains(err.Error(), p+"-absent") {
		t.Errorf("Lstat of an absent name: %v", err)
	}
	targets, errs := c.Readlinks(ctx, []string{link, p, link})
	if targets[0] != "file" || targets[2] != "file" || errs[0] != nil || errs[1] == nil {
		t.Errorf("Readlinks: %q, %v", targets, errs)
	}
}

func TestEveryChangeOfNamesIsMade(t *testing.T) {
	srv := sftptest.New(t, sftptest.Args("-u", "027"))
	c := connect(t, srv)
	ctx := limited(t)
	in := func(name string) string { return filepath.Join(srv.Dir(), name) }
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	must("mkdir", second(c.Mkdir(ctx, in("d"), 0o777)))
	must("a question behind it", func() error { _, err := c.Lstat(ctx, in("d")); return err }())
	if info, err := os.Stat(in("d")); err != nil || info.Mode().Perm() != 0o777 {
		t.Errorf("the directory has %v, %v in spite of the server's umask", info, err)
	}
	if _, err := c.Mkdir(ctx, in("d"), 0o700); !refused(err) {
		t.Errorf("mkdir of what is there: %v", err)
	}
	if info, err := os.Stat(in("d")); err != nil || info.Mode().Perm() != 0o777 {
		t.Errorf("a refused mkdir changed what was there to %v, %v", info.Mode(), err)
	}
	a, b := file(t, srv, "a", []byte("a")), file(t, srv, "b", []byte("b"))
	if err := c.Rename(ctx, a, b, true); !refused(err) {
		t.Errorf("a rename that must not replace: %v", err)
	}
	must("rename", c.Rename(ctx, a, b, false))
	sameAs(t, b, []byte("a"))
	must("link", c.Link(ctx, b, in("hard")))
	sameAs(t, in("hard"), []byte("a"))
	must("symlink", second(c.Symlink(ctx, "b", in("soft"))))
	if s, _ := os.Readlink(in("soft")); s != "b" {
		t.Errorf("the link leads to %q", s)
	}
	must("setstat", c.Setstat(ctx, b, Attr{Flags: session.HasMode | session.HasTimes, Mode: 0o600, Atime: 5, Mtime: 6}, false))
	if info, err := os.Stat(b); err != nil || info.Mode().Perm() != 0o600 || info.ModTime().Unix() != 6 {
		t.Errorf("after setstat: %v, %v", info, err)
	}
	must("setstat of a link", c.Setstat(ctx, in("soft"), Attr{Flags: session.HasTimes, Atime: 8, Mtime: 9}, true))
	if info, err := os.Lstat(in("soft")); err != nil || info.ModTime().Unix() != 9 {
		t.Errorf("the link has the time %v, %v", info.ModTime(), err)
	}
	must("truncate", c.Setstat(ctx, b, Attr{Flags: session.HasSize, Size: 100}, true))
	if info, err := os.Stat(b); err != nil || info.Size() != 100 {
		t.Errorf("after truncate: %v, %v", info, err)
	}
	must("remove", c.Remove(ctx, in("soft")))
	must("rmdir", c.Rmdir(ctx, in("d")))
	if err := c.Rmdir(ctx, in("d")); !isAbsent(err) {
		t.Errorf("rmdir of what is absent: %v", err)
	}
}

func TestRenameReplacesWithoutPosixRename(t *testing.T) {
	tap := sftptest.NewTap()
	srv := sftptest.New(t, sftptest.WithTap(tap))
	tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "VERSION" {
			return sftptest.ReplaceBody([]byte{0, 0, 0, 3}) // no extensions
		}
		return sftptest.Pass()
	})
	c := connect(t, srv)
	a, b := file(t, srv, "a", []byte("a")), file(t, srv, "b", []byte("b"))
	if err := c.Rename(limited(t), a, b, false); err != nil {
		t.Fatal(err)
	}
	sameAs(t, b, []byte("a"))
	if names, _ := os.ReadDir(srv.Dir()); len(names) != 1 {
		t.Errorf("left over: %v", names)
	}
	for what, err := range map[string]error{
		"link":     c.Link(limited(t), b, a),
		"statvfs":  func() error { _, err := c.Statvfs(limited(t), b); return err }(),
		"expand":   func() error { _, err := c.Expand(limited(t), "~"); return err }(),
		"ids":      func() error { _, _, err := c.UserGroupNames(limited(t), nil, nil); return err }(),
		"lsetstat": func() error { os.Symlink("b", a); return c.Setstat(limited(t), a, Attr{Flags: session.HasTimes}, true) }(),
	} {
		if !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s on a server without extensions: %v", what, err)
		}
	}
}

func TestListGivesEveryNameOnce(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv)
	var want []string
	for i := range 1234 {
		name := fmt.Sprintf("name %04d\n\xff", i)
		want = append(want, name)
		file(t, srv, name, nil)
	}
	var got []string
	err := c.List(limited(t), srv.Dir(), func(names []Entry, restart bool) error {
		if restart {
			t.Error("restarted without a reason")
		}
		for _, e := range names {
			got = append(got, e.Name)
			if e.Attr.Mode&modeType != modeRegular {
				t.Errorf("%q has mode %o", e.Name, e.Attr.Mode)
			}
		}
		return nil
	})
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%d names, %v; want %d", len(got), err, len(want))
	}
	stop := errors.New("enough")
	if err := c.List(limited(t), srv.Dir(), func([]Entry, bool) error { return stop }); err != stop {
		t.Errorf("an error of yield comes back as %v", err)
	}
	if err := c.List(limited(t), srv.Dir()+"/absent", func([]Entry, bool) error { return nil }); !isAbsent(err) {
		t.Errorf("listing what is absent: %v", err)
	}
}

func TestOpenMakesFilesWithTheirBitsOnly(t *testing.T) {
	srv := sftptest.New(t, sftptest.Args("-u", "077"))
	c := connect(t, srv)
	ctx := limited(t)
	perm := func(path string) os.FileMode {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	there := file(t, srv, "there", []byte("x"))
	for _, flags := range []uint32{rd | wr | cre, wr | cre | session.OpenExcl} {
		path := filepath.Join(srv.Dir(), fmt.Sprint("new", flags))
		f, a, err := c.Open(ctx, OpenRequest{Path: at(path), Pflags: flags, Perm: 0o664})
		if err != nil || a.Mode&0o7777 != 0o664 {
			t.Fatalf("%+v, %v", a, err)
		}
		if _, err := f.Stat(ctx); err != nil { // behind the setting of the bits
			t.Error(err)
		}
		f.Close()
		if perm(path) != 0o664 {
			t.Errorf("made with %o", perm(path))
		}
	}
	f, _, err := c.Open(ctx, OpenRequest{Path: at(there), Pflags: wr | cre, Perm: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, _, err := c.Open(ctx, OpenRequest{Path: at(there), Pflags: wr | cre | session.OpenExcl, Perm: 0o600}); !refused(err) {
		t.Errorf("exclusive creation of what is there: %v", err)
	}
	if _, err := f.Stat(ctx); err != nil {
		t.Error(err)
	}
	if perm(there) != 0o644 {
		t.Errorf("a file that was there has %o now", perm(there))
	}
	g, a, err := c.Open(ctx, OpenRequest{Path: at(there), Pflags: wr | cre | session.OpenTrunc, Perm: 0o640, SetPerm: true})
	if err != nil || a.Size != 0 || a.Mode&0o777 != 0o640 {
		t.Errorf("%+v, %v", a, err)
	}
	g.Close()
	if _, _, err := c.Open(ctx, OpenRequest{Path: at(srv.Dir()), Pflags: wr}); !refused(err) {
		t.Errorf("a directory opened for writing: %v", err)
	}
}

func TestFileReadsAndWrites(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv)
	ctx := limited(t)
	path := filepath.Join(srv.Dir(), "f")
	f := openFile(t, c, path, rd|wr|cre)
	want := content(1, 3<<20+17)
	if err := f.WriteAt(ctx, want, 0); err != nil {
		t.Fatal(err)
	}
	sameAs(t, path, want)
	got, err := readAll(ctx, f, len(want), 4)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read back differs at %d: %v", firstDifference(got, want), err)
	}
	if n, err := f.ReadAt(ctx, make([]byte, 100), int64(len(want))-10); n != 10 || err != nil {
		t.Errorf("a read over the end gives %d, %v", n, err)
	}
	if n, err := f.ReadAt(ctx, make([]byte, 100), int64(len(want))+10); n != 0 || err != io.EOF {
		t.Errorf("a read behind the end gives %d, %v", n, err)
	}
	if err := f.WriteSetstat(ctx, []byte("tail"), int64(len(want)), Attr{Flags: session.HasTimes, Atime: 1, Mtime: 2}); err != nil {
		t.Fatal(err)
	}
	if a, err := f.Stat(ctx); err != nil || a.Mtime != 2 || a.Size != uint64(len(want)+4) {
		t.Errorf("%+v, %v", a, err)
	}
	if err := f.Setstat(ctx, Attr{Flags: session.HasSize, Size: 5}); err != nil {
		t.Error(err)
	}
	if err := f.Fsync(ctx); err != nil {
		t.Error(err)
	}
	sameAs(t, path, want[:5])
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if n, err := f.ReadAt(ctx, make([]byte, 9), 0); n != 5 || err != nil {
		t.Errorf("a removed file that is open reads %d, %v", n, err)
	}
	f.Close()
	if _, err := f.ReadAt(ctx, make([]byte, 9), 0); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed file: %v", err)
	}
}

func TestReadSmall(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv)
	ctx := limited(t)
	for _, size := range []int{0, 1, 4096, 255 << 10, 256 << 10, 700 << 10} {
		want := content(uint64(size), size)
		path := file(t, srv, fmt.Sprint(size), want)
		for _, hint := range []int{0, size, size * 2} {
			got, a, err := c.ReadSmall(ctx, path, hint, 1<<20)
			if err != nil || !bytes.Equal(got, want) || a.Size != uint64(size) {
				t.Errorf("%d bytes, hint %d: %d bytes, %+v, %v", size, hint, len(got), a, err)
			}
		}
	}
	if _, _, err := c.ReadSmall(ctx, filepath.Join(srv.Dir(), "4096"), 10, 4095); err == nil {
		t.Error("a file that is too long was read")
	}
	if _, _, err := c.ReadSmall(ctx, srv.Dir(), 10, 4096); err == nil {
		t.Error("a directory was read")
	}
}

func TestCopyDataCopiesOnTheServer(t *testing.T) {
	tap, srv, c := tapped(t)
	ctx := limited(t)
	if !c.Has("copy-data") {
		t.Skip("this sftp-server has no copy-data")
	}
	want := content(2, 50<<20)
	src := openFile(t, c, file(t, srv, "src", want), rd)
	path := filepath.Join(srv.Dir(), "dst")
	dst := openFile(t, c, path, rd|wr|cre)
	tap.Reset()
	if n, err := c.CopyData(ctx, src, 1000, int64(len(want))-1000, dst, 0); err != nil || n != int64(len(want))-1000 {
		t.Fatal(n, err)
	}
	sameAs(t, path, want[1000:])
	if up, down := tap.Bytes(); up+down > 100<<10 {
		t.Errorf("%d bytes passed the line", up+down)
	}
}

func TestContextEndsAWaitAndLeaksNothing(t *testing.T) {
	tap, srv, c := tapped(t)
	path := file(t, srv, "f", content(3, 1<<20))
	f := openFile(t, c, path, rd)
	why := errors.New("interrupted")
	held := func(name string, work func(ctx context.Context) error) {
		t.Helper()
		before := tap.Count(name)
		tap.OnReply(func(p sftptest.Packet) sftptest.Action {
			if p.Request != nil && p.Request.Name == name {
				return sftptest.Hold()
			}
			return sftptest.Pass()
		})
		ctx, cancel := context.WithCancelCause(context.Background())
		done := make(chan error, 1)
		go func() { done <- work(ctx) }()
		eventually(t, name+" is sent", func() bool { return tap.Count(name) > before })
		if !tap.WaitHeld(1, 10*time.Second) {
			t.Fatal("no reply was held")
		}
		cancel(why)
		select {
		case err := <-done:
			if !errors.Is(err, why) {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s goes on after its context", name)
		}
		tap.OnReply(nil)
		tap.Release()
	}
	buf := make([]byte, 4096)
	held("READ", func(ctx context.Context) error { _, err := f.ReadAt(ctx, buf, 0); return err })
	held("LSTAT", func(ctx context.Context) error { _, err := c.Lstat(ctx, path); return err })
	held("OPENDIR", func(ctx context.Context) error {
		return c.List(ctx, srv.Dir(), func([]Entry, bool) error { return nil })
	})
	held("OPEN", func(ctx context.Context) error {
		_, _, err := c.Open(ctx, OpenRequest{Path: at(path), Pflags: rd})
		return err
	})
	f.Close()
	eventually(t, "every handle is given back", func() bool {
		return tap.Count("OPEN", "OPENDIR") == tap.Count("CLOSE")
	})
	if buf[0] != 0 {
		t.Error("the buffer of a read that was given up was written to")
	}
}

func TestRemoteFIFOAsASmallFileIsNotTheEnd(t *testing.T) {
	srv := sftptest.New(t)
	c := connect(t, srv)
	path := file(t, srv, "f", []byte("x"))
	f := openFile(t, c, path, rd)
	// The file is replaced by a FIFO while the line is down: opening it would block the channel of names.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
	srv.Cut()
	if _, err := f.ReadAt(limited(t), make([]byte, 1), 0); !errors.Is(err, ErrStale) {
		t.Errorf("a read of a file that became a FIFO: %v", err)
	}
	if _, err := c.Lstat(limited(t), path); err != nil {
		t.Error(err)
	}
}
