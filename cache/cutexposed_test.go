package cache

import (
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"sshmount/sftpconn"
)

// A file that is shorter after a lost line than it was written here has lost nothing where it was cut from here.
func TestAFileCutFromHereHasLostNothingWhenTheLineIsLost(t *testing.T) {
	size := uint64(4)
	for name, cut := range map[string]func(r *rig, n *Node) error{
		"by its name": func(r *rig, n *Node) error {
			_, _, err := r.Setattr(ctxOf(r.t), n, nil, SetAttr{Size: &size})
			return err
		},
		"through another handle": func(r *rig, n *Node) error {
			_, _, err := r.Setattr(ctxOf(r.t), n, r.opened(n, syscall.O_RDWR), SetAttr{Size: &size})
			return err
		},
		"at another opening": func(r *rig, n *Node) error {
			r.opened(n, syscall.O_WRONLY|syscall.O_TRUNC)
			return nil
		},
		"at a creation": func(r *rig, n *Node) error {
			_, h, err := r.Create(ctxOf(r.t), r.Root(), "f", syscall.O_WRONLY|syscall.O_TRUNC, 0o644)
			if err == nil {
				r.t.Cleanup(h.Release)
			}
			return err
		},
		"by another": nil,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRigOver(t, sftpconn.Options{Logger: slog.New(slog.DiscardHandler)}, nil)
			f, h, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_RDWR, 0o644)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Release()
			r.fill(h, "0123456789")
			if err := h.Flush(ctxOf(t)); err != nil {
				t.Fatal(err)
			}
			if cut == nil {
				err = os.Truncate(filepath.Join(r.dir, "f"), 4)
			} else {
				err = cut(r, f.Node)
			}
			if err != nil {
				t.Fatal(err)
			}
			r.srv.Cut()
			r.fill(h, "0")
			switch err := h.Flush(ctxOf(t)); {
			case cut != nil && err != nil:
				t.Error(err)
			case cut == nil:
				wantErrno(t, err, syscall.EIO)
				_ = r.Sync(ctxOf(t)) // which tells of it, too
			}
		})
	}
}
