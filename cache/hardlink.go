package cache

import (
	"context"
	"slices"

	"sshmount/sftpconn/session"
)

// A node has several names where hard links of it were made here. The server does not tell which names lead to one file, and others
// may give one of the names to another file at any time. So what the server tells of one name is believed of the node only where nothing
// speaks against it; else that name is taken from the node, and gets one of its own.

// names are the names of a node, first the one by which the server is asked about it. Called with mu held.
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

// pathsOf gives the path of each name of a node (namePath), and takes mu.
func (c *Cache) pathsOf(n *Node) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []string
	for _, at := range n.names() {
		if p, err := c.namePath(at.dir, at.name); err == nil {
			list = append(list, p)
		}
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

// enterLink gives a node the name that a hard link has made, or will have made. Called with mu held.
func (c *Cache) enterLink(n *Node, dir *Node, name string) {
	if c.child(dir, name) != n {
		c.forgetName(dir, name)
		c.giveName(n, dir, name)
	}
	c.nameAdded(dir, name, n)
}

// surelyLinked says whether a hard link of n at a place will surely succeed: both are in one directory, and the server has made a hard link on
// that file system before.
func (c *Cache) surelyLinked(n *Node, at place) bool {
	if !c.surelyFree(at.dir, at.name) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return n.parent == at.dir && hasLinks(at.dir) && !c.mayNotChange(at.dir)
}

// linkedFrom is the path of a file for the request for a hard link that has its turn now. It goes by known, the name by which the program
// was answered, unless the server has refused that one since (-o async). "" where the server has the file by no name.
func (c *Cache) linkedFrom(n *Node, known place) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if dir := c.serverPath(known.dir); dir != "" && slices.Contains(n.serverNames(), known) {
		return join(dir, known.name)
	}
	return c.serverPath(n)
}

// linked notes that the server has made a hard link of n at a place.
func (c *Cache) linked(n *Node, at place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.parent == at.dir {
		diskOf(at.dir).links = true
	}
}

// severalNames says whether a node has several names, all of which the server has: then each must be asked about. Called with mu held.
func (n *Node) severalNames() bool {
	return len(n.also) > 0 && len(n.there) == 0 && !slices.ContainsFunc(n.names(), n.awaits)
}

// anotherAt says whether a, which the server tells of one of a node's several names, may be of another file: it looks different, and not by
// a change made here. Of a file that was written here, and of which the server has not told since, the size alone is known and compared.
// The caller has seen to it that the answer is not older than the last bytes. Called with mu held.
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

// nameTold notes that a name is the node's own now: the server has told so, or it was made here. Called with mu held.
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

// nameUntil is until when a name may be trusted to be the node's, together with what is known of the node (Cache.now). What the server tells
// by one name says nothing of the others, so each of several has a time of its own. Called with mu held.
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

// tellNames asks by an open handle whether the name by which a node was asked about still is its own, which the answer a leaves open. asked
// is the stamp from before the question that a answers: after a change made here the two answers may differ and yet be of one file.
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
