package cache

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// large gives the root a listing of many names besides those that are there, in no order.
func (r *rig) large(count int) *listing {
	r.list(r.Root())
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.root.dir.list
	n := r.child(r.root, "f0")
	for i := range count {
		l.add(fmt.Sprintf("z%06d", i*7919%count), n, l.until)
	}
	return l
}

func (r *rig) waitSorted(l *listing) {
	r.t.Helper()
	waitFor(r.t, "the names are sorted", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.sorted(l)
	})
}

func TestNamesStaySortedWhileTheDirectoryGrows(t *testing.T) {
	for _, count := range []int{100, 2 * sortAtOnce} {
		r := newRig(t, nil)
		r.put("f0", "x")
		r.mustFind("f0")
		l := r.large(count)
		r.mu.Lock()
		r.sorted(l)
		n := r.child(r.root, "f0")
		l.add("y", n, l.until) // while they are being sorted, where there are many
		r.mu.Unlock()
		r.waitSorted(l)
		r.mu.Lock()
		l.add("g", n, l.until)
		l.remove("y")
		l.add("y", n, l.until) // is where it was
		var names []string
		for i := range l.ents.len() {
			names = append(names, l.entry(i, true).name)
		}
		at, ok := r.position(l, "y", true)
		if want := l.index["y"]; !ok || l.byName[at] != want {
			t.Errorf("of %d names, one that was made again is found at %d, want %d", count, l.byName[at], want)
		}
		r.mu.Unlock()
		if len(names) != count+3 || !slices.IsSorted(names) {
			t.Errorf("of %d names the order is that of %d, sorted: %v", count, len(names), slices.IsSorted(names))
		}
	}
}

func TestAnOpenInALargeGrowingDirectoryHoldsUpNobodyElse(t *testing.T) {
	r := newRig(t, nil)
	r.put("f0", "x")
	r.put("f1", "x")
	a, b := r.mustFind("f0").Node, r.mustFind("f1").Node
	l := r.large(100_000)
	begun := time.Now()
	r.mu.Lock()
	r.scanOpened(a)
	r.scanOpened(b)
	if l.byName != nil || !l.sorting {
		t.Error("the first opens do not leave the sorting of the names to the background")
	}
	r.mu.Unlock()
	r.waitSorted(l)
	sorting := time.Since(begun)
	held := time.Duration(0)
	const creations = 10
	for i := range creations {
		r.create(r.Root(), fmt.Sprint("new", i), "x")
		begun := time.Now()
		r.mu.Lock()
		r.scanOpened(a)
		r.scanOpened(b)
		r.mu.Unlock()
		held += time.Since(begun)
	}
	if held > sorting {
		t.Errorf("opens after %d creations hold the lock of the tree for %v, where sorting the names takes %v", creations, held, sorting)
	}
}
