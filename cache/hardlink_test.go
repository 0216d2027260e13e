package cache

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

// The server does not tell which names are of one file, so it may have given one of two names another file.
func TestAHardLinkOfWhichOneNameWasReplaced(t *testing.T) {
	replaced := map[string]func(t *testing.T, r *rig){
		"by another file": func(t *testing.T, r *rig) { r.replace("a", "another file") },
		"by nothing": func(t *testing.T, r *rig) {
			if err := os.Remove(filepath.Join(r.dir, "a")); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, replace := range replaced {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("a", "linked")
			n := r.mustFind("a").Node
			if f, err := r.Link(ctxOf(t), n, r.Root(), "b"); err != nil || f.Node != n {
				t.Fatal(f, err)
			}
			replace(t, r)
			// After ESTALE the kernel looks the name up again that it was given.
			open := func(flags uint32) *Handle {
				for range 3 {
					b := r.mustFind("b").Node
					h, _, err := r.Open(ctxOf(t), b, flags)
					if err == nil {
						t.Cleanup(h.Release)
						return h
					}
					if !errors.Is(err, syscall.ESTALE) {
						t.Fatal(err)
					}
				}
				t.Fatal("stale again and again")
				return nil
			}
			if got := r.readOpen(open(syscall.O_RDONLY)); got != "linked" {
				t.Errorf("by the name that was left it reads %q", got)
			}
			h := open(syscall.O_WRONLY | syscall.O_TRUNC)
			if _, err := h.Write(ctxOf(t), []byte("ours"), 0); err != nil {
				t.Fatal(err)
			}
			if err := h.Flush(ctxOf(t)); err != nil {
				t.Fatal(err)
			}
			if got := r.remote("b"); got != "ours" {
				t.Errorf("the name that was left has %q on the server", got)
			}
			if name == "by another file" {
				if got := r.remote("a"); got != "another file" {
					t.Errorf("the file that took the other name has %q", got)
				}
				if got := r.readAll(r.mustFind("a").Node); got != "another file" {
					t.Errorf("and is read as %q", got)
				}
			}
		})
	}
}

func TestTruncatingAHardLinkOfWhichOneNameWasReplaced(t *testing.T) {
	r := newRig(t, nil)
	r.put("a", "linked")
	n := r.mustFind("a").Node
	if _, err := r.Link(ctxOf(t), n, r.Root(), "b"); err != nil {
		t.Fatal(err)
	}
	r.replace("a", "another file")
	r.mu.Lock()
	n.expire() // what is known of it has had its time
	r.mu.Unlock()
	_, _, err := r.Open(ctxOf(t), n, syscall.O_WRONLY|syscall.O_TRUNC)
	wantErrno(t, err, syscall.ESTALE)
	size, mode := uint64(0), uint32(0o600)
	for _, s := range []SetAttr{{Size: &size}, {Mode: &mode}} {
		if _, _, err := r.Setattr(ctxOf(t), r.mustFind("b").Node, nil, s); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.remote("a"); got != "another file" {
		t.Errorf("the file that took the other name has %q", got)
	}
	if got := r.remote("b"); got != "" {
		t.Errorf("the name that was left has %q", got)
	}
}

// What somebody writes into a file with two names is no reason to refuse a descriptor that has it open.
func TestAnOpenHardLinkThatGrowsIsNotStale(t *testing.T) {
	r := newRig(t, nil)
	r.put("a", "linked")
	n := r.mustFind("a").Node
	if err := os.Link(filepath.Join(r.dir, "a"), filepath.Join(r.dir, "b")); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.giveName(n, r.Root(), "b")
	r.mu.Unlock()
	h, _, err := r.Open(ctxOf(t), n, syscall.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	r.append("a", " and more")
	r.mu.Lock()
	n.expire()
	r.mu.Unlock()
	if a, _, err := r.Getattr(ctxOf(t), n, h); err != nil || a.Size != 15 || a.Nlink != 2 {
		t.Errorf("fstat: %+v, %v", a, err)
	}
	if got := r.readOpen(h); got != "linked and more" {
		t.Errorf("it reads %q", got)
	}
}

// wantSynced waits until all is done, and expects the content by each of the names on the server.
func (r *rig) wantSynced(content string, names ...string) {
	r.t.Helper()
	if err := r.Sync(ctxOf(r.t)); err != nil {
		r.t.Error(err)
	}
	for _, name := range names {
		if got := r.remote(name); got != content {
			r.t.Errorf("%s has %q on the server", name, got)
		}
	}
}

// linkedPair makes the file a, and b as a hard link of it, and waits until the server has them.
func (r *rig) linkedPair() *Node {
	r.t.Helper()
	n := r.create(r.Root(), "a", "content").Node
	if _, err := r.Link(ctxOf(r.t), n, r.Root(), "b"); err != nil {
		r.t.Fatal(err)
	}
	if err := r.Sync(ctxOf(r.t)); err != nil {
		r.t.Fatal(err)
	}
	return n
}

// linkOnce has the server make a hard link in the root, so that with async more of them are sure.
func (r *rig) linkOnce() {
	r.t.Helper()
	f := r.create(r.Root(), "linked once", "x")
	if _, err := r.Link(ctxOf(r.t), f.Node, r.Root(), "its other name"); err != nil {
		r.t.Fatal(err)
	}
}

func TestAFileIsOpenedWhileOneOfItsNamesIsOnItsWay(t *testing.T) {
	r := newRig(t, async)
	r.put("a", "content")
	r.list(r.Root())
	r.linkOnce()
	n := r.mustFind("a").Node
	hold := func(name string) {
		r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
			if p.Request != nil && p.Request.Name == name {
				return sftptest.Hold()
			}
			return sftptest.Pass()
		})
	}
	hold("hardlink@openssh.com")
	if _, err := r.Link(ctxOf(t), n, r.Root(), "b"); err != nil {
		t.Fatal(err)
	}
	if err := r.Rename(ctxOf(t), r.Root(), "a", r.Root(), "c", false); err != nil {
		t.Fatal(err)
	}
	opened := r.opening(n, syscall.O_RDWR)
	if !r.tap.WaitHeld(1, 10*time.Second) {
		t.Fatal("no link was asked for")
	}
	// The rename has been done on the server, too, and is not answered yet: there is the name that the link has made.
	hold("posix-rename@openssh.com")
	r.tap.Release()
	if err := <-opened; err != nil {
		t.Error(err)
	}
	if !r.tap.WaitHeld(1, 10*time.Second) {
		t.Fatal("it is not renamed")
	}
	r.tap.OnReply(nil)
	r.tap.Release()
	if err := r.Sync(ctxOf(t)); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"b", "c"} {
		if r.mustFind(name).Node != n {
			t.Errorf("%s is another file here", name)
		}
	}
}

