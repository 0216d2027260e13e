package cache

import (
	"fmt"
	"testing"
	"time"
)

// What one program leaves alone another may read.
func TestWhoReadsAllIsFollowedWhereMuchWasFetchedInVain(t *testing.T) {
	r := newRig(t, nil)
	r.epoch = r.epoch.Add(-time.Hour) // so that there are times to go back to
	const files = 60
	for i := range files {
		r.put(fmt.Sprintf("f%02d", i), "content")
	}
	r.list(r.Root())
	if got := r.readFew(5, "f%02d"); got < files/2 {
		t.Fatalf("%d files were fetched in vain", got)
	}
	r.mu.Lock()
	for _, n := range r.root.dir.children {
		if n.wasted > 0 {
			n.inVain()
		}
	}
	r.mu.Unlock()
	if got := r.readFew(5, "f%02d"); got > files/10 {
		t.Errorf("%d files were fetched in vain once more", got)
	}
	r.costs("reading all", 30, func() {
		for i := range files {
			r.readAll(r.mustFind(fmt.Sprintf("f%02d", i)).Node)
		}
	})
}
