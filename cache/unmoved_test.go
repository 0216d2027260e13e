package cache

import (
	"errors"
	"syscall"
	"testing"
)

// What was to live on by another name is not lost by what was done behind that with its old one, before anybody knew of the refusal.
func TestAsyncAFileWhoseRenameIsRefusedOutlivesWhatGetsItsName(t *testing.T) {
	create := func(r *rig, flags uint32) error {
		_, h, err := r.Create(ctxOf(r.t), r.Root(), "a", syscall.O_WRONLY|flags, 0o644)
		if err != nil {
			return err
		}
		_, err = h.Write(ctxOf(r.t), []byte("new"), 0)
		h.Release()
		return err
	}
	for what, steps := range map[string]func(r *rig) error{
		"made anew, to be cut": func(r *rig) error { return create(r, syscall.O_TRUNC) },
		"made anew and removed": func(r *rig) error {
			return errors.Join(create(r, syscall.O_EXCL), r.Unlink(ctxOf(r.t), r.Root(), "a"))
		},
		"another is moved there": func(r *rig) error {
			return r.Rename(ctxOf(r.t), r.Root(), "b", r.Root(), "a", false)
		},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, async)
			r.put("a", "content")
			r.put("b", "another")
			r.list(r.Root())
			n := r.mustFind("a").Node
			answer := r.refuseFirst("posix-rename@openssh.com")
			if err := r.Rename(ctxOf(t), r.Root(), "a", r.Root(), "c", false); err != nil {
				t.Fatal(err)
			}
			if err := steps(r); err != nil {
				t.Fatal(err)
			}
			answer()
			if err := r.Sync(ctxOf(t)); err == nil {
				t.Error("nothing is reported of what was refused")
			}
			r.wantOneFile(n, "a")
			if got := r.remote("a"); got != "content" {
				t.Errorf("the server has %q", got)
			}
			if got := r.remote("b"); got != "another" {
				t.Errorf("the other is %q on the server", got)
			}
		})
	}
}
