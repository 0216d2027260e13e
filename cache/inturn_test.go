package cache

import (
	"os"
	"path/filepath"
	"testing"
)

// What was answered in the directory by its new path is done by the one that it has kept.
func TestAsyncChangesInADirectoryWhoseRenameIsRefusedAreDone(t *testing.T) {
	r := newRig(t, async)
	r.put("d/removed", "x")
	r.put("d/moved", "content")
	r.list(r.Root())
	dir := r.mustFind("d").Node
	r.list(dir)
	moved := r.mustFind("d/moved").Node
	if _, err := r.Link(ctxOf(t), moved, dir, "linked once"); err != nil { // so that the next need not wait for the server
		t.Fatal(err)
	}
	answer := r.refuseFirst("posix-rename@openssh.com")
	if err := r.Rename(ctxOf(t), r.Root(), "d", r.Root(), "e", false); err != nil {
		t.Fatal(err)
	}
	if err := r.Unlink(ctxOf(t), dir, "removed"); err != nil {
		t.Fatal(err)
	}
	sub, err := r.Mkdir(ctxOf(t), dir, "sub", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Rename(ctxOf(t), dir, "moved", sub.Node, "here", false); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Link(ctxOf(t), moved, dir, "linked"); err != nil {
		t.Fatal(err)
	}
	answer()
	if err := r.Sync(ctxOf(t)); err == nil {
		t.Error("nothing is reported of the rename that was refused")
	}
	if _, err := os.Lstat(filepath.Join(r.dir, "d/removed")); !os.IsNotExist(err) {
		t.Errorf("what was removed: %v", err)
	}
	for _, name := range []string{"d/sub/here", "d/linked"} {
		if got := r.remote(name); got != "content" {
			t.Errorf("%s has %q", name, got)
		}
	}
}
