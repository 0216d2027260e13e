package cache

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// One name of a file is moved and the other removed while a change of its attributes has not had its turn: the server knows the file
// by the name that is to be moved, and by no other.
func TestAChangeOfAHardLinkFindsItByTheNameThatTheServerStillHas(t *testing.T) {
	for what, names := range map[string][2]string{"its first name is moved": {"a", "b"}, "its second name is moved": {"b", "a"}} {
		t.Run(what, func(t *testing.T) {
			moved, removed := names[0], names[1]
			r := newRig(t, async)
			r.list(r.Root())
			n := r.linkedPair()
			r.list(r.Root())
			r.holdRequests("posix-rename@openssh.com", "SETSTAT", "lsetstat@openssh.com")
			r.tap.Reset()
			set := func(bits uint32) {
				t.Helper()
				if _, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Mode: &bits}); err != nil {
					t.Fatal(err)
				}
			}
			set(0o600)
			r.waitHeld()
			set(0o640)
			if err := r.Rename(ctxOf(t), r.Root(), moved, r.Root(), "c", false); err != nil {
				t.Fatal(err)
			}
			if err := r.Unlink(ctxOf(t), r.Root(), removed); err != nil {
				t.Fatal(err)
			}
			r.tap.OnRequest(nil)
			for end := time.Now().Add(10 * time.Second); moved == "a" && time.Now().Before(end); time.Sleep(time.Millisecond) {
				if _, err := os.Lstat(filepath.Join(r.dir, removed)); err != nil {
					break
				}
			}
			r.tap.Release()
			if err := r.Sync(ctxOf(t)); err != nil {
				t.Error(err)
			}
			info, err := os.Stat(filepath.Join(r.dir, "c"))
			if err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("the change did not arrive: %v, %v", info, err)
			}
		})
	}
}

// The name by which a change of a file's attributes has its turn is taken away behind it, while the file has another name; and then that
// one goes as well. By the other name the change has no turn.
func TestAChangeOfAHardLinkGoesByTheNameOfItsTurn(t *testing.T) {
	const changed = 0o640
	for what, goes := range map[string]struct {
		first, second func(r *rig) error
		request       string // of the second
		left          string
	}{
		"both removed": {
			func(r *rig) error { return r.Unlink(ctxOf(r.t), r.Root(), "a") },
			func(r *rig) error { return r.Unlink(ctxOf(r.t), r.Root(), "b") }, "REMOVE", "",
		},
		"one removed, one moved": {
			func(r *rig) error { return r.Unlink(ctxOf(r.t), r.Root(), "a") },
			func(r *rig) error { return r.Rename(ctxOf(r.t), r.Root(), "b", r.Root(), "c", false) }, "posix-rename@openssh.com", "c",
		},
		"one replaced, one moved": {
			func(r *rig) error { return r.Rename(ctxOf(r.t), r.Root(), "other", r.Root(), "a", false) },
			func(r *rig) error { return r.Rename(ctxOf(r.t), r.Root(), "b", r.Root(), "c", false) }, "posix-rename@openssh.com", "c",
		},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, async)
			r.list(r.Root())
			r.create(r.Root(), "other", "else")
			n := r.linkedPair()
			r.list(r.Root())
			r.holdRequest("SETSTAT")
			for _, bits := range []uint32{0o600, changed} {
				if _, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Mode: &bits}); err != nil {
					t.Fatal(err)
				}
			}
			r.waitHeld() // the second waits for the first
			r.holdReply(goes.request)
			if err := goes.first(r); err != nil {
				t.Fatal(err)
			}
			if err := goes.second(r); err != nil {
				t.Fatal(err)
			}
			if !r.tap.WaitHeld(2, longEnough) { // the server has taken the second name away, and nobody here knows
				t.Fatal("the second name stays")
			}
			sent := r.tap.Count("SETSTAT")
			r.tap.Release(0)
			waitFor(t, "the change is sent", func() bool { return r.tap.Count("SETSTAT") > sent })
			r.tap.OnReply(nil)
			r.tap.Release()
			if err := r.Sync(ctxOf(t)); err != nil {
				t.Error(err)
			}
			if goes.left == "" {
				return
			}
			if info, err := os.Stat(filepath.Join(r.dir, goes.left)); err != nil || info.Mode().Perm() != changed {
				t.Errorf("the change did not arrive: %v, %v", info, err)
			}
		})
	}
}

