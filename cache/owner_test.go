package cache

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// theirs makes a directory on the server that belongs to somebody else than who is logged in.
func (r *rig) theirs(name string, mode os.FileMode) *Node {
	r.t.Helper()
	if os.Geteuid() != 0 {
		r.t.Skip("only root can give a directory away")
	}
	p := filepath.Join(r.dir, name)
	if err := os.Mkdir(p, 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Chown(p, 4711, 4712); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Chmod(p, mode); err != nil {
		r.t.Fatal(err)
	}
	n := r.mustFind(name).Node
	r.list(n)
	return n
}

func TestAsyncShowsWhoWillOwnWhatIsMadeInADirectoryOfSomebodyElse(t *testing.T) {
	r := newRig(t, async)
	d := r.theirs("d", 0o777)
	for _, name := range []string{"first", "second"} {
		f, err := r.Mkdir(ctxOf(t), d, name, 0o755)
		if err != nil {
			t.Fatal(err)
		}
		if f.Attr.UID != 0 || f.Attr.GID != 0 {
			t.Errorf("%s is shown as %d:%d's, and is root's", name, f.Attr.UID, f.Attr.GID)
		}
		r.srv.Freeze() // from the second on nobody waits for the server
	}
	f, h, err := r.Create(ctxOf(t), d, "file", syscall.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	h.Release()
	if f.Attr.UID != 0 || f.Attr.GID != 0 {
		t.Errorf("the file is shown as %d:%d's, and is root's", f.Attr.UID, f.Attr.GID)
	}
	r.srv.Thaw()
}

func TestAsyncLearnsTheOwnerFromAFileToo(t *testing.T) {
	r := newRig(t, async)
	d := r.theirs("d", 0o777)
	f, h, err := r.Create(ctxOf(t), d, "file", syscall.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	h.Release()
	if f.Attr.UID != 0 || f.Attr.GID != 0 {
		t.Errorf("the file is shown as %d:%d's, and is root's", f.Attr.UID, f.Attr.GID)
	}
}

func TestAsyncShowsTheSetGroupIDBitThatADirectoryInherits(t *testing.T) {
	r := newRig(t, async)
	d := r.theirs("d", 0o777|os.ModeSetgid)
	for _, name := range []string{"first", "second"} {
		f, err := r.Mkdir(ctxOf(t), d, name, 0o755)
		if err != nil {
			t.Fatal(err)
		}
		if f.Attr.UID != 0 || f.Attr.GID != 4712 || f.Attr.Mode&0o7777 != 0o2755 {
			t.Errorf("%s is shown as %d:%d's with mode %#o", name, f.Attr.UID, f.Attr.GID, f.Attr.Mode)
		}
		r.srv.Freeze()
	}
	r.srv.Thaw()
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	var st syscall.Stat_t
	if err := syscall.Stat(filepath.Join(r.dir, "d/second"), &st); err != nil || st.Gid != 4712 || st.Mode&0o7777 != 0o2755 {
		t.Errorf("on the server: group %d, mode %#o, %v", st.Gid, st.Mode, err)
	}
}
