package cache

import (
	"slices"
	"syscall"

	"sshmount/sftpconn/session"
)

// Node is one file, directory or link of the remote side. All fields are guarded by Cache.mu but for id, and for whether dir is nil:
// these never change.
type Node struct {
	id uint64 // inode number and the kernel's node id

	// Its names, as programs see them.
	parent  *Node // the directory it is in; nil for the root and for what has no name any more
	name    string
	sure    int64      // until when name may be trusted to be its own (Cache.now); counts where it has several names
	also    []linkName // further names: hard links made here
	was     string     // the path that a directory, or a file with content, had before it lost its last name, for messages
	shown   bool       // the server has told of it by its name since it was opened for writing
	removed bool       // its last name was taken away from here: whoever opens it now has it open already
	moved   uint64     // the number of its last rename (Cache.moves); 0 for none

	// What the server has instead of these names while changes are under way (there.go).
	there  []place // the names with changes under way by which the server has it now
	making place   // the name by which the server has still to make it; without a directory there is none

	// Who holds it.
	refs uint64 // references of the kernel
	pins int    // handles, listings and requests that use it

	// What the kernel believes of its size, where it is a file (told.go).
	told    uint64 // the size that it was told last, in bytes
	doubted bool   // a notice may have crossed with that answer: then the kernel does not believe it

	// Changes of it under way.
	removals  int    // of one of its names: whoever opens it must open it on the server now, as its name will be gone
	sent      int    // changes of its attributes that were answered here, and that the server has not done yet (-o async)
	sentTimes int    // of these, those that set its times
	awaited   int    // changes of it that the server has not answered, and that a program waits for or has given up waiting for
	gen       uint64 // counts changes made here, and those that the server has told of: see Trust in the package comment
	learnt    uint64 // counts the latter alone

	// Its attributes.
	attr         session.Attr // as the server said, with our changes
	until        int64        // attr may be trusted until then (Cache.now)
	ours         int64        // it was made here, and until then nobody else is thought to have changed its mode and owner (Cache.now)
	foreseen     bool         // attr's times were foreseen before the server made it, or are times that it has refused to set (-o async)
	mtimeGuessed bool         // attr's mtime is our clock's (touched, doneLate): the next question for attributes goes to the server

	// What is in it.
	dir    *dirState  // directories only
	file   *fileState // regular files that were opened or fetched ahead
	link   *target    // of a symbolic link, trusted as long as attr
	wasted uint8      // how often a file was fetched ahead in vain since it was last opened (leftAlone)
}

// place is a name in a directory.
type place struct {
	dir  *Node
	name string
}

// linkName is a further name of a node, and until when it may be trusted to be its own (Cache.now).
type linkName struct {
	place
	sure int64
}

// ID is the inode number, stable while the node is known. The root's is 1.
func (n *Node) ID() uint64 { return n.id }

// within says whether n is dir or below it. Called with mu held.
func (n *Node) within(dir *Node) bool {
	for n != nil && n != dir {
		n = n.parent
	}
	return n != nil
}

// changing says whether a change of its attributes or content is under way from here. Called with mu held.
func (n *Node) changing() bool { return n.sent > 0 || n.awaited > 0 }

func (n *Node) isDir() bool  { return n.dir != nil }
func (n *Node) isLink() bool { return n.attr.Mode&syscall.S_IFMT == syscall.S_IFLNK }
func (n *Node) isReg() bool  { return n.attr.Mode&syscall.S_IFMT == syscall.S_IFREG }

// Node finds a node by its id; nil where nobody holds it any more. The root is always there.
func (c *Cache) Node(id uint64) *Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[id]
}

// Forget gives n of the kernel's references back.
func (c *Cache) Forget(id uint64, n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	node := c.nodes[id]
	if node == nil {
		return
	}
	node.refs -= min(n, node.refs)
	if node.refs == 0 && node.file != nil {
		node.file.data.Unpaged()
	}
	c.retireIfUnheld(node)
}

// newNode makes a node for a name that has none, with the given id, or a new one where that is 0 or taken. Called with mu held.
func (c *Cache) newNode(dir *Node, name string, id uint64, a session.Attr) *Node {
	if id == 0 || c.nodes[id] != nil {
		id = c.newID()
	}
	n := &Node{id: id, parent: dir, name: name}
	if a.Mode&syscall.S_IFMT == syscall.S_IFDIR {
		n.dir = &dirState{children: map[string]*Node{}}
	}
	c.nodes[id] = n
	if dir != nil {
		dir.dir.children[name] = n
		c.idle.Remove(dir.id)
	}
	return n
}

// newID gives an inode number that was not used before. Called with mu held.
func (c *Cache) newID() uint64 {
	c.lastID++
	return c.lastID
}

// pin keeps a node in memory until unpin. Called with mu held.
func (c *Cache) pin(n *Node) {
	n.pins++
	c.idle.Remove(n.id)
}

// unpin gives a pin back. Called with mu held.
func (c *Cache) unpin(n *Node) {
	n.pins--
	c.retireIfUnheld(n)
}

// release is unpin, taking mu.
func (c *Cache) release(n *Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unpin(n)
}

// retireIfUnheld puts a node that nobody holds among the idle ones, or forgets it where it has no name.
// Called with mu held, whenever something that held it may have let go.
func (c *Cache) retireIfUnheld(n *Node) {
	if n == c.root || n.refs > 0 || n.pins > 0 || n.isDir() && len(n.dir.children) > 0 || c.nodes[n.id] != n {
		return
	}
	if n.parent == nil {
		c.drop(n)
		return
	}
	c.idle.Add(n.id, n)
	for c.idle.Len() > c.o.MaxNames {
		_, old, ok := c.idle.RemoveOldest()
		if !ok {
			return
		}
		c.drop(old)
	}
}

// drop forgets a node that nobody holds. Called with mu held.
func (c *Cache) drop(n *Node) {
	c.idle.Remove(n.id)
	delete(c.nodes, n.id)
	if n.isDir() {
		c.dropListing(n)
	}
	c.keepInListing(n)
	if n.file != nil {
		c.dropContent(n)
	}
	parent := n.parent
	c.detach(n)
	if parent != nil {
		c.retireIfUnheld(parent)
	}
}

// detach takes all names away from a node; it lives on while it is held. Called with mu held.
func (c *Cache) detach(n *Node) {
	for n.parent != nil {
		c.unname(n, n.parent, n.name)
	}
}

// unname takes one name away. Called with mu held.
func (c *Cache) unname(n *Node, dir *Node, name string) {
	if dir.dir.children[name] == n {
		delete(dir.dir.children, name)
	}
	if n.parent == dir && n.name == name {
		if (n.file != nil || n.isDir()) && len(n.also) == 0 {
			n.was = c.lastPath(n)
		}
		n.parent, n.name = nil, ""
		if k := len(n.also); k > 0 {
			n.parent, n.name, n.sure = n.also[k-1].dir, n.also[k-1].name, n.also[k-1].sure
			n.also = n.also[:k-1]
		}
		return
	}
	n.also = slices.DeleteFunc(n.also, func(p linkName) bool { return p.place == place{dir, name} })
}

// child is the node at a name that the tree holds; nil where it holds none. Called with mu held.
func (c *Cache) child(dir *Node, name string) *Node { return dir.dir.children[name] }
