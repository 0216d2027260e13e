package cache

// settle has the tree show at a name what the server has there: n, or, for nil, what the next question tells. n must get its name back, as
// its handles may have bytes that are not saved, and find it by its name. Called with mu held.
//
// An example: "mv a b" was answered, so the tree shows n at b, and was refused. settle(a, n) gives n the name a. A file has both names for a
// moment; a directory, which can have but one, loses b. Then settle(b, nil) takes what is still at b out of the tree.
func (c *Cache) settle(at place, n *Node) {
	had := c.child(at.dir, at.name)
	switch {
	case had == n:
		c.doubtName(at.dir, at.name)
		return
	case had != nil:
		c.forgetName(at.dir, at.name)
	}
	defer c.distrustName(at)
	gone := c.path(at.dir) == "" && c.serverPath(at.dir) == "" // else its removal, which fails as well, brings it back
	if n == nil || c.nodes[n.id] != n || gone || at.dir.within(n) {
		return
	}
	if n.isDir() {
		c.directoryBack(n)
	}
	n.removed = n.removed && n.isDir() // a directory goes on as another node (reviveAtRest)
	c.giveName(n, at.dir, at.name)
	c.changed(n)
	c.nameAdded(at.dir, at.name, n)
}

// directoryBack readies a directory for the name that settle gives it: it loses the one that it has in the tree, and paths below it lead
// elsewhere from now on. Called with mu held.
func (c *Cache) directoryBack(n *Node) {
	if n.parent != nil {
		was := place{n.parent, n.name}
		c.forgetName(was.dir, was.name)
		c.distrustName(was)
	}
	c.moves++
	n.moved = c.moves
	c.dirMoves++
	c.distrust(n) // there may be more in it than is known here
}

// reviveAtRest gives the name of a directory whose removal was refused to another node, once the directory has got it back: for the kernel a
// directory that it has removed is dead, and has nothing in it for ever, even where it is found again. It waits until no change is under way
// in the directory, or of its name: these know the directory as the node that it was, and find its path by that. Called with mu held.
func (c *Cache) reviveAtRest(dead *Node) {
	if !dead.isDir() || !dead.removed || dead.parent == nil || len(dead.dir.there) > 0 || len(dead.there) > 0 {
		return
	}
	at := place{dead.parent, dead.name}
	c.forgetName(at.dir, at.name)
	n := c.revived(dead)
	c.giveName(n, at.dir, at.name)
	c.nameAdded(at.dir, at.name, n)
	c.distrustName(at)
	c.retireIfUnheld(n)
	c.retireIfUnheld(dead)
}

// revived makes the node as which a directory goes on that is dead for the kernel, with what is known of it, and without a name. Called with
// mu held.
func (c *Cache) revived(dead *Node) *Node {
	n := c.newNode(nil, "", 0, dead.attr)
	n.attr, n.until = dead.attr, dead.until
	n.moved, n.dir.made, n.dir.disk = dead.moved, dead.dir.made, dead.dir.disk
	for name, child := range dead.dir.children {
		if child.parent == dead && child.name == name {
			child.parent = n
		}
		for i := range child.also {
			if child.also[i].place == (place{dead, name}) {
				child.also[i].dir = n
			}
		}
		n.dir.children[name] = child
	}
	clear(dead.dir.children)
	c.dropListing(dead)
	return n
}
