package cache

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// mv(1) copies what it can't rename, if it is told.
func TestAsyncARenameToAnotherDiskIsRefusedAtOnce(t *testing.T) {
	r := newRig(t, async)
	r.put("log", "theirs")
	vol := filepath.Join(r.dir, "vol")
	if err := os.Mkdir(vol, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", vol, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("a file system can't be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(vol, syscall.MNT_DETACH) })
	r.list(r.Root())
	d := r.mustFind("vol").Node
	r.list(d)
	wantErrno(t, r.Rename(ctxOf(t), r.Root(), "log", d, "log", false), syscall.EXDEV)
	if got := r.readAll(r.mustFind("log").Node); got != "theirs" {
		t.Errorf("the file is read as %q", got)
	}
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Errorf("it is told once more: %v", err)
	}
}

// As mail is delivered, from one directory into another.
func TestAsyncRenamesBetweenTwoDirectoriesAreAnsweredAtOnceAfterTheFirst(t *testing.T) {
	r := newRig(t, async)
	for _, name := range []string{"new/x", "tmp/1", "tmp/2", "tmp/3"} {
		r.put(name, name)
	}
	r.list(r.Root())
	tmp, inbox := r.mustFind("tmp").Node, r.mustFind("new").Node
	r.list(tmp)
	r.list(inbox)
	if err := r.Rename(ctxOf(t), tmp, "1", inbox, "1", false); err != nil {
		t.Fatal(err)
	}
	cur, err := r.Mkdir(ctxOf(t), inbox, "cur", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	r.holdRequests("posix-rename@openssh.com")
	if err := r.Rename(ctxOf(t), tmp, "2", inbox, "2", false); err != nil {
		t.Error(err)
	}
	if err := r.Rename(ctxOf(t), tmp, "3", cur.Node, "3", false); err != nil {
		t.Error(err)
	}
	r.waitHeld()
	r.tap.OnRequest(nil)
	r.tap.Release()
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if r.remote("new/2") != "tmp/2" || r.remote("new/cur/3") != "tmp/3" {
		t.Error("the server has something else")
	}
}
