package cache

import (
	"errors"
	"syscall"
	"testing"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// Servers without posix-rename@openssh.com, and those that are written in Go, replace no directory, and call that FAILURE.
func TestADirectoryThatTheServerDoesNotReplaceExists(t *testing.T) {
	r := newRig(t, nil)
	r.put("a/file", "content")
	r.put("b/file", "content")
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "posix-rename@openssh.com" {
			return sftptest.Answer(session.StatusFailure, "file exists")
		}
		return sftptest.Pass()
	})
	b := r.mustFind("b").Node
	if err := r.Unlink(ctxOf(t), b, "file"); err != nil {
		t.Fatal(err)
	}
	wantErrno(t, r.Rename(ctxOf(t), r.Root(), "a", r.Root(), "b", false), syscall.EEXIST)
	if got := r.readAll(r.mustFind("a/file").Node); got != "content" {
		t.Errorf("the directory that was to be renamed holds %q", got)
	}
}

func TestARenameOfOneNameOfAFileToAnotherLeavesBoth(t *testing.T) {
	r := newRig(t, nil)
	r.put("a", "content")
	n := r.mustFind("a").Node
	if _, err := r.Link(ctxOf(t), n, r.Root(), "b"); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	n.expire() // only the server can say what the names are
	r.mu.Unlock()
	if err := r.Rename(ctxOf(t), r.Root(), "a", r.Root(), "b", false); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		if got := r.readAll(r.mustFind(name).Node); got != "content" {
			t.Errorf("%s holds %q", name, got)
		}
	}
}

func TestANameThatIsInTheWayOfARenameIsThere(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "x")
	r.list(r.Root())
	r.put("theirs", "x")
	wantErrno(t, r.Rename(ctxOf(t), r.Root(), "f", r.Root(), "theirs", true), syscall.EEXIST)
	r.mustFind("theirs")
}

// rename(2) leaves two names of one file as they are.
func TestAsyncARenameOverALinkThatIsJustMadeLeavesBothNames(t *testing.T) {
	r := newRig(t, async)
	r.put("b", "content")
	r.list(r.Root())
	n := r.mustFind("b").Node
	r.holdReply("hardlink@openssh.com")
	linked, renamed := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := r.Link(ctxOf(t), n, r.Root(), "a")
		linked <- err
	}()
	r.waitHeld()
	go func() { renamed <- r.Rename(ctxOf(t), r.Root(), "b", r.Root(), "a", false) }()
	waitFor(t, "the rename waits for its turn", func() bool { return r.queue.count.Load() == 2 })
	r.tap.OnReply(nil)
	r.tap.Release()
	if err := errors.Join(<-linked, <-renamed, r.Sync(ctxOf(t))); err != nil {
		t.Fatal(err)
	}
	if got := names(r.list(r.Root())); !got["a"] || !got["b"] {
		t.Errorf("the directory is listed with %v", got)
	}
	for _, name := range []string{"a", "b"} {
		if _, err := r.find(name); err != nil {
			t.Error(err)
		}
	}
}
