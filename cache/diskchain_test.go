package cache

import "testing"

// As where an inbox is sorted into many directories: each rename is done with the tree locked.
func TestWhatIsOnOneDiskIsFoundInAFewSteps(t *testing.T) {
	dir := func() *Node { return &Node{dir: new(dirState)} }
	inbox, first := dir(), dir()
	joinDisks(inbox, first)
	for range 1000 {
		to := dir()
		joinDisks(inbox, to)
		if !sameDisk(inbox, to) || !sameDisk(to, first) {
			t.Fatal("they are not known to be on one disk")
		}
	}
	for _, n := range []*Node{inbox, first} {
		steps := 0
		for d := n.dir.disk; d.is != nil; d = d.is {
			steps++
		}
		if steps > 20 {
			t.Errorf("%d steps", steps)
		}
	}
}
