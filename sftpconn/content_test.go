package sftpconn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

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
		got, a, err := c.ReadSmall(ctx, path, 1<<20)
		if err != nil || !bytes.Equal(got, want) || a.Size != uint64(size) {
			t.Errorf("%d bytes: %d bytes, %+v, %v", size, len(got), a, err)
		}
	}
	if _, _, err := c.ReadSmall(ctx, filepath.Join(srv.Dir(), "4096"), 4095); err == nil {
		t.Error("a file that is too long was read")
	}
	if _, _, err := c.ReadSmall(ctx, srv.Dir(), 4096); err == nil {
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
