package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// As unzip: it looks at the directory before each file. The time that the last one gave it has come by then.
func TestADirectoryThatIsLookedAtBehindEachChangeIsKnown(t *testing.T) {
	r := newRig(t, nil)
	r.put("d/old", "")
	d := r.mustFind("d").Node
	r.list(d)
	file := 0
	extract := func() {
		t.Helper()
		file++
		r.create(d, fmt.Sprint("f", file), "content")
	}
	look := func() {
		t.Helper()
		a, _, err := r.Getattr(ctxOf(t), d, nil)
		if err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(filepath.Join(r.dir, "d")); err != nil || st.ModTime().Unix() != a.Mtime {
			t.Errorf("its mtime is %d, and on the server %v, %v", a.Mtime, st, err)
		}
	}
	extract()
	look()
	for range 3 {
		r.costs("create, write and close a file, look at the directory", 2, func() { extract(); look() })
	}
	r.tap.SetDelay(0)
	for range dirAsks {
		extract()
	}
	r.settled(d)
	asked := r.tap.Count("LSTAT")
	for range 3 {
		extract()
	}
	r.settled(d)
	// Each creation is looked at, and the directory no more, as nobody has looked for so long.
	if got := r.tap.Count("LSTAT") - asked; got > 3 {
		t.Errorf("%d LSTATs for three files, where nobody looks at the directory", got)
	}
}

// As git: it looks at its directory, makes a lock there, and takes it away.
func TestADirectoryThatIsLookedAtBehindAFewChangesIsKnown(t *testing.T) {
	r := newRig(t, nil)
	r.put("d/old", "")
	d := r.mustFind("d").Node
	r.list(d)
	look := func() {
		t.Helper()
		if _, _, err := r.Getattr(ctxOf(t), d, nil); err != nil {
			t.Fatal(err)
		}
	}
	for try := range 4 {
		r.create(d, "lock", "content")
		if err := r.Unlink(ctxOf(t), d, "lock"); err != nil {
			t.Fatal(err)
		}
		r.settled(d)
		if try == 0 {
			look()
			continue
		}
		r.costs("the look at the directory", 0, look)
	}
}

// settled waits until nothing is asked about a directory by itself.
func (r *rig) settled(dir *Node) {
	r.t.Helper()
	waitFor(r.t, "the question about the directory is answered", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return dir.dir.time.asking == nil
	})
}
