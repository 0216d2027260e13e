package cache

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// By its name the attributes would be those of the file that has it next.
func TestAsyncAttributesOfAnOpenFileWithoutANameAreItsOwn(t *testing.T) {
	for _, set := range setters {
		t.Run(set.what, func(t *testing.T) {
			r := newRig(t, async)
			r.put("f", "content")
			r.list(r.Root())
			n := r.mustFind("f").Node
			h := r.opened(n, syscall.O_RDWR)
			old, err := os.Open(filepath.Join(r.dir, "f"))
			if err != nil {
				t.Fatal(err)
			}
			defer old.Close()
			r.holdReply("REMOVE")
			if err := r.Unlink(ctxOf(t), r.Root(), "f"); err != nil {
				t.Fatal(err)
			}
			r.waitHeld() // the server has done it
			_, next, err := r.Create(ctxOf(t), r.Root(), "f", syscall.O_WRONLY, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			defer next.Release()
			was := make(chan error, 1)
			go func() {
				_, _, err := r.Setattr(ctxOf(t), n, h, set.wish())
				was <- err
			}()
			// Whoever goes by the name has the wrong answer by then.
			select {
			case err := <-was:
				was <- err
			case <-time.After(100 * time.Millisecond):
			}
			r.tap.Release()
			if err := <-was; err != nil {
				t.Error(err)
			}
			if err := r.Sync(ctxOf(t)); err != nil {
				t.Error(err)
			}
			if fi, err := old.Stat(); err != nil || !set.done(fi) {
				t.Errorf("the open file is %+v, %v", fi, err)
			}
			if fi, err := os.Stat(filepath.Join(r.dir, "f")); err != nil || set.done(fi) {
				t.Errorf("the file that has its name is %+v, %v", fi, err)
			}
		})
	}
}

func TestAsyncAttributesSetBeforeARemovalFindTheFile(t *testing.T) {
	r := newRig(t, async)
	r.put("f", "content")
	r.list(r.Root())
	n := r.mustFind("f").Node
	r.holdRequest("SETSTAT")
	for _, mode := range []uint32{0o600, 0o640} {
		if _, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Mode: &mode}); err != nil {
			t.Fatal(err)
		}
	}
	r.waitHeld() // the second waits for the first
	if err := r.Unlink(ctxOf(t), r.Root(), "f"); err != nil {
		t.Fatal(err)
	}
	r.tap.Release()
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Error(err)
	}
}

// With async a name may be on its way out while the server has the file by another one, too, by which its attributes are to be set.
func TestAsyncAttributesAreSetByTheNameThatIsLeft(t *testing.T) {
	r := newRig(t, async)
	r.put("f", "x")
	r.list(r.Root())
	r.linkOnce()
	n := r.mustFind("f").Node
	r.holdReply("hardlink@openssh.com")
	if _, err := r.Link(ctxOf(t), n, r.Root(), "g"); err != nil {
		t.Fatal(err)
	}
	r.waitHeld()
	if err := r.Unlink(ctxOf(t), r.Root(), "f"); err != nil {
		t.Fatal(err)
	}
	r.holdRequests("REMOVE", "SETSTAT")
	r.tap.Release()
	r.waitHeld()
	if _, _, err := r.Setattr(ctxOf(t), n, nil, setters[0].wish()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the second change waits, or is sent", func() bool {
		return len(r.tap.Held()) >= 2 || parkedIn("runAnswered", "waitAll") > 0
	})
	r.tap.OnRequest(nil)
	r.tap.Release()
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Errorf("what was answered failed: %v", err)
	}
	r.wantDone("g", setters[0].done)
}
