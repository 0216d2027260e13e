package cache

import (
	"syscall"
	"testing"
	"time"
)

// The answer to a look-up is of before a rename which, for all that is known here, may have left the name as it was.
func TestALookUpThatCrossesWithARenameOfWhatLooksLikeItsTargetIsAskedAgain(t *testing.T) {
	r := newRig(t, nil)
	past := time.Unix(1e9, 0)
	r.putAt("a", "content", past)
	r.putAt("b", "content", past)
	r.list(r.Root())
	n := r.mustFind("a").Node
	r.mustFind("b")
	r.distrustNode(n)
	r.holdReply("LSTAT")
	found := make(chan error, 1)
	go func() {
		_, err := r.Lookup(ctxOf(t), r.Root(), "a")
		found <- err
	}()
	r.waitHeld()
	if err := r.Rename(ctxOf(t), r.Root(), "a", r.Root(), "b", false); err != nil {
		t.Fatal(err)
	}
	r.tap.OnReply(nil)
	r.tap.Release()
	wantErrno(t, <-found, syscall.ENOENT)
	if _, err := r.Lookup(ctxOf(t), r.Root(), "a"); err == nil {
		t.Error("it is there still")
	}
}
