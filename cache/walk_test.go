package cache

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sshmount/sftpconn/session"
	"sshmount/sftpconn/sftptest"
)

// walkTree lists a directory and all below it, as find(1) does.
func (r *rig) walkTree(n *Node) {
	r.t.Helper()
	r.walkTreeBy(n, slices.All)
}

// byName is the order in which ls(1) shows a directory.
func byName(entries []DirEntry) iter.Seq2[int, DirEntry] {
	return slices.All(slices.SortedFunc(slices.Values(entries), func(a, b DirEntry) int { return strings.Compare(a.Name, b.Name) }))
}

// walkTreeBy is walkTree, and goes through each directory's entries in some order.
func (r *rig) walkTreeBy(n *Node, order func([]DirEntry) iter.Seq2[int, DirEntry]) {
	r.t.Helper()
	for _, e := range order(r.list(n)) {
		if e.Mode == syscall.S_IFDIR {
			f, err := r.Lookup(ctxOf(r.t), n, e.Name)
			if err != nil {
				r.t.Fatal(err)
			}
			r.walkTreeBy(f.Node, order)
		}
	}
}

func TestWalkGrowsWithDepthNotWithWidth(t *testing.T) {
	r := newRig(t, nil)
	for i := range 30 {
		for j := range 3 {
			r.put(fmt.Sprintf("d%02d/e%d/f", i, j), "x")
		}
	}
	// 121 directories. One after the other they would take three flights each.
	r.costs("walk", 40, func() { r.walkTree(r.Root()) })
}

// Where a tree is walked again and again, listings come to the end of their time while the program is on its way: those of the directories
// that it comes to next are fetched ahead then, although they were known when the walk began.
func TestAWalkDuringWhichListingsExpireGrowsWithDepth(t *testing.T) {
	r := newRig(t, nil)
	for i := range 60 {
		r.put(fmt.Sprintf("d%02d/e/f", i), "x")
	}
	r.list(r.Root())
	r.pass(time.Second)
	r.walkTree(r.Root())
	for range 2 {
		r.pass(7 * time.Second)
		r.walkTree(r.Root())
	}
	r.pass(5500 * time.Millisecond)
	r.list(r.Root()) // anew; all others have half a second left
	r.pass(time.Second)
	r.costs("walk", 20, func() { r.walkTree(r.Root()) })
}

