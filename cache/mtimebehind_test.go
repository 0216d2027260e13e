package cache

import (
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

func TestTheAnswerBehindAFailedWriteIsNotBelieved(t *testing.T) {
	r := newRig(t, nil)
	f, h := r.unsaved("f")
	r.tap.Reset()
	r.onReplyBehind(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && p.Request.Name == "WRITE" {
			return sftptest.Answer(session.StatusPermissionDenied, "no")
		}
		return sftptest.Pass()
	})
	wantErrno(t, h.Flush(ctxOf(t)), syscall.EACCES)
	if got := r.tap.Count("FSTAT"); got != 1 {
		t.Errorf("the server was asked for the attributes %d times", got)
	}
	r.mu.Lock()
	unknown := f.Node.file.written.untold
	r.mu.Unlock()
	if !unknown {
		t.Error("the attributes of the file are taken to be known")
	}
	h.Release()
	r.learnt(f.Node)
	r.wantServers(f.Node)
}

// Such a server may look at the file before it writes.
func TestAServerThatMayAnswerInAnyOrderIsAskedBehindTheLastAnswer(t *testing.T) {
	r := newRig(t, nil)
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "VERSION" {
			return sftptest.ReplaceBody(p.Body[:4]) // without extensions
		}
		return sftptest.Pass()
	})
	r.srv.Cut()
	f, h := r.unsaved("f")
	r.tap.Reset()
	if err := h.Flush(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if got := r.tap.Count("FSTAT"); got > 0 {
		t.Error("it was asked in the flight of the write")
	}
	h.Release()
	r.learnt(f.Node)
	r.wantServers(f.Node)
}

// The write has reached the server and its answer is lost: it is sent again, and changes the mtime a second time.
func TestAnOutageBetweenAWriteAndTheAnswersLeavesTheServersTime(t *testing.T) {
	for _, swallowed := range []string{"WRITE", "FSTAT"} {
		t.Run(swallowed, func(t *testing.T) {
			r := newRig(t, nil)
			f, h := r.unsaved("f")
			var once sync.Once
			r.onReplyBehind(func(p sftptest.Packet) sftptest.Action {
				act := sftptest.Pass()
				if p.Request != nil && p.Request.Name == swallowed {
					once.Do(func() { act = sftptest.Hold() })
				}
				return act
			})
			flushed := make(chan error, 1)
			go func() { flushed <- h.Flush(ctxOf(t)) }()
			r.waitHeld()
			r.srv.Cut()
			if err := <-flushed; err != nil {
				t.Fatal(err)
			}
			h.Release()
			r.learnt(f.Node)
			r.wantServers(f.Node)
		})
	}
}

// The times go out behind the bytes, so those are the file's.
func TestTimesThatFollowTheBytesAreNotAskedFor(t *testing.T) {
	r := newRig(t, nil)
	f, h := r.unsaved("f")
	when := time.Unix(1_000_000_000, 0)
	if _, _, err := r.Setattr(ctxOf(t), f.Node, h, SetAttr{Atime: &when, Mtime: &when}); err != nil {
		t.Fatal(err)
	}
	r.tap.Reset()
	r.finish(h)
	r.wantServers(f.Node)
	if got := r.tap.Count("FSTAT"); got > 0 {
		t.Errorf("the server was asked for the attributes %d times", got)
	}
}

// With async a change behind the close of a file waits for its bytes alone.
func TestAsyncAsksInTheFlightOfTheBytes(t *testing.T) {
	r := newRig(t, async)
	f, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	r.costs("write, close and rename", 2, func() {
		r.fill(h, "content")
		r.finish(h)
		if err := r.Rename(ctxOf(t), r.Root(), "f", r.Root(), "g", false); err != nil {
			t.Fatal(err)
		}
		if err := r.Sync(ctxOf(t)); err != nil {
			t.Fatal(err)
		}
	})
	if got := r.tap.Count("FSTAT"); got > 1 {
		t.Errorf("the server was asked for the attributes %d times", got)
	}
	if got, err := os.ReadFile(filepath.Join(r.dir, "g")); err != nil || string(got) != "content" {
		t.Errorf("the server has %q, %v", got, err)
	}
	r.wantServers(f.Node)
}
