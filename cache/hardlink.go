package cache

import (
	"context"
	"slices"

	"sshmount/sftpconn/session"
)

// A node has several names where hard links were made here. The server does not tell which names are of one file, and others
// may give one of them another file at any time. So what is told of one name is believed of the node only where nothing
// speaks against it; else that name gets a node of its own.

// names are the places where a node is, the one first by which it is asked for. Called with mu held.
func (n *Node) names() []place {
	if n.parent == nil {
		return nil
	}
	list := []place{{n.parent, n.name}}
	for _, p := range n.also {
		list = append(list, p.place)
	}
	return list
}

// giveName gives a node one more name. Called with mu held.
func (c *Cache) giveName(n *Node, dir *Node, name string) {
	if n.parent == nil {
		n.parent, n.name = dir, name
	} else {
		if len(n.also) == 0 {
			n.sure = n.until
		}
		n.also = append(n.also, linkName{place: place{dir, name}})
	}
	c.nameTold(n, place{dir, name})
	dir.dir.children[name] = n
	c.idle.Remove(dir.id)
}

// enterLink gives a node a name that a hard link of it has made, or will have made. Called with mu held.
func (c *Cache) enterLink(n *Node, dir *Node, name string) {
	if c.child(dir, name) != n {
		c.forgetName(dir, name)
		c.giveName(n, dir, name)
	}
	c.nameAdded(dir, name, n)
}

// surelyLinked says whether a hard link of n at a place will succeed. There may be a file system without hard links anywhere
// below the root, so the server must have made one in that directory, or in one on the same file system.
func (c *Cache) surelyLinked(n *Node, at place) bool {
	if !c.surelyFree(at.dir, at.name) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	d := at.dir
	for !d.dir.linked && d.dir.made && d.parent != nil {
		d = d.parent
	}
	return d.dir.linked && n.parent == at.dir && !c.mayNotChange(at.dir)
}

// linkedFrom is the path of a file for a hard link that has its turn now: by the name by which it was answered, but where the server has
// refused that since (-o async). "" where it has the file by no name.
func (c *Cache) linkedFrom(n *Node, known place) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if dir := c.serverPath(known.dir); dir != "" && slices.Contains(n.serverNames(), known) {
		return join(dir, known.name)
	}
	return c.serverPath(n)
}

// linked notes that the server has made a hard link of n.
func (c *Cache) linked(n *Node, at place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.parent != at.dir {
		return
	}
	for d := at.dir; d != nil; d = d.parent {
		d.dir.linked = true
		if !d.dir.made {
			break
		}
	}
}

// severalNames says whether a node has names of which each must be asked about: the server has them all. Called with mu held.
func (n *Node) severalNames() bool {
	return len(n.also) > 0 && len(n.there) == 0 && !slices.ContainsFunc(n.names(), n.awaits)
}

// anotherAt says whether what the server tells of one of a node's names may be of another file: it changed, and not from here. Of what
// was written here and is not told yet the size alone is known. The caller has seen to it that the answer is not older than the last bytes.
// Called with mu held.
func (n *Node) anotherAt(a session.Attr) bool {
	if !n.severalNames() || n.changing() {
		return false
	}
	if f := n.file; f != nil {
		switch size, dirty := f.data.Size(); {
		case dirty || f.written.times != nil || f.written.cutLost:
			return false
		case f.written.untold:
			return a.Flags&session.HasSize != 0 && a.Size != uint64(size)
		}
	}
	return a.Flags&session.HasSize != 0 && (a.Size != n.attr.Size || a.Mtime != n.attr.Mtime && !n.foreseen)
}

// nameTold notes that a name is a node's own: the server has told of it, or it was made here. Called with mu held.
func (c *Cache) nameTold(n *Node, at place) {
	until := c.now() + int64(c.timeout)
	if n.parent == at.dir && n.name == at.name {
		n.sure = until
		return
	}
	for i := range n.also {
		if n.also[i].place == at {
			n.also[i].sure = until
			return
		}
	}
}

// nameUntil is until when a name of a node may be trusted, with what is known of the node: what is told of one name says nothing of
// another. Called with mu held.
func (n *Node) nameUntil(at place) int64 {
	if len(n.also) == 0 {
		return n.until
	}
	if n.parent == at.dir && n.name == at.name {
		return min(n.until, n.sure)
	}
	for _, p := range n.also {
		if p.place == at {
			return min(n.until, p.sure)
		}
	}
	return 0
}

// tellNames asks by an open handle whether the name by which a node was asked for still is its own, which the answer a leaves open.
// asked is the stamp from before the question that a answers: where the node was changed here since then, the two answers may differ
// and yet be of one file.
func (c *Cache) tellNames(ctx context.Context, n *Node, h *Handle, asked stamp, a session.Attr) error {
	_, open, err := c.statOpen(ctx, n, h)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.gen != asked.gen || !sameType(n, open) {
		return nil
	}
	if signatureOf(open) != signatureOf(a) {
		c.replaced(n)
	}
	c.keepAsked(n, asked, open)
	return nil
}
