package sftpconn

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

func TestASymlinkOfOthersIsNotTakenForOursAfterALostLine(t *testing.T) {
	tap, srv, c := tapped(t)
	path := filepath.Join(srv.Dir(), "link")
	if err := os.Symlink("theirs", path); err != nil {
		t.Fatal(err)
	}
	cutAt(srv, tap, "SYMLINK", false)
	if _, err := c.Symlink(limited(t), "ours", path); !refused(err) {
		t.Errorf("a link to something else has the name: %v", err)
	}
}

func TestARenameIsNotDoneWhereNeitherNameIsThereAfterALostLine(t *testing.T) {
	tap, srv, c := tapped(t)
	cutAt(srv, tap, "posix-rename@openssh.com", false)
	err := c.Rename(limited(t), filepath.Join(srv.Dir(), "old"), filepath.Join(srv.Dir(), "new"), false)
	if !isAbsent(err) {
		t.Errorf("got %v", err)
	}
}

// losing opens a file for writing, and gives how often it is told that the server has lost bytes of it.
func losing(t *testing.T, c *Conn, path string) (f *File, told *atomic.Int32) {
	told = new(atomic.Int32)
	f, _, err := c.Open(limited(t), OpenRequest{Path: at(path), Pflags: rd | wr | cre, Perm: 0o644, Lost: func(error) { told.Add(1) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f, told
}

// crash has the server come back with the first four bytes of a file.
func crash(t *testing.T, srv *sftptest.Server, f *File, path string) {
	t.Helper()
	if err := os.Truncate(path, 4); err != nil {
		t.Fatal(err)
	}
	srv.Cut()
	if _, err := f.Stat(limited(t)); err != nil {
		t.Fatal(err)
	}
}

func TestBytesThatWereAcknowledgedDuringAnFsyncAreNotTakenForStored(t *testing.T) {
	tap, srv, c := tapped(t)
	path := filepath.Join(srv.Dir(), "f")
	f, told := losing(t, c, path)
	write := func(off int64) {
		t.Helper()
		if err := f.WriteAt(limited(t), []byte("0123456789"), off); err != nil {
			t.Fatal(err)
		}
	}
	write(0)
	tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "fsync@openssh.com" {
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
	stored := make(chan error, 1)
	go func() { stored <- f.Fsync(limited(t)) }()
	if !tap.WaitHeld(1, 10*time.Second) {
		t.Fatal("no fsync came")
	}
	write(10)
	tap.OnRequest(nil)
	tap.Release()
	if err := <-stored; err != nil {
		t.Fatal(err)
	}
	crash(t, srv, f, path)
	if n := told.Load(); n != 1 {
		t.Errorf("told %d times that the server has lost bytes", n)
	}
}

func TestBytesThatTheServerHasCopiedAndThatACrashTookAreTold(t *testing.T) {
	_, srv, c := tapped(t)
	if !c.Has("copy-data") {
		t.Skip("this sftp-server has no copy-data")
	}
	path := filepath.Join(srv.Dir(), "copy")
	f, told := losing(t, c, path)
	src := openFile(t, c, file(t, srv, "src", []byte("0123456789")), rd)
	if n, err := c.CopyData(limited(t), src, 0, 10, f, 0); n != 10 || err != nil {
		t.Fatal(n, err)
	}
	crash(t, srv, f, path)
	if n := told.Load(); n != 1 {
		t.Errorf("told %d times that the server has lost bytes", n)
	}
}
