package cache

import (
	"syscall"
	"testing"
)

// The server refuses to remove what is in a directory, so it doesn't remove that either. What has the file open must find it by its name when
// the line was lost.
func TestAsyncAFileOfADirectoryWhoseRemovalFailsHasItsNameAgain(t *testing.T) {
	r := newRig(t, async)
	if _, err := r.Mkdir(ctxOf(t), r.Root(), "d", 0o755); err != nil {
		t.Fatal(err)
	}
	d := r.mustFind("d").Node
	r.create(d, "f", "content")
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	r.list(d)
	n := r.mustFind("d/f").Node
	h := r.opened(n, syscall.O_RDWR)
	defer h.Release()
	answer := r.refuseFirst("REMOVE")
	if err := r.Unlink(ctxOf(t), d, "f"); err != nil {
		t.Fatal(err)
	}
	if err := r.Rmdir(ctxOf(t), r.Root(), "d"); err != nil {
		t.Fatal(err)
	}
	answer()
	if err := r.Sync(ctxOf(t)); err == nil {
		t.Error("nothing is reported of what was refused")
	}
	r.wantOneFile(n, "d/f")
	r.srv.Cut()
	r.fill(h, "CONTENT")
	if err := h.Fsync(ctxOf(t)); err != nil {
		t.Error(err)
	}
	if got := r.remote("d/f"); got != "CONTENT" {
		t.Errorf("the server has %q", got)
	}
}
