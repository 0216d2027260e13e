package cache

import (
	"context"
	"syscall"
	"testing"
)

// ownerUnknown has the next making wait for the server.
func (r *rig) ownerUnknown() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owner = owner{}
}

// What was made is there though nobody waits for it any more.
func TestAsyncARenameOverADirectoryWhoseMakerWasKilled(t *testing.T) {
	r := newRig(t, async)
	r.put("b", "content")
	r.list(r.Root())
	b := r.mustFind("b").Node
	r.ownerUnknown()
	r.holdReply("MKDIR")
	ctx, kill := context.WithCancel(ctxOf(t))
	made, renamed := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := r.Mkdir(ctx, r.Root(), "d", 0o755)
		made <- err
	}()
	r.waitHeld()
	go func() { renamed <- r.Rename(ctxOf(t), r.Root(), "b", r.Root(), "d", false) }()
	waitFor(t, "the rename waits for its turn", func() bool { return r.queue.count.Load() == 2 })
	kill()
	<-made
	r.tap.OnReply(nil)
	r.tap.Release()
	wantErrno(t, <-renamed, syscall.EISDIR)
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Errorf("reported: %v", err)
	}
	if f := r.mustFind("b"); f.Node != b {
		t.Errorf("the file is found as %+v", f.Attr)
	}
}