// linkedPair is a rig with a file that has the names a and b.
func linkedPair(t *testing.T) (*rig, *Node) {
	t.Helper()
	r := newRig(t, nil)
	r.put("a", "linked content")
	n := r.mustFind("a").Node
	if _, err := r.Link(ctxOf(t), n, r.Root(), "b"); err != nil {
		t.Fatal(err)
	}
	return r, n
}

// wantOneFile wants these names, and no others, to lead to a node.
func (r *rig) wantOneFile(n *Node, names ...string) {
	r.t.Helper()
	for _, name := range names {
		if f := r.mustFind(name); f.Node != n || int(f.Attr.Nlink) != len(names) {
			r.t.Errorf("%s is inode %d with %d links, want inode %d with %d", name, f.Attr.Ino, f.Attr.Nlink, n.ID(), len(names))
		}
	}
}

// Of two programs at one file the one that opens it must not take for another file what the other has just made of it.
func TestAHardLinkThatIsChangedHereWhileItIsOpenedStaysOneFile(t *testing.T) {
	changes := map[string]func(r *rig, n *Node) error{
		"truncated": func(r *rig, n *Node) error {
			size := uint64(3)
			_, _, err := r.Setattr(ctxOf(r.t), n, nil, SetAttr{Size: &size})
			return err
		},
		"given another time": func(r *rig, n *Node) error {
			when := time.Unix(1_000_000_000, 0)
			_, _, err := r.Setattr(ctxOf(r.t), n, nil, SetAttr{Atime: &when, Mtime: &when})
			return err
		},
	}
	for what, change := range changes {
		t.Run(what, func(t *testing.T) {
			r, n := linkedPair(t)
			r.holdReply("OPEN")
			opened := r.opening(n, syscall.O_RDWR)
			r.waitHeld()
			if err := change(r, n); err != nil {
				t.Fatal(err)
			}
			r.tap.Release()
			if err := <-opened; err != nil {
				t.Error(err)
			}
			r.wantOneFile(n, "a", "b")
		})
	}
}

// Nor what the other is just making of it: the server has done that, and nobody here knows.
func TestAHardLinkThatIsOpenedWhileItIsChangedHereStaysOneFile(t *testing.T) {
	r, n := linkedPair(t)
	r.holdReply("SETSTAT")
	changed := make(chan error, 1)
	go func() {
		size := uint64(3)
		_, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Size: &size})
		changed <- err
	}()
	r.waitHeld()
	if h, _, err := r.Open(ctxOf(t), n, syscall.O_RDWR); err != nil {
		t.Error(err)
	} else {
		h.Release()
	}
	r.tap.Release()
	if err := <-changed; err != nil {
		t.Error(err)
	}
	r.wantOneFile(n, "a", "b")
}
