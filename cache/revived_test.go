package cache

import (
	"syscall"
	"testing"
)

// The kernel looks for nothing in a directory that it has once removed, while a program is in it or has something of it open.
func TestAsyncADirectoryWhoseRemovalIsRefusedIsAnotherForTheKernel(t *testing.T) {
	r := newRig(t, async)
	d, err := r.Mkdir(ctxOf(t), r.Root(), "d", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	sub, err := r.Mkdir(ctxOf(t), d.Node, "sub", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	f := r.create(sub.Node, "f", "content").Node
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	h := r.opened(f, syscall.O_RDWR)
	answer := r.refuseFirst("REMOVE")
	if err := r.Unlink(ctxOf(t), sub.Node, "f"); err != nil {
		t.Fatal(err)
	}
	if err := r.Rmdir(ctxOf(t), d.Node, "sub"); err != nil {
		t.Fatal(err)
	}
	if err := r.Rmdir(ctxOf(t), r.Root(), "d"); err != nil {
		t.Fatal(err)
	}
	answer()
	if err := r.Sync(ctxOf(t)); err == nil {
		t.Error("nothing is reported of what was refused")
	}
	for name, was := range map[string]*Node{"d": d.Node, "d/sub": sub.Node} {
		if now := r.mustFind(name).Node; now == was || now.ID() == was.ID() {
			t.Errorf("%s has the inode that was removed", name)
		}
	}
	r.wantOneFile(f, "d/sub/f")
	r.fill(h, "CONTENT")
	if err := h.Fsync(ctxOf(t)); err != nil {
		t.Error(err)
	}
	if got := r.remote("d/sub/f"); got != "CONTENT" {
		t.Errorf("the server has %q", got)
	}
	// What the kernel still has of it is none.
	if _, err := r.Lookup(ctxOf(t), d.Node, "sub"); err == nil {
		t.Error("the directory that was removed has something in it")
	}
	r.create(r.mustFind("d/sub").Node, "g", "more")
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Error(err)
	}
	if got := r.remote("d/sub/g"); got != "more" {
		t.Errorf("the server has %q", got)
	}
}
