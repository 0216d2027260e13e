package cache

import (
	"errors"
	"syscall"
)

// spared is what the server still has at a name that it has lost here, though it is to live on by another name (-o async); nil where there is
// no such node. A change of the name that waits for the server must not take it for what is to be overwritten: where it is there after the
// wait, the other name was refused. Called with mu held.
func (c *Cache) spared(at place) *Node {
	s := at.there()
	if s == nil || s.node == nil || s.node == c.child(at.dir, at.name) || !s.node.wanted() {
		return nil
	}
	return s.node
}

// notSpared refuses a change of a name that spared has told n of, where n has got the name back. Called with mu held.
func (c *Cache) notSpared(op, path string, at place, n *Node, errno syscall.Errno) error {
	if n == nil || c.child(at.dir, at.name) != n {
		return nil
	}
	return fail(op, path, errno, errors.New("what the server still has there was to have another name, which was refused"))
}
