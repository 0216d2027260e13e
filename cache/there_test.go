package cache

import (
	"errors"
	"syscall"
	"testing"
)

// Of two names of a file one is taken away, which the server refuses, and what was done behind that with the name is refused, or does
// something else than was thought.
func TestAsyncAFileHasTheNamesThatTheServerHasLeftIt(t *testing.T) {
	const rename = "posix-rename@openssh.com"
	move := func(r *rig, from, to string) error {
		return r.Rename(ctxOf(r.t), r.Root(), from, r.Root(), to, false)
	}
	unlink := func(r *rig, name string) error { return r.Unlink(ctxOf(r.t), r.Root(), name) }
	link := func(r *rig, name, more string) error {
		_, err := r.Link(ctxOf(r.t), r.mustFind(name).Node, r.Root(), more)
		return err
	}
	create := func(r *rig, name string, flags uint32) error {
		_, h, err := r.Create(ctxOf(r.t), r.Root(), name, syscall.O_WRONLY|flags, 0o644)
		if err == nil {
			h.Release()
		}
		return err
	}
	for what, tc := range map[string]struct {
		refused string // the first request of this name
		steps   func(r *rig) error
		left    []string
	}{
		"removed and made anew": {"REMOVE", func(r *rig) error {
			return errors.Join(unlink(r, "b"), create(r, "b", syscall.O_EXCL))
		}, []string{"a", "b"}},
		"removed and made anew, to be cut": {"REMOVE", func(r *rig) error {
			return errors.Join(unlink(r, "b"), create(r, "b", syscall.O_TRUNC))
		}, []string{"a", "b"}},
		"removed and linked": {"REMOVE", func(r *rig) error {
			return errors.Join(unlink(r, "b"), link(r, "a", "b"))
		}, []string{"a", "b"}},
		"removed and made anew, which gets one more name": {"REMOVE", func(r *rig) error {
			return errors.Join(unlink(r, "b"), create(r, "b", syscall.O_EXCL), link(r, "b", "c"))
		}, []string{"a", "b"}},
		"removed, and the other gets its name": {"REMOVE", func(r *rig) error {
			return errors.Join(unlink(r, "b"), move(r, "a", "b"))
		}, []string{"a", "b"}},
		"moved, and what it was moved to is removed": {rename, func(r *rig) error {
			return errors.Join(move(r, "a", "c"), unlink(r, "c"))
		}, []string{"a", "b"}},
		"moved, and the other gets its name": {rename, func(r *rig) error {
			return errors.Join(move(r, "b", "c"), move(r, "a", "b"))
		}, []string{"a", "b"}},
		"moved, and linked by its new name": {rename, func(r *rig) error {
			return errors.Join(move(r, "b", "c"), unlink(r, "a"), link(r, "c", "d"))
		}, []string{"b", "d"}},
		"linked and moved": {"hardlink@openssh.com", func(r *rig) error {
			return errors.Join(link(r, "a", "c"), move(r, "a", "d"))
		}, []string{"b", "d"}},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, async)
			r.list(r.Root())
			n := r.linkedPair()
			answer := r.refuseFirst(tc.refused)
			if err := tc.steps(r); err != nil {
				t.Fatal(err)
			}
			answer()
			if err := r.Sync(ctxOf(t)); err == nil {
				t.Error("nothing is reported of what was refused")
			}
			r.wantOneFile(n, tc.left...)
			if got := names(r.list(r.Root())); len(got) != len(tc.left) {
				t.Errorf("listed: %v", got)
			}
			for _, name := range tc.left {
				if got := r.remote(name); got != "content" {
					t.Errorf("%s has %q on the server", name, got)
				}
			}
		})
	}
}

// The server still has it by the names that are taken away, and one of them is enough.
func TestAsyncAFileOfTwoNamesWhoseThirdIsRefusedKeepsOne(t *testing.T) {
	r := newRig(t, async)
	r.list(r.Root())
	n := r.linkedPair()
	answer := r.refuseFirst("hardlink@openssh.com")
	if _, err := r.Link(ctxOf(t), n, r.Root(), "c"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		if err := r.Unlink(ctxOf(t), r.Root(), name); err != nil {
			t.Fatal(err)
		}
	}
	answer()
	if err := r.Sync(ctxOf(t)); err == nil {
		t.Error("nothing is reported of what was refused")
	}
	got := r.list(r.Root())
	if len(got) != 1 {
		t.Fatalf("listed: %v", names(got))
	}
	r.wantOneFile(n, got[0].Name)
	if content := r.remote(got[0].Name); content != "content" {
		t.Errorf("%s has %q on the server", got[0].Name, content)
	}
}

// What was refused once is no reason to refuse what is asked for when that is known.
func TestAsyncAFileWhoseHardLinkWasRefusedIsRemovedLater(t *testing.T) {
	r := newRig(t, async)
	r.list(r.Root())
	r.linkOnce()
	r.create(r.Root(), "a", "content")
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	answer := r.refuseFirst("hardlink@openssh.com")
	if _, err := r.Link(ctxOf(t), r.mustFind("a").Node, r.Root(), "b"); err != nil {
		t.Fatal(err)
	}
	if err := r.Unlink(ctxOf(t), r.Root(), "a"); err != nil {
		t.Fatal(err)
	}
	answer()
	wantErrno(t, r.Sync(ctxOf(t)), syscall.EACCES)
	if got := r.remote("a"); got != "content" {
		t.Errorf("a has %q on the server", got)
	}
	if err := r.Unlink(ctxOf(t), r.Root(), "a"); err != nil {
		t.Fatal(err)
	}
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Error(err)
	}
}
