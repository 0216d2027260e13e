package cache

import (
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// The server does not remove a file that is open here. What has it open and what has made it anew would write into one file.
func TestAsyncAFileThatIsOpenAndCantBeRemovedIsNotTheOneThatIsMadeAnew(t *testing.T) {
	for what, flags := range map[string]uint32{"cut": syscall.O_TRUNC, "as it is": 0} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, async)
			r.put("f", "")
			r.list(r.Root())
			n := r.mustFind("f").Node
			old := r.opened(n, syscall.O_RDWR)
			answer := r.refuseFirst("REMOVE")
			if err := r.Unlink(ctxOf(t), r.Root(), "f"); err != nil {
				t.Fatal(err)
			}
			_, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY|flags, 0o644)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Release()
			r.fill(h, "new")
			r.fill(old, "content")
			answer()
			if err := h.Fsync(ctxOf(t)); err == nil {
				t.Error("nothing is reported to who has made it anew")
			}
			if err := r.Sync(ctxOf(t)); err == nil {
				t.Error("nothing is reported of what was refused")
			}
			r.wantOneFile(n, "f")
			if got := r.remote("f"); got != "content" {
				t.Errorf("the server has %q", got)
			}
			if got := r.rescued("f"); len(got) != 1 || got[0] != "new" {
				t.Errorf("rescued: %q", got)
			}
		})
	}
}

// The server does not remove it, but it does make it anew: by then all that was written into the old one must be there.
func TestAsyncAFileThatCantBeRemovedIsMadeAnewBehindItsLastBytes(t *testing.T) {
	r := newRig(t, async)
	r.put("f", "content")
	r.list(r.Root())
	old, _, err := r.Open(ctxOf(t), r.mustFind("f").Node, syscall.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	let := make(chan struct{})
	var held atomic.Bool
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		switch {
		case p.Name == "REMOVE":
			<-let
			return sftptest.Answer(session.StatusPermissionDenied, "no")
		case p.Name == "WRITE" && !held.Swap(true):
			return sftptest.Hold()
		}
		return sftptest.Pass()
	})
	r.fill(old, "CONTENT")
	if err := r.Unlink(ctxOf(t), r.Root(), "f"); err != nil {
		t.Fatal(err)
	}
	old.Release()
	_, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY|syscall.O_TRUNC, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	r.fill(h, "new")
	h.Release()
	close(let)
	r.waitHeld()
	time.Sleep(100 * time.Millisecond) // whoever does not wait for it has made the file by then
	r.tap.Release()
	if err := r.Sync(ctxOf(t)); err == nil {
		t.Error("nothing is reported of what was refused")
	}
	if got := r.remote("f"); got != "new" {
		t.Errorf("the server has %q", got)
	}
}
