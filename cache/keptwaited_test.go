package cache

import (
	"errors"
	"syscall"
	"testing"
	"time"
)

// What was to live on by another name is not lost either by what has to wait for the server's answer to that.
func TestAsyncAFileWhoseRenameIsRefusedOutlivesWhatHasWaitedForThat(t *testing.T) {
	for what, step := range map[string]func(r *rig) error{
		// Before the mount has made anything nobody knows whose it will be.
		"made anew": func(r *rig) error {
			r.mu.Lock()
			r.owner = owner{}
			r.mu.Unlock()
			_, h, err := r.Create(ctxOf(r.t), r.Root(), "a", syscall.O_WRONLY|syscall.O_TRUNC, 0o644)
			if err == nil {
				h.Release()
			}
			return err
		},
		// The two directories may be on two file systems.
		"another is moved there": func(r *rig) error {
			return r.Rename(ctxOf(r.t), r.mustFind("d").Node, "b", r.Root(), "a", false)
		},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, async)
			r.put("a", "content")
			r.put("d/b", "another")
			r.list(r.Root())
			r.list(r.mustFind("d").Node)
			n := r.mustFind("a").Node
			answer := r.refuseFirst("posix-rename@openssh.com")
			if err := r.Rename(ctxOf(t), r.Root(), "a", r.Root(), "c", false); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- step(r) }()
			time.Sleep(50 * time.Millisecond) // by then it waits, in the queue or before that
			answer()
			if err := <-done; !errors.Is(err, syscall.EEXIST) && !errors.Is(err, syscall.EBUSY) {
				t.Errorf("it ends with %v", err)
			}
			r.wantOneFile(n, "a")
			for name, want := range map[string]string{"a": "content", "d/b": "another"} {
				if got := r.remote(name); got != want {
					t.Errorf("the server has %q at %s", got, name)
				}
			}
			if err := r.Sync(ctxOf(t)); err == nil {
				t.Error("nothing is reported of what was refused")
			}
		})
	}
}

// The first was to bring what the second moves on.
func TestAsyncWhatARefusedRenameHasLeftIsNotMovedOnByWhoHasWaitedForThat(t *testing.T) {
	r := newRig(t, async)
	for _, name := range []string{"a", "b", "d/c"} {
		r.put(name, "content of "+name)
	}
	r.list(r.Root())
	d := r.mustFind("d").Node
	r.list(d)
	answer := r.refuseFirst("posix-rename@openssh.com")
	if err := r.Rename(ctxOf(t), r.Root(), "a", r.Root(), "b", false); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- r.Rename(ctxOf(t), r.Root(), "b", d, "c", false) }()
	waitFor(t, "it waits", func() bool { return r.queue.count.Load() == 2 })
	answer()
	if err := <-done; !errors.Is(err, syscall.ENOENT) {
		t.Errorf("it ends with %v", err)
	}
	for _, name := range []string{"a", "b", "d/c"} {
		if got := r.remote(name); got != "content of "+name {
			t.Errorf("%s has %q on the server", name, got)
		}
	}
	if err := r.Sync(ctxOf(t)); err == nil {
		t.Error("nothing is reported of what was refused")
	}
}
