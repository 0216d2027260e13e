package cache

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// What was made here is not asked to become what it is, as long as nobody can have changed it.
func TestAFileMadeHereGetsItsModeBack(t *testing.T) {
	private, public := uint32(0o600), uint32(0o644)
	for what, change := range map[string]func(r *rig, n *Node){
		"after a change that was interrupted": func(r *rig, n *Node) {
			r.interrupt("SETSTAT", func(ctx context.Context) error {
				_, _, err := r.Setattr(ctx, n, nil, SetAttr{Mode: &private})
				return err
			})
		},
		// A server sets one thing after the other, and says of all but the last only that something went wrong.
		"after a change that was refused in part": func(r *rig, n *Node) {
			uid := uint32(1)
			r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
				if p.Name != "SETSTAT" {
					return sftptest.Pass()
				}
				if err := os.Chmod(filepath.Join(r.dir, "f"), 0o600); err != nil {
					r.t.Error(err)
				}
				return sftptest.Answer(session.StatusPermissionDenied, "not yours to give away")
			})
			_, _, err := r.Setattr(ctxOf(r.t), n, nil, SetAttr{Mode: &private, UID: &uid})
			wantErrno(r.t, err, syscall.EPERM)
			r.tap.OnRequest(nil)
			if a, _, err := r.Getattr(ctxOf(r.t), n, nil); err != nil || a.Mode&0o777 != private {
				r.t.Errorf("the mode shown is %o, %v", a.Mode, err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, nil)
			f, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY|syscall.O_EXCL, 0o644)
			if err != nil {
				t.Fatal(err)
			}
			h.Release()
			change(r, f.Node)
			if _, _, err := r.Setattr(ctxOf(t), f.Node, nil, SetAttr{Mode: &public}); err != nil {
				t.Fatal(err)
			}
			r.wantDone("f", func(fi os.FileInfo) bool { return fi.Mode().Perm() == 0o644 })
		})
	}
}

func TestAnOwnerThatSomebodyElseChangedIsSetAgain(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give files away")
	}
	r := newRig(t, nil)
	f, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY|syscall.O_EXCL, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	h.Release()
	path := filepath.Join(r.dir, "f")
	if err := os.Chown(path, 12, 13); err != nil {
		t.Fatal(err)
	}
	if err := r.refresh(ctxOf(t), f.Node, nil); err != nil {
		t.Fatal(err)
	}
	zero := uint32(0)
	if _, _, err := r.Setattr(ctxOf(t), f.Node, nil, SetAttr{UID: &zero, GID: &zero}); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("the owner is %v, %v", st.Sys(), err)
	}
}
