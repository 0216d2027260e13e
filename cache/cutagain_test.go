package cache

import (
	"sync/atomic"
	"syscall"
	"testing"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// refuseAgain has the server do the next request of this name, lose the line before the answer, and refuse what is asked again.
func (r *rig) refuseAgain(name string) {
	var done, refused atomic.Bool
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == name && done.Load() && !refused.Swap(true) {
			return sftptest.Answer(session.StatusPermissionDenied, "no")
		}
		return sftptest.Pass()
	})
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && p.Request.Name == name && !done.Swap(true) {
			go r.srv.Cut()
			return sftptest.Drop()
		}
		return sftptest.Pass()
	})
}

// It may have been done by the first request, and is: nothing that was known of the file before may be believed, nor may a name of it be
// taken for another file's, as it looks otherwise.
func TestATruncationThatIsRefusedWhenItIsSentAgainIsLookedAt(t *testing.T) {
	for what, cut := range map[string]struct {
		request string
		do      func(r *rig, n *Node) error
	}{
		"an opening": {"OPEN", func(r *rig, n *Node) error {
			_, _, err := r.Open(ctxOf(r.t), n, syscall.O_WRONLY|syscall.O_TRUNC)
			return err
		}},
		"by its name": {"SETSTAT", func(r *rig, n *Node) error {
			_, _, err := r.Setattr(ctxOf(r.t), n, nil, SetAttr{Size: new(uint64)})
			return err
		}},
		"by a handle": {"FSETSTAT", func(r *rig, n *Node) error {
			h := r.opened(n, syscall.O_WRONLY)
			defer h.Release()
			_, _, err := r.Setattr(ctxOf(r.t), n, h, SetAttr{Size: new(uint64)})
			return err
		}},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, nil)
			r.list(r.Root())
			n := r.linkedPair()
			r.refuseAgain(cut.request)
			wantErrno(t, cut.do(r, n), syscall.EACCES)
			if got := r.remote("a"); got != "" {
				t.Fatalf("the server has %q", got)
			}
			if a, _, err := r.Getattr(ctxOf(t), n, nil); err != nil || a.Size != 0 {
				t.Errorf("it has %d bytes, %v", a.Size, err)
			}
			if got := r.readAll(n); got != "" {
				t.Errorf("it reads %q", got)
			}
			r.wantOneFile(n, "a", "b")
		})
	}
}
