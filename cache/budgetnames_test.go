package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestLookupInAListedDirectoryCostsNothing(t *testing.T) {
	r := newRig(t, nil)
	r.put("a", "1")
	r.put("b", "2")
	r.list(r.Root())
	r.costs("look-ups", 0, func() {
		r.mustFind("a")
		r.mustFind("b")
		_, err := r.find("absent")
		wantErrno(t, err, syscall.ENOENT)
	})
}

func TestFirstLookupCostsOneFlight(t *testing.T) {
	r := newRig(t, nil)
	r.put("a", "1")
	r.costs("first look-up", 1, func() { r.mustFind("a") })
	r.costs("second look-up", 0, func() { r.mustFind("a") })
	r.costs("first look-up of an absent name", 1, func() { _, _ = r.find("x") })
	r.costs("second look-up of an absent name", 0, func() { _, _ = r.find("x") })
}

func TestFromTheThirdLookupTheListingIsFetched(t *testing.T) {
	r := newRig(t, nil)
	for i := range 20 {
		r.put(fmt.Sprint("f", i), "x")
	}
	for i := range 3 {
		r.mustFind(fmt.Sprint("f", i))
	}
	r.waitListed(r.Root())
	r.costs("look-ups after the third", 0, func() {
		for i := 3; i < 20; i++ {
			r.mustFind(fmt.Sprint("f", i))
		}
	})
}

// waitListed waits until a listing fetched in the background is there.
func (r *rig) waitListed(n *Node) {
	r.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		r.mu.Lock()
		ok := n.dir.list != nil && n.dir.list.whole()
		r.mu.Unlock()
		if ok {
			return
		}
	}
	r.t.Fatal("the listing was not fetched")
}

func TestListingHandsOutAttributesWithoutAQuestion(t *testing.T) {
	r := newRig(t, nil)
	for i := range 50 {
		r.put(fmt.Sprint("f", i), "12345")
	}
	r.costs("ls -l", 3, func() {
		d, err := r.OpenDir(ctxOf(t), r.Root())
		if err != nil {
			t.Fatal(err)
		}
		defer d.Release()
		seen := 0
		for e := range r.entries(d, 0) {
			if f, ok := d.Found(e); ok {
				seen++
				if f.Attr.Size != 5 || f.Attr.Ino != e.Ino {
					t.Errorf("%s: size %d, inode %d and %d", e.Name, f.Attr.Size, f.Attr.Ino, e.Ino)
				}
			}
		}
		if seen != 50 {
			t.Errorf("%d of 50 names came with attributes", seen)
		}
	})
}

func TestOperationsOnNamesCostOneFlight(t *testing.T) {
	r := newRig(t, nil)
	r.put("f", "content")
	r.put("g", "content")
	r.list(r.Root())
	n, g := r.mustFind("f").Node, r.mustFind("g").Node
	mode, size := uint32(0o600), uint64(3)
	uid := uint32(os.Getuid())
	when := time.Unix(1_000_000_000, 0)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	for _, op := range []struct {
		name string
		do   func() error
	}{
		{"mkdir", func() error { _, err := r.Mkdir(ctxOf(t), r.Root(), "d", 0o755); return err }},
		{"symlink", func() error { _, err := r.Symlink(ctxOf(t), r.Root(), "s", "f"); return err }},
		{"link", func() error { _, err := r.Link(ctxOf(t), g, r.Root(), "l"); return err }},
		{"rename", func() error { return r.Rename(ctxOf(t), r.Root(), "g", r.Root(), "h", false) }},
		{"unlink", func() error { return r.Unlink(ctxOf(t), r.Root(), "h") }},
		{"rmdir", func() error { return r.Rmdir(ctxOf(t), r.Root(), "d") }},
		{"chmod", func() error { _, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Mode: &mode}); return err }},
		{"chown", func() error { _, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{UID: &uid}); return err }},
		{"utimes", func() error { _, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Mtime: &when}); return err }},
		{"truncate", func() error { _, _, err := r.Setattr(ctxOf(t), n, nil, SetAttr{Size: &size}); return err }},
		{"open with O_TRUNC", func() error {
			h, _, err := r.Open(ctxOf(t), n, syscall.O_WRONLY|syscall.O_TRUNC)
			if err == nil {
				h.Release()
			}
			return err
		}},
	} {
		r.costs(op.name, 1, func() { must(op.do()) })
	}
	r.costs("stat of what was made", 0, func() { r.mustFind("s"); r.mustFind("l") })
	if _, err := r.find("d"); err == nil {
		t.Error("d is still there")
	}
}

func TestADirectoryMadeHereIsKnownToBeEmpty(t *testing.T) {
	r := newRig(t, nil)
	d, err := r.Mkdir(ctxOf(t), r.Root(), "d", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	r.costs("look-ups and a listing", 0, func() {
		_, err := r.Lookup(ctxOf(t), d.Node, "x")
		wantErrno(t, err, syscall.ENOENT)
		if got := r.list(d.Node); len(got) != 0 {
			t.Errorf("it holds %v", got)
		}
	})
}

// As chdir(2) into a directory in which names were changed, or access(2) for what was written a moment ago.
func TestTheModeOfWhatWasChangedHereIsKnown(t *testing.T) {
	r := newRig(t, nil)
	r.put("d/old", "")
	d := r.mustFind("d").Node
	r.list(d)
	n := r.create(d, "program", "content").Node
	h := r.opened(n, syscall.O_WRONLY)
	if _, err := h.Write(ctxOf(t), []byte("more"), 0); err != nil {
		t.Fatal(err)
	}
	r.costs("the modes", 0, func() {
		for n, want := range map[*Node]uint32{d: syscall.S_IFDIR | 0o755, n: syscall.S_IFREG | 0o644} {
			if a, err := r.Mode(ctxOf(t), n); err != nil || a.Mode != want {
				t.Errorf("mode %o, %v, want %o", a.Mode, err, want)
			}
		}
	})
}

func TestLinksOfAListingAreReadInOneFlight(t *testing.T) {
	r := newRig(t, nil)
	for i := range 20 {
		if err := os.Symlink(fmt.Sprint("target", i), filepath.Join(r.dir, fmt.Sprint("l", i))); err != nil {
			t.Fatal(err)
		}
	}
	r.list(r.Root())
	r.costs("readlink of all", 1, func() {
		for i := range 20 {
			got, err := r.Readlink(ctxOf(t), r.mustFind(fmt.Sprint("l", i)).Node)
			if want := fmt.Sprint("target", i); err != nil || got != want {
				t.Errorf("l%d leads to %q, %v, want %q", i, got, err, want)
			}
		}
	})
}
