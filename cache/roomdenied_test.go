package cache

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// What is denied for itself says nothing of how many files the server lets be open: those made behind it are so side by side as before.
func TestAFileThatMayNotBeOpenedBoundsNoCreations(t *testing.T) {
	r := notOpenSSH(t)
	r.put("secret", "x")
	r.list(r.Root())
	secret := r.mustFind("secret").Node
	var open, most atomic.Int64
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		switch {
		case p.Name == "OPEN" && bytes.Contains(p.Body, []byte("/secret")):
			return sftptest.Answer(session.StatusPermissionDenied, "no")
		case p.Name == "OPEN":
			most.Store(max(most.Load(), open.Add(1)))
		case p.Name == "CLOSE":
			open.Add(-1)
		}
		return sftptest.Pass()
	})
	defer r.tap.OnRequest(nil)
	r.tap.SetDelay(3 * time.Millisecond)
	const files = 40
	for i := range files {
		r.create(r.Root(), fmt.Sprint("before", i), "content")
	}
	_, _, err := r.Open(ctxOf(t), secret, syscall.O_RDONLY)
	wantErrno(t, err, syscall.EACCES)
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	before := most.Swap(0)
	for i := range files {
		r.create(r.Root(), fmt.Sprint("behind", i), "content")
	}
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if behind := most.Load(); behind < before/2 {
		t.Errorf("%d files were open at a time, before it %d", behind, before)
	}
}
