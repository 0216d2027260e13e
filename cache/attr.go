package cache

import (
	"context"
	"syscall"
	"time"

	"sshmount/sftpconn/session"
)

// Attr are the attributes of a node, with the remote side's ids. Times are in whole seconds since 1970, as SFTP v3 has them.
type Attr struct {
	Ino      uint64
	Mode     uint32 // type and permission bits as in stat(2)
	Size     uint64 // bytes
	UID, GID uint32
	Nlink    uint32
	Atime    int64
	Mtime    int64
	Ctime    int64 // the mtime, as SFTP has none
}

// Found is an answer about a name: the node, its attributes, and for how long either may be trusted from now.
// Each Found with a Node takes a reference for the kernel, which Forget gives back.
type Found struct {
	Node    *Node
	Attr    Attr
	TTL     time.Duration // how long the name leads to the node, or to none
	AttrTTL time.Duration // how long the attributes are good
}

// valid says whether a node's attributes may be trusted now. Called with mu held.
func (c *Cache) valid(n *Node) bool { return n.until > c.now() }

// keepAttr enters what the server tells of a node. Called with mu held; no change made here has crossed with the answer.
func (c *Cache) keepAttr(n *Node, a session.Attr) {
	c.noticeContent(n, a)
	a.Mode = withType(a)
	if a.Mode != n.attr.Mode || a.UID != n.attr.UID || a.GID != n.attr.GID {
		n.ours = 0
	}
	if tellsAll(n.attr) && tellsAll(a) && signatureOf(a) != signatureOf(n.attr) {
		// The answer to another question may be older and be taken in later: it goes by another channel, or its goroutine has its turn later.
		n.gen++
		n.learnt++
	}
	c.modeSeen(n, a.Mode)
	n.attr = a
	n.until = c.now() + int64(c.timeout)
	n.mtimeGuessed, n.foreseen = false, false
	n.link = nil
}

// modeSeen enters a node's mode, and what follows from it for a directory. Called with mu held.
func (c *Cache) modeSeen(n *Node, mode uint32) {
	if n.isDir() && searchable(mode) != searchable(n.attr.Mode) {
		c.distrust(n) // the server may list all names now, or none
	}
	if n.isDir() && mode != n.attr.Mode {
		n.dir.walk.notAhead = false
	}
	n.attr.Mode = mode
}

// othersSet enters attributes other than the size that the server has set, or surely will. fresh says that this was asked for within
// justWritten of the file's last acknowledgement. Called with mu held.
func (c *Cache) othersSet(n *Node, a session.Attr, fresh bool) {
	c.changed(n)
	if n.isDir() && a.Flags&session.HasMode != 0 && a.Mode&syscall.S_IRUSR == 0 {
		c.distrust(n) // only the server can say who may list it now
	}
	c.applied(n, a)
	if f := n.file; f != nil && a.Flags&session.HasTimes != 0 {
		if _, dirty := f.data.Size(); !dirty {
			if f.written.untold {
				size, _ := f.data.Size()
				n.attr.Size = uint64(size)
			}
			// The mtime that would have told of a change made elsewhere is gone now. So the next open reads the file again, unless
			// it was just written here, and is so large that this would cost something.
			ours := fresh && (f.written.untold || f.version.known && f.version.own)
			c.markOwn(f, signatureOf(n.attr))
			f.version.known, f.version.racy = ours, f.version.racy || n.attr.Size <= cheapAgain
			f.written.end()
		}
	}
}

// applied enters attributes that the server has set in a node and in its directory's listing. Called with mu held.
func (c *Cache) applied(n *Node, a session.Attr) {
	if a.Flags&session.HasMode != 0 {
		c.modeSeen(n, n.attr.Mode&syscall.S_IFMT|a.Mode)
	}
	if a.Flags&session.HasSize != 0 {
		n.attr.Size = a.Size
	}
	if a.Flags&session.HasOwner != 0 {
		if n.isReg() && n.attr.Mode&(syscall.S_ISUID|syscall.S_ISGID) != 0 {
			n.expire() // chown(2) clears them, for most callers
		}
		n.attr.UID, n.attr.GID = a.UID, a.GID
	}
	if a.Flags&session.HasTimes != 0 {
		n.attr.Atime, n.attr.Mtime = a.Atime, a.Mtime
		n.mtimeGuessed, n.foreseen = false, false
		if n.file != nil {
			n.file.written.changed = true
		}
	}
	if n.parent != nil && n.parent.dir.list != nil {
		if l := n.parent.dir.list; l.done {
			c.keepInListing(n)
		}
	}
}

// withType is the mode in attributes. Where the server has left the type out it is that of a regular file.
func withType(a session.Attr) uint32 {
	if a.Mode&syscall.S_IFMT == 0 {
		return a.Mode | syscall.S_IFREG
	}
	return a.Mode
}

// sameType says whether an answer can be about the node by its type; if not, something else has its name now.
func sameType(n *Node, a session.Attr) bool {
	return n.attr.Mode&syscall.S_IFMT == withType(a)&syscall.S_IFMT
}

// expire has the next question about a node go to the server. Called with mu held.
func (n *Node) expire() { n.until, n.ours = 0, 0 }

