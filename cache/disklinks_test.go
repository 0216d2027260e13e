package cache

import "testing"

func TestHardLinksAreKnownOfAWholeFileSystem(t *testing.T) {
	dir := func(parent *Node) *Node { return &Node{parent: parent, dir: new(dirState)} }
	one, two, other := dir(nil), dir(nil), dir(nil)
	made := dir(one)
	made.dir.made = true
	diskOf(made).links = true
	if !hasLinks(one) || !hasLinks(made) || hasLinks(two) {
		t.Error("a directory made here is not on the file system of the one that it is in")
	}
	joinDisks(one, two)
	if !hasLinks(one) || !hasLinks(two) || hasLinks(other) {
		t.Error("two directories that are on one file system differ")
	}
	joinDisks(other, two)
	if !hasLinks(other) {
		t.Error("what is known of a file system is lost when more is found to be on it")
	}
}
