package cache

import "testing"

// While a look-up waits for a change of a name, others of it are answered here. The server has not done these when it is asked, unless they
// are waited for as well: what it would tell then is of before them.
func TestAsyncALookUpThatHasWaitedIsNotAnsweredFromBeforeAChangeAnsweredMeanwhile(t *testing.T) {
	for what, change := range map[string]func(r *rig) error{
		"replaced": func(r *rig) error { return r.Rename(ctxOf(r.t), r.Root(), "new", r.Root(), "f", false) },
		"removed, and another moved there": func(r *rig) error {
			if err := r.Unlink(ctxOf(r.t), r.Root(), "f"); err != nil {
				return err
			}
			return r.Rename(ctxOf(r.t), r.Root(), "new", r.Root(), "f", false)
		},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, async)
			r.put("f", "old")
			r.put("new", "new content")
			r.list(r.Root())
			n, next := r.mustFind("f").Node, r.mustFind("new").Node
			r.holdRequests("SETSTAT", "posix-rename@openssh.com")
			mode := uint32(0o600)
			if _, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Mode: &mode}); err != nil {
				t.Fatal(err)
			}
			r.waitHeld()
			r.mu.Lock()
			until := n.until
			n.expire()
			r.mu.Unlock()
			found := make(chan error, 1)
			go func() {
				_, err := r.Lookup(ctxOf(t), r.Root(), "f")
				found <- err
			}()
			waits := func() bool { return parkedIn("lookup", "waitAll") > 0 }
			waitFor(t, "the look-up waits", waits)
			r.mu.Lock()
			n.until = until // the server has told of it meanwhile
			r.mu.Unlock()
			if err := change(r); err != nil {
				t.Fatal(err)
			}
			r.tap.Reset()
			r.tap.Release()
			r.waitHeld()
			waitFor(t, "the look-up asks, or waits again", func() bool { return len(found) > 0 || r.queue.count.Load() == 1 && waits() })
			r.tap.OnRequest(nil)
			r.tap.Release()
			if err := <-found; err != nil {
				t.Error(err)
			}
			if err := r.Sync(ctxOf(t)); err != nil {
				t.Error(err)
			}
			f, err := r.Lookup(ctxOf(t), r.Root(), "f")
			if err != nil || f.Node != next || f.Attr.Size != uint64(len("new content")) {
				t.Fatalf("found: inode %d, want %d, with %d bytes, %v", f.Attr.Ino, next.ID(), f.Attr.Size, err)
			}
			if _, err := r.Lookup(ctxOf(t), r.Root(), "new"); err == nil {
				t.Error("it has its old name, too")
			}
		})
	}
}
