package cache

import (
	"context"
	"errors"
	"syscall"
	"time"

	"sshmount/sftpconn/session"
)

// Attr of a node, with the remote side's ids. Times are whole seconds, as SFTP v3 has them.
type Attr struct {
	Ino      uint64
	Mode     uint32 // type and permission bits as in stat(2)
	Size     uint64 // bytes
	UID, GID uint32
	Nlink    uint32
	Atime    int64 // seconds since 1970
	Mtime    int64
	Ctime    int64 // SFTP has none: the mtime
}

// Found is an answer about a name: the node, its attributes, and for how long they may be trusted from now.
// Each Found with a Node counts as one reference of the kernel, given back by Forget.
type Found struct {
	Node *Node
	Attr Attr
	TTL  time.Duration
}

// valid says whether a node's attributes may be trusted now. Called with mu held.
func (c *Cache) valid(n *Node) bool { return n.until > c.now() }

// keepAttr takes what the server said of a node. Called with mu held; the caller has seen to it that
// no change made here crossed with the answer.
func (c *Cache) keepAttr(n *Node, a session.Attr) {
	c.noticeContent(n, a)
	a.Mode = withType(a)
	if a.Mode != n.attr.Mode || a.UID != n.attr.UID || a.GID != n.attr.GID {
		n.ours = 0
	}
	n.attr = a
	n.until = c.now() + int64(c.timeout)
	n.looks = false
	n.link = nil
}

// withType gives attributes without a type (servers may leave it out) that of a regular file.
func withType(a session.Attr) uint32 {
	if a.Mode&syscall.S_IFMT == 0 {
		return a.Mode | syscall.S_IFREG
	}
	return a.Mode
}

// sameType says whether an answer can be about the node, or something else has its name now.
func sameType(n *Node, a session.Attr) bool {
	return n.attr.Mode&syscall.S_IFMT == withType(a)&syscall.S_IFMT
}

// expire makes the next question about a node go to the server. Called with mu held.
func (n *Node) expire() { n.until = 0 }

// touched notes a change of a directory's names made here: its times are the server's to say.
// Called with mu held.
func (c *Cache) touched(dir *Node) {
	dir.gen++
	dir.attr.Mtime = uint32(time.Now().Unix())
	// Nobody waits for the server with Async: our clock's time stands until the attributes have had their time.
	dir.looks = !c.o.Async
}

// shown is what programs see of a node. Called with mu held.
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
		if dirty || f.wrote {
			a.Size = uint64(size)
			if w := f.data.LastWrite(); f.ownTimes == nil && !w.IsZero() {
				a.Mtime = max(a.Mtime, w.Unix())
			}
		}
	}
	if f := n.file; f != nil && f.ownTimes != nil {
		a.Atime, a.Mtime = int64(f.ownTimes.Atime), int64(f.ownTimes.Mtime)
	}
	a.Ctime = a.Mtime
	return a
}

// found makes an answer of a node, with a reference for the kernel. Called with mu held.
func (c *Cache) found(n *Node) Found {
	n.refs++
	c.idle.Remove(n.id)
	return Found{Node: n, Attr: c.shown(n), TTL: c.ttl(n)}
}

// ttl is for how long a node's attributes may still be trusted. A directory that was changed here keeps its time:
// the kernel knows of its own changes and asks for the new mtime by itself. Called with mu held.
func (c *Cache) ttl(n *Node) time.Duration {
	if n.mtimeUnknown() {
		return 0
	}
	return max(0, time.Duration(n.until-c.now()))
}

// Getattr answers with a node's attributes. h may be nil; with it a file that has no name any more is asked for by its handle.
func (c *Cache) Getattr(ctx context.Context, n *Node, h *Handle) (Attr, time.Duration, error) {
	c.mu.Lock()
	if c.valid(n) && !n.looks && !n.mtimeUnknown() {
		a, ttl := c.shown(n), c.ttl(n)
		c.mu.Unlock()
		return a, ttl, nil
	}
	c.mu.Unlock()
	if err := c.refresh(ctx, n, h); err != nil {
		return Attr{}, 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shown(n), c.ttl(n), nil
}

// refresh asks the server for a node's attributes, by its name or, where it has none, by an open handle.
func (c *Cache) refresh(ctx context.Context, n *Node, h *Handle) error {
	c.mu.Lock()
	nameless := n.parent == nil && n != c.root
	if h == nil && n.file != nil {
		for other := range n.file.handles {
			h = other
			break
		}
	}
	asked := c.stamp(n)
	c.mu.Unlock()
	if nameless {
		if h == nil {
			// An open directory whose name is gone: what was known of it stands, as the kernel holds it.
			if n.isDir() {
				return nil
			}
			return fail("stat", "", syscall.ENOENT, nil)
		}
		return c.refreshOpen(ctx, n, h)
	}
	p, err := c.pathWait(ctx, n)
	if err != nil {
		return err
	}
	a, err := c.lstat(ctx, n, p)
	err = c.errno(ctx, "stat", p, err)
	absent := errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR)
	c.mu.Lock()
	again := c.strayed(n, asked.moved, p, absent)
	c.mu.Unlock()
	if again {
		return c.refresh(ctx, n, h)
	}
	if err != nil {
		if absent {
			c.gone(n, p)
			if left := c.pathOf(n); left != "" && left != p {
				return c.refresh(ctx, n, h) // by another of its names
			}
			if h != nil {
				return c.refreshOpen(ctx, n, h)
			}
		}
		return err
	}
	c.mu.Lock()
	if h != nil && n.gen == asked.gen && sameType(n, a) && n.anotherAt(a) {
		c.mu.Unlock()
		return c.tellNames(ctx, n, h, a)
	}
	defer c.mu.Unlock()
	if n.gen != asked.gen {
		// Our own change crossed with the answer: what we know is newer than what was read.
		n.looks = false
		return nil
	}
	if !sameType(n, a) || n.anotherAt(a) {
		c.replaced(n)
		return fail("stat", p, syscall.ESTALE, nil)
	}
	c.keepAsked(n, asked, a)
	return nil
}

