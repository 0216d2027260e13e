package cache

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

func TestAsyncReportsWhatFailedLater(t *testing.T) {
	r := newRig(t, async)
	r.list(r.Root())
	// Made behind our back after the listing: the answer predicted is wrong.
	r.put("taken", "theirs")
	if _, err := r.Mkdir(ctxOf(t), r.Root(), "taken", 0o755); err != nil {
		t.Fatalf("mkdir waited for the server: %v", err)
	}
	err := r.Sync(ctxOf(t))
	wantErrno(t, err, syscall.EEXIST)
	if err == nil || !strings.Contains(err.Error(), "taken") {
		t.Errorf("the error does not name the file: %v", err)
	}
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Errorf("reported twice: %v", err)
	}
	if f := r.mustFind("taken"); f.Attr.Mode&syscall.S_IFMT != syscall.S_IFREG {
		t.Errorf("what is really there does not show: mode %o", f.Attr.Mode)
	}
}

func TestAsyncReportsThatModesCannotBeStored(t *testing.T) {
	r := newRig(t, async)
	r.put("f", "content")
	f := r.mustFind("f")
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "SETSTAT" {
			return sftptest.Answer(session.StatusFailure, "Failure")
		}
		return sftptest.Pass()
	})
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request == nil || p.Request.Name != "statvfs@openssh.com" {
			return sftptest.Pass()
		}
		const flag = 9 // which of the numbers of 64 bits
		body := bytes.Clone(p.Body)
		body[flag*8+7] |= 1 // ST_RDONLY
		return sftptest.ReplaceBody(body)
	})
	mode := uint32(0o600)
	if _, _, err := r.Setattr(ctxOf(t), f.Node, nil, SetAttr{Mode: &mode}); err != nil {
		t.Fatalf("it waited for the server: %v", err)
	}
	err := r.Sync(ctxOf(t))
	wantErrno(t, err, syscall.EROFS)
	if errors.Is(err, syscall.EIO) {
		t.Errorf("it is told as two errors: %v", err)
	}
}

func TestAsyncNamesARefusedOperationOnce(t *testing.T) {
	r := newRig(t, async)
	r.put("old", "content")
	r.put("new", "content")
	r.list(r.Root())
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && p.Request.Name == "SYMLINK" {
			return sftptest.Answer(session.StatusPermissionDenied, "no")
		}
		return sftptest.Pass()
	})
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		switch p.Name {
		case "posix-rename@openssh.com":
			return sftptest.Answer(session.StatusFailure, "Failure")
		case "SYMLINK":
			return sftptest.Hold()
		case "statvfs@openssh.com":
			return sftptest.Answer(session.StatusPermissionDenied, "no")
		}
		return sftptest.Pass()
	})
	link, err := r.Symlink(ctxOf(t), r.Root(), "link", "target")
	if err != nil {
		t.Fatal(err)
	}
	when := time.Unix(1_000_000_000, 0)
	if _, _, err := r.Setattr(ctxOf(t), link.Node, nil, SetAttr{Mtime: &when}); err != nil {
		t.Fatal(err)
	}
	if err := r.Rename(ctxOf(t), r.Root(), "old", r.Root(), "new", false); err != nil {
		t.Fatal(err)
	}
	if !r.tap.WaitHeld(1, 10*time.Second) {
		t.Fatal("no link is asked for")
	}
	r.tap.Release()
	told := fmt.Sprint(r.Sync(ctxOf(t)))
	for _, want := range []string{
		fmt.Sprintf("rename %q: input/output error (", filepath.Join(r.dir, "new")),
		fmt.Sprintf("setattr %q: stale file handle (", filepath.Join(r.dir, "link")),
	} {
		if !strings.Contains("\n"+told, "\n"+want) {
			t.Errorf("no line begins with %s:\n%s", want, told)
		}
	}
}

func TestAsyncReportsTimesThatAreRefusedAfterTheBytes(t *testing.T) {
	r := newRig(t, async)
	r.list(r.Root())
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "FSETSTAT" {
			return sftptest.Answer(session.StatusPermissionDenied, "no")
		}
		return sftptest.Pass()
	})
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && p.Request.Name == "WRITE" {
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
	f := r.create(r.Root(), "f", "content")
	when := time.Unix(1_000_000_000, 0)
	if _, _, err := r.Setattr(ctxOf(t), f.Node, nil, SetAttr{Atime: &when, Mtime: &when}); err != nil {
		t.Fatal(err)
	}
	r.tap.OnReply(nil)
	r.tap.Release()
	err := r.Sync(ctxOf(t))
	wantErrno(t, err, syscall.EPERM)
	if err == nil || !strings.Contains(err.Error(), "/f") {
		t.Errorf("the error does not name the file: %v", err)
	}
	info, err := os.Stat(filepath.Join(r.dir, "f"))
	if err != nil {
		t.Fatal(err)
	}
	if a, _, err := r.Getattr(ctxOf(t), f.Node, nil); err != nil || a.Mtime != info.ModTime().Unix() {
		t.Errorf("the mtime shown is %d, the server's is %d; %v", a.Mtime, info.ModTime().Unix(), err)
	}
}

func TestAsyncFsyncIsStrong(t *testing.T) {
	r := newRig(t, async)
	r.list(r.Root())
	_, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	r.fill(h, "stored")
	if err := h.Fsync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if got := r.remote("f"); got != "stored" {
		t.Errorf("after fsync the server has %q", got)
	}
	h.Release()
}

func TestAsyncFsyncTellsOfARenameThatFailed(t *testing.T) {
	r := newRig(t, async)
	r.put("d/old", "content")
	d := r.mustFind("d").Node
	r.list(d)
	n := r.mustFind("d/old").Node
	h, _, err := r.Open(ctxOf(t), n, syscall.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "posix-rename@openssh.com" {
			return sftptest.Answer(session.StatusPermissionDenied, "no")
		}
		return sftptest.Pass()
	})
	if err := r.Rename(ctxOf(t), d, "old", d, "new", false); err != nil {
		t.Fatal(err)
	}
	// Each that asks is told: what tells one of them must not leave the others believing that all is well.
	wantErrno(t, r.Fsyncdir(ctxOf(t), d), syscall.EACCES)
	wantErrno(t, r.Fsyncdir(ctxOf(t), r.Root()), syscall.EACCES)
	wantErrno(t, h.Fsync(ctxOf(t)), syscall.EACCES)
	wantErrno(t, r.Sync(ctxOf(t)), syscall.EACCES)
	for what, fsync := range map[string]func() error{
		"the directory": func() error { return r.Fsyncdir(ctxOf(t), d) },
		"the file":      func() error { return h.Fsync(ctxOf(t)) },
	} {
		if err := fsync(); err != nil {
			t.Errorf("%s is told again: %v", what, err)
		}
	}
	other, err := r.Mkdir(ctxOf(t), r.Root(), "other", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Fsyncdir(ctxOf(t), other.Node); err != nil {
		t.Errorf("a directory that has nothing to do with it is told: %v", err)
	}
}
