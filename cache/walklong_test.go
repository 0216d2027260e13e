package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// What is known of a directory's names has its time, and a walk through what is below it may take longer.
func TestAWalkThatOutlastsAListingGoesOn(t *testing.T) {
	r := newRig(t, nil)
	const dirs, begin = 600, 10
	for i := range dirs {
		if err := os.Mkdir(filepath.Join(r.dir, fmt.Sprintf("d%03d", i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	entries := r.list(r.Root())
	walk := func(n int) {
		for ; n > 0; entries = entries[1:] {
			if entries[0].Mode == syscall.S_IFDIR {
				r.list(r.mustFind(entries[0].Name).Node)
				n--
			}
		}
	}
	walk(begin)
	waitFor(t, "nothing is fetched ahead", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.walk.underWay == 0
	})
	r.mu.Lock()
	for _, e := range r.root.dir.list.ents.all() {
		e.until = 0 // the time of the names comes before that of the listing, whose end came later
	}
	for _, n := range r.root.dir.children {
		n.expire()
	}
	r.mu.Unlock()
	// The root is listed again, and 32 others are at a time.
	r.costsAt(30*time.Millisecond, "the rest of the walk", 150, func() { walk(dirs - begin) })
}

// As find(1) does with -prune, and git with what it is to ignore. What was listed for nobody must not keep the rest waiting.
func TestAWalkThatLeavesDirectoriesOutGoesOn(t *testing.T) {
	r := newRig(t, nil)
	const dirs, leftOut, walked = 60, 10, 40
	for i := range dirs {
		for j := range leftOut {
			r.put(fmt.Sprintf("d%02d/left/out%02d/f", i, j), "x")
		}
		r.put(fmt.Sprintf("d%02d/walked/f", i), "x")
	}
	var names []string
	for _, e := range r.list(r.Root()) {
		if e.Mode == syscall.S_IFDIR {
			names = append(names, e.Name)
		}
	}
	for i, name := range names[:walked] {
		if i == walked-1 {
			r.pass(3 * time.Second) // only now, as it keeps nothing waiting then
		}
		r.list(r.mustFind(name).Node)
		r.list(r.mustFind(name + "/walked").Node)
	}
	waitFor(t, "the next directory is listed before the program comes to it", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		n := r.child(r.root, names[walked])
		return n != nil && n.dir.list != nil && n.dir.list.done
	})
}
