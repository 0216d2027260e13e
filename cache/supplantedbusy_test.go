package cache

import (
	"strings"
	"syscall"
	"testing"

	"sshmount/sftpconn/sftptest"
)

// What is asked by the open file twice, and by its name between, is never the same twice. It has been the other file's end to which the new
// handle appended, and bytes were lost.
func TestAnOpenFindsThatTheNameOfAFileIsAnothersThoughTheFileNeverRests(t *testing.T) {
	r := newRig(t, nil)
	r.put("log", "old, and long")
	n := r.mustFind("log").Node
	h := r.opened(n, syscall.O_RDWR|syscall.O_APPEND)
	r.rotate("log", "new")
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && p.Request.Name == "FSTAT" {
			r.append("log.1", ".")
		}
		return sftptest.Pass()
	})
	_, _, err := r.Open(ctxOf(t), n, syscall.O_WRONLY|syscall.O_APPEND)
	wantErrno(t, err, syscall.ESTALE)
	if f := r.mustFind("log"); f.Node == n || f.Attr.Size != 3 {
		t.Errorf("the name leads to a file of %d bytes, the one that was open: %v", f.Attr.Size, f.Node == n)
	}
	if got := r.readOpen(h); !strings.HasPrefix(got, "old, and long") {
		t.Errorf("what is open reads %q", got)
	}
}

// Programs that append to a log write to it while one of them opens it.
func TestAnOpenFindsThatTheNameOfAFileIsAnothersThoughItIsWrittenMeanwhile(t *testing.T) {
	r := newRig(t, nil)
	r.put("log", "old")
	n := r.mustFind("log").Node
	h := r.opened(n, syscall.O_WRONLY|syscall.O_APPEND)
	r.rotate("log", "a new one")
	r.holdAllReplies("OPEN")
	opening := r.opens(n)
	r.waitManyHeld(1)
	r.tap.OnReply(func(sftptest.Packet) sftptest.Action { return sftptest.Pass() })
	r.appended(h, ", and written to")
	if err := h.Flush(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	r.tap.Release()
	_, err := opening()
	wantErrno(t, err, syscall.ESTALE)
	r.appended(h, ", to the end")
	if err := h.Flush(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if old, now := r.remote("log.1"), r.remote("log"); old != "old, and written to, to the end" || now != "a new one" {
		t.Errorf("the server has %q, and by the name %q", old, now)
	}
}

// The first one has begun to write by then.
func TestOfTwoOpeningsThatFindDifferentFilesOneIsMadeAgainThoughTheOtherIsWritten(t *testing.T) {
	r := newRig(t, nil)
	r.put("log", "old")
	n := r.mustFind("log").Node
	r.holdAllReplies("OPEN")
	first := r.opensFor(n, syscall.O_WRONLY|syscall.O_APPEND)
	r.waitManyHeld(1)
	r.rotate("log", "a new one")
	second := r.opensFor(n, syscall.O_WRONLY|syscall.O_APPEND)
	r.waitManyHeld(2)
	r.holdAllReplies("WRITE")
	r.tap.Release(0)
	h, err := first()
	if err != nil {
		t.Fatal(err)
	}
	r.appended(h, ", and written to")
	r.waitManyHeld(2)
	r.tap.OnReply(func(sftptest.Packet) sftptest.Action { return sftptest.Pass() })
	r.tap.Release(0)
	_, err = second()
	wantErrno(t, err, syscall.ESTALE)
	r.tap.Release()
	if err := h.Flush(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if old, now := r.remote("log.1"), r.remote("log"); old != "old, and written to" || now != "a new one" {
		t.Errorf("the server has %q, and by the name %q", old, now)
	}
}

// One of two openings takes the name from the file, while the other one has still to ask once more.
func TestOfTwoOpeningsThatFindTheNameIsAnothersNoneIsGivenTheOther(t *testing.T) {
	r := newRig(t, nil)
	r.put("log", "old, and long")
	n := r.mustFind("log").Node
	h := r.opened(n, syscall.O_WRONLY|syscall.O_APPEND)
	r.rotate("log", "new")
	r.holdAllReplies("FSTAT")
	first, second := r.opensFor(n, syscall.O_WRONLY|syscall.O_APPEND), r.opensFor(n, syscall.O_WRONLY|syscall.O_APPEND)
	r.waitManyHeld(2)
	r.tap.Release()
	r.waitManyHeld(2) // each has asked for the second time
	r.tap.OnReply(func(sftptest.Packet) sftptest.Action { return sftptest.Pass() })
	r.tap.Release(0)
	waitFor(t, "one has taken the name away", func() bool { return r.pathOf(n) == "" })
	r.appended(h, ", and written to")
	r.tap.Release()
	for _, await := range []func() (*Handle, error){first, second} {
		_, err := await()
		wantErrno(t, err, syscall.ESTALE)
	}
	if err := h.Flush(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if old, now := r.remote("log.1"), r.remote("log"); old != "old, and long, and written to" || now != "new" {
		t.Errorf("the server has %q, and by the name %q", old, now)
	}
}

// The last bytes of a log are on their way when it is opened by its name, which is another's by then; when they have arrived the log is closed.
func TestAnOpenFindsThatTheNameOfAFileIsAnothersThoughItIsClosedMeanwhile(t *testing.T) {
	r := newRig(t, nil)
	r.put("log", "old, and long")
	n := r.mustFind("log").Node
	h, _, err := r.Open(ctxOf(t), n, syscall.O_WRONLY|syscall.O_APPEND)
	if err != nil {
		t.Fatal(err)
	}
	r.holdAllReplies("WRITE")
	r.appended(h, ", and written to")
	r.waitManyHeld(1)
	r.rotate("log", "new")
	opening := r.opensFor(n, syscall.O_WRONLY|syscall.O_APPEND)
	waitFor(t, "the open file is asked", func() bool { return r.tap.Count("FSTAT") > 0 })
	h.Release()
	r.tap.OnReply(func(sftptest.Packet) sftptest.Action { return sftptest.Pass() })
	r.tap.Release()
	if h, err := opening(); err == nil {
		r.appended(h, " line")
		if err := h.Flush(ctxOf(t)); err != nil {
			t.Fatal(err)
		}
	} else {
		wantErrno(t, err, syscall.ESTALE)
	}
	if old, now := r.remote("log.1"), r.remote("log"); old != "old, and long, and written to" || now != "new" && now != "new line" {
		t.Errorf("the server has %q, and by the name %q", old, now)
	}
}
