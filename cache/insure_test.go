package cache

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// With -o async an fsync of a directory makes sure of all that is in it, and not of the names alone.
func TestAsyncFsyncOfADirectoryTellsOfAttributesThatAFileInItWasRefused(t *testing.T) {
	r := newRig(t, async)
	r.put("d/f", "content")
	d, n := r.mustFind("d").Node, r.mustFind("d/f").Node
	r.refuse("SETSTAT")
	mode := uint32(0o600)
	if _, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Mode: &mode}); err != nil {
		t.Fatal(err)
	}
	wantErrno(t, r.Fsyncdir(ctxOf(t), d), syscall.EPERM)
	wantErrno(t, r.Fsyncdir(ctxOf(t), r.Root()), syscall.EPERM)
}

func TestAsyncADirectoryListedLongAgoIsNotTakenForEmpty(t *testing.T) {
	r := newRig(t, async)
	if err := os.Mkdir(filepath.Join(r.dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := r.list(r.mustFind("d").Node); len(got) > 0 {
		t.Fatalf("listed: %v", got)
	}
	r.pass(r.timeout + time.Second)
	r.mustFind("d") // that it is there is known anew, and not what is in it
	r.put("d/theirs", "x")
	wantErrno(t, r.Rmdir(ctxOf(t), r.Root(), "d"), syscall.ENOTEMPTY)
}

// Who may list a directory whose owner has taken that right from himself only the server can say.
func TestADirectoryThatItsOwnerMayNotListIsNotListedFromMemory(t *testing.T) {
	r := newRig(t, nil)
	r.put("d/f", "content")
	d := r.mustFind("d").Node
	r.list(d)
	mode := uint32(0o300)
	if _, _, err := r.Setattr(ctxOf(t), d, nil, SetAttr{Mode: &mode}); err != nil {
		t.Fatal(err)
	}
	r.refuse("OPENDIR")
	_, err := r.OpenDir(ctxOf(t), d)
	wantErrno(t, err, syscall.EACCES)
}
