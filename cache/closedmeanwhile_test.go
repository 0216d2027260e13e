package cache

import (
	"errors"
	"syscall"
	"testing"

	"sshmount/sftpconn/sftptest"
)

// The question is to go by an open handle, as its name is gone, and that handle is closed by then: it is no failure of the server's.
func TestAStatOfAFileThatIsClosedMeanwhileIsNoError(t *testing.T) {
	for what, beside := range map[string]bool{"another program has it open": true, "nobody has it open any more": false} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("f", "old")
			n := r.mustFind("f").Node
			h, _, err := r.Open(ctxOf(t), n, syscall.O_RDWR)
			if err != nil {
				t.Fatal(err)
			}
			r.distrustNode(n)
			r.removeRemote("f")
			r.holdAllReplies("LSTAT")
			answered := make(chan error, 1)
			go func() {
				_, _, err := r.Getattr(ctxOf(t), n, nil)
				answered <- err
			}()
			r.waitManyHeld(1)
			if beside {
				r.mu.Lock()
				other, _ := r.openShared(ctxOf(t), n, syscall.O_RDONLY)
				r.mu.Unlock()
				defer other.Release()
			}
			h.Release()
			r.tap.OnReply(func(sftptest.Packet) sftptest.Action { return sftptest.Pass() })
			r.tap.Release()
			want := syscall.ESTALE // the kernel looks the name up
			if beside {
				want = 0
			}
			if err := <-answered; want == 0 && err != nil || want != 0 && !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
}