// refreshOpen asks by an open handle.
func (c *Cache) refreshOpen(ctx context.Context, n *Node, h *Handle) error {
	asked, a, err := c.statOpen(ctx, n, h)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.gen == asked.gen && n.sent == 0 && sameType(n, a) {
		c.keepAsked(n, asked, a)
	}
	return nil
}

// statOpen asks the server by an open handle, and gives the state of the node before.
func (c *Cache) statOpen(ctx context.Context, n *Node, h *Handle) (asked stamp, a session.Attr, err error) {
	c.mu.Lock()
	asked = c.stamp(n)
	c.mu.Unlock()
	f, err := h.b.file(ctx)
	if err != nil {
		return asked, a, c.errno(ctx, "stat", "", err)
	}
	if a, err = f.Stat(ctx); err != nil {
		return asked, a, c.errno(ctx, "fstat", "", err)
	}
	return asked, a, nil
}

// stamp is what a node was when a question about it went out.
type stamp struct {
	gen   uint64
	moved uint64 // the last rename of it or above it
	dirty bool   // bytes were on their way to the server: its answer may be of before them, however late it comes
}

// stamp notes the state of a node before a question. Called with mu held.
func (c *Cache) stamp(n *Node) stamp {
	s := stamp{gen: n.gen, moved: c.lastMove(n)}
	if n.file != nil {
		_, s.dirty = n.file.data.Size()
	}
	return s
}

// keepAsked is keepAttr for an answer with which no change made here has crossed: of a file that had bytes on their way when
// it was asked about, size and mtime stay ours to tell. Called with mu held.
func (c *Cache) keepAsked(n *Node, asked stamp, a session.Attr) {
	if !asked.dirty {
		c.keepAttr(n, a)
		return
	}
	a.Size, a.Mtime, a.Mode = n.attr.Size, n.attr.Mtime, withType(a)
	n.attr = a
	n.until = c.now() + int64(c.timeout)
}

// lstat is statPath for a node, of which the root may be a link.
func (c *Cache) lstat(ctx context.Context, n *Node, p string) (session.Attr, error) {
	if n == c.root {
		return c.conn.Stat(ctx, p)
	}
	return c.statPath(ctx, p)
}

// statPath asks for the attributes of a path: of the link itself, but with follow_symlinks of what it leads to.
func (c *Cache) statPath(ctx context.Context, p string) (session.Attr, error) {
	if c.o.FollowSymlinks {
		a, err := c.conn.Stat(ctx, p)
		var se *session.StatusError
		if err == nil || !errors.As(err, &se) {
			return a, err
		}
		// A link that leads nowhere is shown as the link.
	}
	return c.conn.Lstat(ctx, p)
}

// gone notes that the server has no such name any more. The path says which name was asked for: the node
// may have been moved meanwhile.
func (c *Cache) gone(n *Node, p string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.parent == nil || c.path(n) != p || c.queue.moving(p) {
		return
	}
	dir, name := n.parent, n.name
	c.forgetName(dir, name)
	c.absent(dir, name)
	c.notifyName(dir.id, name)
}

// notThere notes that the server did not find at p what a node is: nothing is there, or a link that leads nowhere, or no directory
// (OpenSSH calls all three NO_SUCH_FILE).
func (c *Cache) notThere(n *Node, p string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.parent != nil && c.path(n) == p && !c.queue.moving(p) {
		c.replaced(n)
	}
}

// replaced notes that something else may have a node's name now: the next question about the name goes to the server. Called with
// mu held.
func (c *Cache) replaced(n *Node) {
	dir, name := n.parent, n.name
	if dir == nil {
		return
	}
	c.forgetName(dir, name)
	delete(dir.dir.missing, name)
	c.distrust(dir)
	c.notifyName(dir.id, name)
}
