package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTrustEndsAfterItsTime(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Timeout = 50 * time.Millisecond })
	r.put("f", "old")
	n := r.mustFind("f").Node
	r.put("f", "longer")
	waitFor(t, "the new size shows", func() bool {
		a, _, err := r.Getattr(ctxOf(t), n, nil)
		return err == nil && a.Size == 6
	})
	if err := os.Remove(filepath.Join(r.dir, "f")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the removal shows", func() bool { _, err := r.find("f"); return err != nil })
	r.put("g", "x")
	waitFor(t, "a new name shows", func() bool { return names(r.list(r.Root()))["g"] })
}

func TestWithoutADirectoryCacheEveryQuestionGoesToTheServer(t *testing.T) {
	r := newRig(t, func(o *Options) { o.NoDirCache = true })
	r.put("f", "old")
	n := r.mustFind("f").Node
	r.put("f", "longer")
	if a, ttl, err := r.Getattr(ctxOf(t), n, nil); err != nil || a.Size != 6 || ttl != 0 {
		t.Errorf("size %d, trusted for %v, %v", a.Size, ttl, err)
	}
	if _, err := r.find("g"); err == nil {
		t.Error("found what is not there")
	}
	r.put("g", "x")
	r.mustFind("g")
	r.list(r.Root())
	if err := os.Remove(filepath.Join(r.dir, "g")); err != nil {
		t.Fatal(err)
	}
	if names(r.list(r.Root()))["g"] {
		t.Error("a removed name is listed")
	}
}

func TestOwnChangesShowAtOnceInAListingKnownBefore(t *testing.T) {
	r := newRig(t, nil)
	r.put("gone", "x")
	r.put("moved", "x")
	r.list(r.Root())
	r.create(r.Root(), "new", "x")
	if err := r.Unlink(ctxOf(t), r.Root(), "gone"); err != nil {
		t.Fatal(err)
	}
	if err := r.Rename(ctxOf(t), r.Root(), "moved", r.Root(), "here", false); err != nil {
		t.Fatal(err)
	}
	got := names(r.list(r.Root()))
	for name, want := range map[string]bool{"new": true, "gone": false, "moved": false, "here": true} {
		if got[name] != want {
			t.Errorf("%s is listed: %v, want %v", name, got[name], want)
		}
	}
}

func TestInodeNumbersFollowTheListingAndStay(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Timeout = time.Millisecond })
	for i := range 30 {
		r.put(fmt.Sprint("f", i), "x")
	}
	first := r.list(r.Root())
	for i := 1; i < len(first); i++ {
		if first[i].Ino <= first[i-1].Ino {
			t.Fatalf("inode numbers do not grow along the listing: %d after %d", first[i].Ino, first[i-1].Ino)
		}
	}
	time.Sleep(5 * time.Millisecond) // the listing has had its time: the next is a new one
	for i, e := range r.list(r.Root()) {
		if e != first[i] {
			t.Errorf("entry %d was %+v and is %+v", i, first[i], e)
		}
	}
}

func TestAForgottenTreeLeavesNoNodes(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MaxNames = 10 })
	for i := range 100 {
		r.put(fmt.Sprint("d/f", i), "x")
	}
	d := r.mustFind("d")
	var found []Found
	for _, e := range r.list(d.Node) {
		f, err := r.Lookup(ctxOf(t), d.Node, e.Name)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, f)
	}
	if got := r.Status().Names; got < 100 {
		t.Fatalf("%d nodes are known while the kernel holds 101", got)
	}
	for _, f := range found {
		r.Forget(f.Node.ID(), 1)
	}
	if got := r.Status().Names; got > 12 {
		t.Errorf("%d nodes are left, at most 10 idle ones, the root and d wanted", got)
	}
}

func TestAbsencesAreAskedAboutAgainWhereTheyAreNotTrusted(t *testing.T) {
	r := newRig(t, func(o *Options) { o.NoAbsence = true })
	if _, err := r.find("f"); err == nil {
		t.Fatal("found what is not there")
	}
	r.list(r.Root())
	r.put("f", "x")
	r.mustFind("f")
}
