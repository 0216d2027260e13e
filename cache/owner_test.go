package cache

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
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

func TestAsyncRefusesAtOnceWhatOnlyTheOwnerOrRootMaySet(t *testing.T) {
	const me = 4711
	none, bits := uint32(0), uint32(0o600)
	for _, row := range []struct {
		what  string
		owner uint32
		wish  SetAttr
	}{
		{"my own file is given to root", me, SetAttr{UID: &none}},
		{"my own file is given to root's group", me, SetAttr{GID: &none}},
		{"the mode of a file of root's is set", 0, SetAttr{Mode: &bits}},
	} {
		t.Run(row.what, func(t *testing.T) {
			r := newRig(t, async)
			r.put("f", "x")
			if err := os.Chown(filepath.Join(r.dir, "f"), int(row.owner), int(row.owner)); err != nil {
				t.Skip(err)
			}
			n := r.mustFind("f").Node
			r.mu.Lock()
			r.owner.uid, r.owner.uidKnown = me, true
			r.mu.Unlock()
			r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
				if p.Name == "SETSTAT" {
					return sftptest.Answer(session.StatusPermissionDenied, "Permission denied")
				}
				return sftptest.Pass()
			})
			if _, _, err := r.Setattr(ctxOf(t), n, nil, row.wish); !errors.Is(err, syscall.EPERM) {
				t.Errorf("the answer is %v", err)
			}
			if err := r.Sync(ctxOf(t)); err != nil {
				t.Errorf("it is told a second time: %v", err)
			}
			if a, _, err := r.Getattr(ctxOf(t), n, nil); err != nil || a.UID != row.owner || a.GID != row.owner || a.Mode&0o777 != 0o644 {
				t.Errorf("it is shown with owner %d:%d and mode %#o; %v", a.UID, a.GID, a.Mode, err)
			}
		})
	}
}

func TestAsyncSetsTheModeOfOnesOwnFileWithoutWaiting(t *testing.T) {
	r := newRig(t, async)
	r.put("f", "x")
	if err := os.Chown(filepath.Join(r.dir, "f"), 4711, 4711); err != nil {
		t.Skip(err)
	}
	n := r.mustFind("f").Node
	r.mu.Lock()
	r.owner.uid, r.owner.uidKnown = 4711, true
	r.mu.Unlock()
	r.srv.Freeze()
	bits := uint32(0o600)
	if _, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Mode: &bits}); err != nil {
		t.Error(err)
	}
	r.srv.Thaw()
}