// A program that walks a large tree uses what is below one directory long before it comes to the next: directories that are far away must not
// take the place of those.
func TestAWalkThroughALargeTreeIsFollowedInDepth(t *testing.T) {
	r := newRig(t, nil)
	const most, leaves = 18, 6
	for i := range most {
		for j := range most {
			for k := range leaves {
				if err := os.MkdirAll(filepath.Join(r.dir, fmt.Sprintf("a%02d/b%02d/c%d", i, j, k)), 0o755); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	// 2287 directories. Up to 32 are listed at a time, each in two or three flights.
	r.costsAt(30*time.Millisecond, "walk", 150, func() { r.walkTree(r.Root()) })
	r.pass(time.Minute)
	r.costsAt(30*time.Millisecond, "walk by name", 150, func() { r.walkTreeBy(r.Root(), byName) })
}

// A server may die when it lists some directory, or give answers that can't be read. Programs that work beside it must not lose their
// connection again and again for a listing that none of them wants.
func TestADirectoryThatEndsTheSessionIsListedAheadOnce(t *testing.T) {
	r := newRig(t, nil)
	for i := range 12 {
		r.put(fmt.Sprintf("d%02d/f", i), "x")
	}
	const bad = "d07"
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name != "OPENDIR" || filepath.Base(p.Text) != bad {
			return sftptest.Pass()
		}
		go r.srv.Cut()
		return sftptest.Drop()
	})
	for range 3 {
		for _, e := range r.list(r.Root()) {
			if e.Name == bad {
				continue
			}
			dir := r.mustFind(e.Name).Node
			r.list(dir)
			r.mu.Lock()
			dir.dir.list.until = 0 // its time is over
			r.mu.Unlock()
		}
	}
	if n := r.srv.Dials() - 1; n != 1 {
		t.Errorf("it has cost %d connections, want 1", n)
	}
}

// As a drop box, or the home of another user: its names may be looked up, and not listed.
func TestADirectoryThatMayNotBeListedIsListedAheadOnce(t *testing.T) {
	r := newRig(t, nil)
	for i := range 30 {
		r.put(fmt.Sprintf("d/f%d", i), "x")
	}
	r.tap.OnRequest(func(p sftptest.Packet) sftptest.Action {
		if p.Name == "OPENDIR" && filepath.Base(p.Text) == "d" {
			return sftptest.Answer(session.StatusPermissionDenied, "")
		}
		return sftptest.Pass()
	})
	look := func(from, to int) (listings int) {
		before := r.tap.Count("OPENDIR")
		for i := from; i < to; i++ {
			r.mustFind(fmt.Sprintf("d/f%d", i))
			waitFor(t, "no listing is on its way", func() bool {
				r.mu.Lock()
				defer r.mu.Unlock()
				l := r.child(r.root, "d").dir.list
				return l == nil || l.done
			})
		}
		return r.tap.Count("OPENDIR") - before
	}
	if n := look(0, 20); n != 1 {
		t.Errorf("it was tried %d times", n)
	}
	if err := os.Chmod(filepath.Join(r.dir, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.statAgain(r.mustFind("d").Node)
	if n := look(20, 30); n != 1 {
		t.Errorf("with another mode it was tried %d times, want once", n)
	}
}

func TestAWalkOfLookupsGrowsWithDepthNotWithWidth(t *testing.T) {
	r := newRig(t, nil)
	for i := range 30 {
		for j := range 10 {
			r.put(fmt.Sprintf("d%02d/f%d", i, j), "x")
		}
	}
	// As git looks at every file that it knows, without listing anything: 30 directories, 300 files.
	r.costs("look-ups", 40, func() {
		for i := range 30 {
			d := r.mustFind(fmt.Sprintf("d%02d", i)).Node
			for j := range 10 {
				if f, err := r.Lookup(ctxOf(t), d, fmt.Sprintf("f%d", j)); err != nil || f.Attr.Size != 1 {
					t.Fatalf("d%02d/f%d: %+v, %v", i, j, f.Attr, err)
				}
			}
		}
	})
}

// Nested ones come first in git's order: what it does below one child and below another is a walk through both.
func TestAWalkOfLookupsIsSeenBelowTheChildren(t *testing.T) {
	r := newRig(t, nil)
	for i := range 20 {
		for j := range 4 {
			r.put(fmt.Sprintf("d%02d/e/f%d", i, j), "x")
		}
	}
	r.costs("look-ups", 18, func() {
		for i := range 20 {
			for j := range 4 {
				r.mustFind(fmt.Sprintf("d%02d/e/f%d", i, j))
			}
		}
	})
}

// After the first directory that was looked through, another one beside it or above it takes no three look-ups to be seen.
func TestAWalkOfLookupsIsSeenAtItsSecondDirectory(t *testing.T) {
	r := newRig(t, nil)
	dirs := []string{"a/b", "a", "c/d/e", "c/d", "c", "f/g", "f"}
	each := func(do func(name string)) {
		for _, dir := range dirs {
			for i := range 6 {
				do(fmt.Sprintf("%s/x%d", dir, i))
			}
		}
	}
	each(func(name string) { r.put(name, "x") })
	r.costs("look-ups", 17, func() { each(func(name string) { r.mustFind(name) }) })
}

// Who lists one directory again and again walks nowhere.
func TestListingsOfOneDirectoryAreNoWalk(t *testing.T) {
	r := newRig(t, nil)
	for i := range 5 {
		r.put(fmt.Sprintf("d%d/f", i), "x")
	}
	r.list(r.Root())
	d := r.mustFind("d1").Node
	r.tap.Reset()
	for range 3 {
		r.list(d)
		r.mu.Lock()
		r.distrust(d)
		r.mu.Unlock()
	}
	if got := r.tap.Requests()["OPENDIR"]; got != 3 {
		t.Errorf("%d directories were opened, 3 were asked for", got)
	}
}

func TestAWalkIsSeenOnTheWayDown(t *testing.T) {
	r := newRig(t, nil)
	for i := range 10 {
		r.put(fmt.Sprintf("d%d/e/f/g", i), "x")
	}
	// The root, d and e are listed; meanwhile and then all the rest, level by level.
	r.costs("walk", 10, func() { r.walkTree(r.Root()) })
}

func TestASingleListingFetchesNothingAhead(t *testing.T) {
	r := newRig(t, nil)
	for i := range 5 {
		r.put(fmt.Sprintf("d%d/f", i), "x")
	}
	r.tap.Reset()
	r.list(r.Root())
	r.list(r.mustFind("d1").Node)
	if got := r.tap.Requests()["OPENDIR"]; got != 2 {
		t.Errorf("%d directories were opened, 2 were asked for", got)
	}
}

// The levels that were gone down are counted with each listing, and a directory may be moved up in between.
func TestAWalkGoesOnInADirectoryThatWasMovedUp(t *testing.T) {
	r := newRig(t, nil)
	dir := r.Root()
	var dirs []*Node
	for _, name := range []string{"a", "b", "c", "x"} {
		f, err := r.Mkdir(ctxOf(t), dir, name, 0o755)
		if err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, f.Node)
		dir = f.Node
	}
	for _, d := range dirs[:3] {
		r.list(d)
	}
	if err := r.Rename(ctxOf(t), dirs[1], "c", r.Root(), "c", false); err != nil {
		t.Fatal(err)
	}
	r.list(dirs[3])
}
