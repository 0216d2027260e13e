package cache

import (
	"syscall"
	"testing"
)

// The directory is at its old name by then, and the file is made and moved there, as it would be in any other directory.
func TestAsyncWhatLeavesADirectoryWhoseRenameIsRefusedIsNotLost(t *testing.T) {
	r := newRig(t, async)
	r.list(r.Root())
	d, err := r.Mkdir(ctxOf(t), r.Root(), "d", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	answer := r.refuseFirst("posix-rename@openssh.com")
	if err := r.Rename(ctxOf(t), r.Root(), "d", r.Root(), "e", false); err != nil {
		t.Fatal(err)
	}
	_, h, err := r.Create(ctxOf(t), d.Node, "f", syscall.O_WRONLY|syscall.O_EXCL, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	r.fill(h, "content")
	h.Release()
	if err := r.Rename(ctxOf(t), d.Node, "f", r.Root(), "g", false); err != nil {
		t.Fatal(err)
	}
	if err := r.Rmdir(ctxOf(t), r.Root(), "e"); err != nil {
		t.Fatal(err)
	}
	answer()
	if err := r.Sync(ctxOf(t)); err == nil {
		t.Error("nothing is reported of what was refused")
	}
	if got := r.remote("g"); got != "content" {
		t.Errorf("the server has %q", got)
	}
	if got := r.rescued("g"); len(got) != 0 {
		t.Errorf("rescued: %q", got)
	}
	if now := r.mustFind("d").Node; now == d.Node {
		t.Error("the directory has the inode that was removed")
	}
	r.create(r.mustFind("d").Node, "more", "more")
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Error(err)
	}
	if got := r.remote("d/more"); got != "more" {
		t.Errorf("the server has %q", got)
	}
}