// touched notes a change of a directory's names made here. The server gives the directory an mtime for it, for which the time of our clock
// stands in until somebody asks for the attributes. With Async it stands for as long as attributes are trusted, so that nobody has to wait
// for the server. Called with mu held.
func (c *Cache) touched(dir *Node) {
	c.changed(dir)
	dir.attr.Mtime = seconds(c.ChangeTime().Unix())
	dir.mtimeGuessed = !c.o.Async
	c.askMtime(dir)
}

// shown are the attributes of a node as programs see them. Called with mu held.
func (c *Cache) shown(n *Node) Attr {
	a := Attr{
		Ino: n.id, Mode: n.attr.Mode, Size: n.attr.Size, UID: n.attr.UID, GID: n.attr.GID, Nlink: 1 + uint32(len(n.also)),
		Atime: int64(n.attr.Atime), Mtime: int64(n.attr.Mtime),
	}
	if n.parent == nil && n != c.root {
		a.Nlink = 0
	}
	if f := n.file; f != nil && f.data != nil {
		size, dirty := f.data.Size()
		if dirty || f.written.untold || f.data.Short() {
			a.Size = uint64(size)
		}
		if dirty || f.written.untold {
			if w := f.data.LastWrite(); f.written.times == nil && !w.IsZero() {
				a.Mtime = max(a.Mtime, c.onServer(w).Unix())
			}
		}
	}
	if f := n.file; f != nil && f.written.times != nil {
		a.Atime, a.Mtime = int64(f.written.times.Atime), int64(f.written.times.Mtime)
	}
	a.Ctime = a.Mtime
	return a
}

// found makes an answer of a node, with a reference for the kernel. Called with mu held.
func (c *Cache) found(n *Node) Found {
	n.refs++
	c.idle.Remove(n.id)
	return Found{Node: n, Attr: c.tell(n), TTL: c.ttl(n), AttrTTL: c.attrTTL(n)}
}

// foundAt is found for one of a node's names. Called with mu held.
func (c *Cache) foundAt(n *Node, at place) Found {
	f := c.found(n)
	f.TTL = min(f.TTL, max(0, time.Duration(n.nameUntil(at)-c.now())))
	return f
}

// attrTTL is for how long a node's attributes may still be trusted: not at all where the mtime is our clock's, which the kernel would go on
// showing when the server has given the file another. Called with mu held.
func (c *Cache) attrTTL(n *Node) time.Duration {
	if n.mtimeGuessed || n.mtimeToCome() {
		return 0
	}
	return c.ttl(n)
}

// ttl is for how long a node may still be trusted to be what it was. Called with mu held.
func (c *Cache) ttl(n *Node) time.Duration {
	if n.mtimeUnknown() {
		return 0
	}
	return max(0, time.Duration(n.until-c.now()))
}

// Getattr gives a node's attributes, and for how long they may be trusted. h is a handle of the node, by which a file is asked about that has
// no name any more; it may be nil.
func (c *Cache) Getattr(ctx context.Context, n *Node, h *Handle) (Attr, time.Duration, error) {
	c.mu.Lock()
	c.lookedAt(ctx, n)
	if c.valid(n) && !n.mtimeGuessed && !n.mtimeUnknown() {
		a, ttl := c.tell(n), c.attrTTL(n)
		c.mu.Unlock()
		return a, ttl, nil
	}
	n.noteWanted()
	c.mu.Unlock()
	if err := c.refresh(ctx, n, h); err != nil {
		return Attr{}, 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tell(n), c.attrTTL(n), nil
}

// Mode is Getattr for who wants to know no more than what a node is and what its mode allows. A change of the names in a directory, or of the
// bytes of a file, leaves that as it was: so nobody is asked only because the server has not told the mtime since.
func (c *Cache) Mode(ctx context.Context, n *Node) (Attr, error) {
	c.mu.Lock()
	if c.valid(n) {
		defer c.mu.Unlock()
		return c.shown(n), nil
	}
	c.mu.Unlock()
	a, _, err := c.Getattr(ctx, n, nil)
	return a, err
}

// gone takes from a node the name at the path p, by which the server did not find it. It does nothing where the node was moved meanwhile.
func (c *Cache) gone(ctx context.Context, n *Node, p string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.parent == nil || c.path(n) != p || c.queue.moving(ctx, p) {
		return
	}
	dir, name := n.parent, n.name
	c.forgetName(dir, name)
	c.absent(dir, name)
	c.notifyName(dir.id, name)
}

// notThere is gone where the server may have something else at p: a link that leads nowhere, or no directory (OpenSSH says NO_SUCH_FILE in
// either case).
func (c *Cache) notThere(ctx context.Context, n *Node, p string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.parent != nil && c.path(n) == p && !c.queue.moving(ctx, p) {
		c.replaced(n)
	}
}

// replaced takes its first name from a node, as something else may have it now: the next question about the name goes to the server. Called
// with mu held.
func (c *Cache) replaced(n *Node) {
	if n.parent != nil {
		c.anothers(place{n.parent, n.name})
	}
}

// anothers is replaced for any name of a node. Called with mu held.
func (c *Cache) anothers(at place) {
	c.forgetChild(at.dir, at.name)
	if e := at.dir.dir.list.named(at.name); e != nil {
		e.attr = session.Attr{} // only a look-up tells what it is now
	}
	c.distrustName(at)
}
