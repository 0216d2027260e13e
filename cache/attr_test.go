package cache

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/sftptest"
)

func TestAnOpenFileIsThereThoughADirectoryAboveItIsGone(t *testing.T) {
	r := newRig(t, nil)
	r.put("above/dir/f", "content")
	n := r.mustFind("above/dir/f").Node
	h := r.opened(n, syscall.O_RDONLY)
	if err := os.RemoveAll(filepath.Join(r.dir, "above")); err != nil {
		t.Fatal(err)
	}
	above := n.parent.parent
	r.distrustNode(above)
	if _, _, err := r.Getattr(ctxOf(t), above, nil); err == nil {
		t.Fatal("the directory is still there")
	}
	r.distrustNode(n)
	if a, _, err := r.Getattr(ctxOf(t), n, h); err != nil || a.Size != 7 {
		t.Errorf("fstat: %+v, %v", a, err)
	}
}

func TestAnOpenFileIsThereWhileItLosesItsName(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "content")
	n := r.mustFind("f").Node
	h := r.opened(n, syscall.O_RDONLY)
	r.distrustNode(n)
	r.holdReply("REMOVE")
	removed, seen := make(chan error, 1), make(chan error, 1)
	go func() { removed <- r.Unlink(ctxOf(t), r.Root(), "f") }()
	r.waitHeld()
	go func() {
		_, _, err := r.Getattr(ctxOf(t), n, h)
		seen <- err
	}()
	select {
	case err := <-seen:
		seen <- err
	case <-time.After(100 * time.Millisecond): // by now it waits for the removal
	}
	r.tap.Release()
	if err := <-removed; err != nil {
		t.Fatal(err)
	}
	if err := <-seen; err != nil {
		t.Errorf("fstat: %v", err)
	}
}

// A change of the directory's names is told with our clock until the server has been asked; an answer that crosses with one is not
// the server's word on it.
func TestTheTimeOfADirectoryIsTheServersThoughAStatCrossedWithAChange(t *testing.T) {
	r := newRig(t, nil)
	r.put("d/f", "x")
	d := r.mustFind("d").Node
	if _, err := r.Mkdir(ctxOf(t), d, "before", 0o755); err != nil {
		t.Fatal(err)
	}
	r.holdReply("LSTAT")
	theirs := time.Unix(1_000_000_000, 0)
	crossed := make(chan struct{})
	go func() {
		defer close(crossed)
		a, ttl, err := r.Getattr(ctxOf(t), d, nil)
		if err != nil {
			t.Error(err)
		}
		if ttl != 0 && a.Mtime != theirs.Unix() { // the answer to the next question may be there by then
			t.Errorf("what crossed with the change is trusted for %v", ttl)
		}
	}()
	r.waitHeld()
	r.tap.OnReply(func(p sftptest.Packet) sftptest.Action {
		if p.Request != nil && p.Request.Name == "MKDIR" { // it is asked about as soon as this is answered
			if err := os.Chtimes(filepath.Join(r.dir, "d"), theirs, theirs); err != nil {
				t.Error(err)
			}
		}
		return sftptest.Pass()
	})
	defer r.tap.OnReply(nil)
	if _, err := r.Mkdir(ctxOf(t), d, "sub", 0o755); err != nil {
		t.Fatal(err)
	}
	r.tap.Release()
	<-crossed
	if a, _, err := r.Getattr(ctxOf(t), d, nil); err != nil || a.Mtime != theirs.Unix() {
		t.Errorf("the mtime is %d, the server's %d; %v", a.Mtime, theirs.Unix(), err)
	}
}

// make(1) and others go by the mtime of a directory to see that something was made in it.
func TestAListingOnItsWayDoesNotTakeBackTheTimeOfADirectoryThatWasChanged(t *testing.T) {
	r := newRig(t, nil)
	r.put("d/f", "x")
	before := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(r.dir, "d"), before, before); err != nil {
		t.Fatal(err)
	}
	d := r.mustFind("d").Node
	r.holdReply("READDIR")
	listed := make(chan []DirEntry)
	go func() { listed <- r.list(r.Root()) }()
	r.waitHeld()
	if _, err := r.Mkdir(ctxOf(t), d, "new", 0o755); err != nil {
		t.Fatal(err)
	}
	r.tap.Release()
	if got := names(<-listed); !got["d"] {
		t.Errorf("listed: %v", got)
	}
	a, _, err := r.Getattr(ctxOf(t), d, nil)
	if err != nil || a.Mtime == before.Unix() {
		t.Errorf("its mtime is %v, as before the change, which was at %v (%v)", a.Mtime, time.Now().Unix(), err)
	}
}

// fstat(2) has no second try by the name, as stat(2) has: the kernel hands its error on.
func TestAnOpenFileIsThereThoughItsNameLeadsToSomethingElse(t *testing.T) {
	for what, replace := range map[string]func(p string) error{
		"a directory": func(p string) error { return os.Mkdir(p, 0o755) },
		"a link":      func(p string) error { return os.Symlink("elsewhere", p) },
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, nil)
			r.put("f", "content")
			n := r.mustFind("f").Node
			h := r.opened(n, syscall.O_RDONLY)
			p := filepath.Join(r.dir, "f")
			if err := os.Remove(p); err != nil {
				t.Fatal(err)
			}
			if err := replace(p); err != nil {
				t.Fatal(err)
			}
			r.distrustNode(n)
			if a, _, err := r.Getattr(ctxOf(t), n, nil); err != nil || a.Size != 7 {
				t.Errorf("the open file: %+v, %v", a, err)
			}
			if got := r.readOpen(h); got != "content" {
				t.Errorf("it holds %q", got)
			}
			if f := r.mustFind("f"); f.Node == n {
				t.Error("the name still leads to it")
			}
		})
	}
}
