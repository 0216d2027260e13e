package cache

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The line stalls for longer than the clocks are compared by: what was made gets the time at which it is made.
func TestWhatTheServerHasDoneLateIsShownWithItsTime(t *testing.T) {
	for _, row := range []struct {
		what, request, name string
		do                  func(r *rig, d *Node) error
	}{
		{"a directory", "MKDIR", "new", func(r *rig, d *Node) error {
			_, err := r.Mkdir(ctxOf(r.t), d, "new", 0o755)
			return err
		}},
		{"a link", "SYMLINK", "new", func(r *rig, d *Node) error {
			_, err := r.Symlink(ctxOf(r.t), d, "new", "old")
			return err
		}},
		{"an empty file", "OPEN", "new", func(r *rig, d *Node) error {
			_, h, err := r.Create(ctxOf(r.t), d, "new", syscall.O_WRONLY, 0o644)
			if err == nil {
				h.Release()
			}
			return err
		}},
		{"a directory that something was removed from", "REMOVE", "", func(r *rig, d *Node) error {
			return r.Unlink(ctxOf(r.t), d, "old")
		}},
	} {
		for _, late := range []bool{true, false} {
			t.Run(row.what, func(t *testing.T) {
				r := newRig(t, async)
				r.put("d/old", "")
				d := r.mustFind("d").Node
				r.list(d)
				r.holdReply(row.request)
				if err := row.do(r, d); err != nil {
					t.Fatal(err)
				}
				r.waitHeld()
				if late {
					r.pass((clockBlur + 1) * time.Second)
				}
				r.tap.Release()
				if err := r.Sync(ctxOf(t)); err != nil {
					t.Fatal(err)
				}
				then := time.Now().Add(-time.Hour)
				p := filepath.Join(r.dir, "d", row.name)
				tv := unix.NsecToTimeval(then.UnixNano())
				if err := unix.Lutimes(p, []unix.Timeval{tv, tv}); err != nil {
					t.Fatal(err)
				}
				n := d
				if row.name != "" {
					r.mu.Lock()
					n = r.child(d, row.name)
					r.mu.Unlock()
				}
				asked := r.tap.Count("LSTAT", "FSTAT")
				a, ttl, err := r.Getattr(ctxOf(t), n, nil)
				if err != nil {
					t.Fatal(err)
				}
				if shown := a.Mtime == then.Unix(); shown != late {
					t.Errorf("done late: %v, and its time is the server's: %v", late, shown)
				}
				if ttl == 0 {
					t.Error("it is not trusted")
				}
				if more := r.tap.Count("LSTAT", "FSTAT") - asked; !late && more > 0 {
					t.Errorf("%d requests for what was done at once", more)
				}
			})
		}
	}
}
