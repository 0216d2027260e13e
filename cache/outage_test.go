package cache

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn"
)

func TestChangesOfAnUnsavedFileWaitForTheServerOnlySoLong(t *testing.T) {
	r := newRigOver(t, sftpconn.Options{ReconnectTimeout: 300 * time.Millisecond}, nil)
	f, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	r.srv.Refuse(errors.New("the host is down"))
	r.srv.Cut()
	if _, err := h.Write(ctxOf(t), []byte("content"), 0); err != nil {
		t.Fatal(err)
	}
	mode, size, when := uint32(0o600), uint64(0), time.Unix(1_000_000_000, 0)
	for _, s := range []SetAttr{
		{Mode: &mode, Atime: &when, Mtime: &when}, // cp -p, tar
		{Size: &size},
	} {
		_, _, err := r.Setattr(ctxOf(t), f.Node, nil, s)
		wantErrno(t, err, syscall.EIO)
	}
	if _, _, err = r.Open(ctxOf(t), f.Node, syscall.O_WRONLY|syscall.O_TRUNC); err == nil {
		t.Error("opened without a server")
	} else {
		wantErrno(t, err, syscall.EIO)
	}
	r.srv.Refuse(nil)
	r.conn.Kick()
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if got := r.remote("f"); got != "content" {
		t.Errorf("afterwards the server has %q", got)
	}
}

func TestWaitingForPendingChangesIsBoundedToo(t *testing.T) {
	r := newRigOver(t, sftpconn.Options{ReconnectTimeout: 300 * time.Millisecond}, async)
	r.list(r.Root())
	r.srv.Refuse(errors.New("the host is down"))
	r.srv.Cut()
	f, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	wantErrno(t, h.Fsync(ctxOf(t)), syscall.EIO)
	wantErrno(t, r.Fsyncdir(ctxOf(t), r.Root()), syscall.EIO)
	r.mu.Lock()
	f.Node.expire()
	r.mu.Unlock()
	_, _, err = r.Getattr(ctxOf(t), f.Node, nil)
	wantErrno(t, err, syscall.EIO)
	_, _, err = r.Open(ctxOf(t), f.Node, syscall.O_RDONLY)
	wantErrno(t, err, syscall.EIO)
	r.srv.Refuse(nil)
	r.conn.Kick()
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
}

func TestAFileOpenedThroughAFollowedLinkOutlivesItsConnection(t *testing.T) {
	r := newRig(t, func(o *Options) { o.FollowSymlinks = true })
	r.put("f", "content")
	if err := os.Symlink("f", filepath.Join(r.dir, "l")); err != nil {
		t.Fatal(err)
	}
	h := r.opened(r.mustFind("l").Node, syscall.O_RDONLY)
	r.srv.Cut()
	if got, err := r.readFrom(h, 0, 100); err != nil || got != "content" {
		t.Errorf("after the connection was lost it reads %q, %v", got, err)
	}
}
