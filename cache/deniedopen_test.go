package cache

import (
	"sync/atomic"
	"syscall"
	"testing"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// As grep -r does in a tree in which not all is the user's: OpenSSH does not say so for want of handles.
func TestAFileThatMayNotBeReadIsAskedForOnceAndNothingIsGivenBackForIt(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "content")
	r.put("secret", "content")
	h, _, err := r.Open(ctxOf(t), r.mustFind("f").Node, syscall.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	h.Release()
	secret := r.mustFind("secret").Node
	var opens, closes atomic.Int64
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		switch p.Name {
		case "CLOSE":
			closes.Add(1)
		case "OPEN":
			opens.Add(1)
			return sftptest.Answer(session.StatusPermissionDenied, "Permission denied")
		}
		return sftptest.Pass()
	})
	defer r.tap.OnRequest(nil)
	_, _, err = r.Open(ctxOf(t), secret, syscall.O_RDONLY)
	wantErrno(t, err, syscall.EACCES)
	if opens.Load() != 1 || closes.Load() != 0 {
		t.Errorf("it was asked for %d times, and %d files were given back", opens.Load(), closes.Load())
	}
}