// A name that the server has not given to the file yet goes, and comes again, while the line is lost: the file is found by the name that
// the server has.
func TestAnOpenHardLinkIsFoundByTheNameThatTheServerHas(t *testing.T) {
	r := newRig(t, async)
	r.list(r.Root())
	r.linkOnce()
	f := r.create(r.Root(), "a", "content")
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	h := r.opened(f.Node, syscall.O_RDWR)
	defer h.Release()
	if _, err := h.Write(ctxOf(t), []byte("C"), 0); err != nil {
		t.Fatal(err)
	}
	if err := h.Fsync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	// The bytes may have been acknowledged before fsync, which then does not ask for the time that they got. Until that is known
	// changes of the file's names are waited for.
	if _, _, err := r.Getattr(ctxOf(t), f.Node, h); err != nil {
		t.Fatal(err)
	}
	r.holdRequests("hardlink@openssh.com")
	if _, err := r.Link(ctxOf(t), f.Node, r.Root(), "b"); err != nil {
		t.Fatal(err)
	}
	for _, names := range [][2]string{{"b", "c"}, {"a", "b"}} {
		if err := r.Rename(ctxOf(t), r.Root(), names[0], r.Root(), names[1], false); err != nil {
			t.Fatal(err)
		}
	}
	r.waitHeld()
	r.srv.Cut()
	if _, err := h.Write(ctxOf(t), []byte("CON"), 0); err != nil {
		t.Fatal(err)
	}
	if err := h.Flush(ctxOf(t)); err != nil {
		t.Error(err)
	}
	waitFor(t, "the bytes are saved, or lost", func() bool { return r.Status().UnsavedBytes == 0 })
	r.tap.OnRequest(nil)
	r.tap.Release()
	r.wantSynced("CONtent", "b", "c")
}

// With async a change may be on its way by one name of a file, when the server is asked about another.
func TestAChangeOfAHardLinkUnderWayIsSeenByItsOtherName(t *testing.T) {
	for what, ask := range map[string]func(r *rig, n *Node) (Attr, error){
		"looked up": func(r *rig, n *Node) (Attr, error) {
			r.distrustNode(n)
			f, err := r.Lookup(ctxOf(r.t), r.Root(), "b")
			return f.Attr, err
		},
		"opened": func(r *rig, n *Node) (Attr, error) {
			if err := r.Unlink(ctxOf(r.t), r.Root(), "a"); err != nil {
				return Attr{}, err
			}
			r.opened(n, syscall.O_RDONLY)
			a, _, err := r.Getattr(ctxOf(r.t), n, nil)
			return a, err
		},
		"asked about": func(r *rig, n *Node) (Attr, error) {
			if err := r.Unlink(ctxOf(r.t), r.Root(), "a"); err != nil {
				return Attr{}, err
			}
			r.distrustNode(n)
			a, _, err := r.Getattr(ctxOf(r.t), n, nil)
			return a, err
		},
	} {
		for _, set := range setters[:2] {
			t.Run(set.what+", "+what, func(t *testing.T) {
				r := newRig(t, async)
				r.list(r.Root())
				n := r.linkedPair()
				r.holdRequest("SETSTAT")
				want, _, err := r.Setattr(ctxOf(t), n, nil, set.wish())
				if err != nil {
					t.Fatal(err)
				}
				r.waitHeld()
				got, err := ask(r, n)
				r.tap.Release()
				if err != nil || got.Mode != want.Mode || got.Mtime != want.Mtime {
					t.Errorf("mode %o and time %d, want %o and %d; %v", got.Mode, got.Mtime, want.Mode, want.Mtime, err)
				}
			})
		}
	}
}

// With async a file has the time of our clock until the server has made it, and told another one.
func TestAHardLinkThatWasMadeLaterThanForeseenStaysOneFile(t *testing.T) {
	r := newRig(t, async)
	r.list(r.Root())
	r.linkOnce()
	r.holdReply("MKDIR")
	d, err := r.Mkdir(ctxOf(t), r.Root(), "d", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	f, h, err := r.Create(ctxOf(t), d.Node, "a", syscall.O_RDWR|syscall.O_EXCL, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	h.Release()
	if _, err := r.Link(ctxOf(t), f.Node, d.Node, "b"); err != nil {
		t.Fatal(err)
	}
	r.waitHeld()
	waitFor(t, "the clock goes on", func() bool { return time.Now().Unix() > f.Attr.Mtime })
	r.tap.Release()
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	r.distrustNode(f.Node)
	for _, name := range []string{"d/a", "d/b"} {
		if n := r.mustFind(name).Node; n != f.Node {
			t.Errorf("%s is another file now", name)
		}
	}
}
