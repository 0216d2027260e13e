package cache

import (
	"sync/atomic"
	"syscall"
	"testing"

	"sshmount/sftpconn/sftptest"
)

// A write clears the set-user-ID bit. So the bits are set when the bytes are there, and not while they are on their way.
func TestASetUserIDBitIsSetBehindTheBytesThatWouldClearIt(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "content")
	n := r.mustFind("f").Node
	h := r.opened(n, syscall.O_RDWR)
	if _, err := h.Write(ctxOf(t), []byte("CON"), 0); err != nil {
		t.Fatal(err)
	}
	r.holdReply("WRITE")
	var there, early atomic.Bool
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if (p.Name == "SETSTAT" || p.Name == "FSETSTAT") && !there.Load() {
			early.Store(true)
		}
		return sftptest.Pass()
	})
	mode, set := uint32(0o4755), make(chan error, 1)
	go func() {
		_, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Mode: &mode})
		set <- err
	}()
	r.waitHeld()
	waitFor(t, "the change waits, or is sent", func() bool { return early.Load() || parkedIn("Setattr", "waitEvent") > 0 })
	there.Store(true)
	r.tap.OnReply(nil)
	r.tap.Release()
	if err := <-set; err != nil {
		t.Error(err)
	}
	if early.Load() {
		t.Error("it was sent while the bytes were on their way")
	}
}
