package cache

import (
	"context"
	"errors"
	"syscall"

	"sshmount/sftpconn/session"
)

// refresh asks the server for a node's attributes and enters them: by its name or, where it has none, by a handle of it that is open, which is
// h unless that is nil.
func (c *Cache) refresh(ctx context.Context, n *Node, h *Handle) error {
	return c.refreshAgain(ctx, n, h, 3)
}

// refreshAgain is refresh. It asks again, at most tries times, where the answer may be older than what is known by then: of a file that never
// rests that counts.
func (c *Cache) refreshAgain(ctx context.Context, n *Node, h *Handle, tries int) error {
	c.mu.Lock()
	nameless := n.parent == nil && n != c.root || !n.isDir() && c.path(n) == "" // a name in a directory that is gone is none either
	if h == nil && n.file != nil {
		for other := range n.file.handles {
			h = other
			break
		}
	}
	asked := c.stamp(n)
	c.mu.Unlock()
	if nameless {
		return c.refreshNameless(ctx, n, h)
	}
	p, err := c.pathWait(ctx, n)
	if err != nil && h != nil && c.pathOf(n) == "" {
		return c.refreshOpen(ctx, n, h)
	}
	if err != nil {
		return err
	}
	a, err := c.lstat(ctx, n, p)
	err = withErrno("stat", p, err)
	absent := errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR)
	c.mu.Lock()
	again := c.strayed(ctx, n, asked.moved, p, absent)
	c.mu.Unlock()
	if again {
		ctx, end := c.insist(ctx)
		defer end()
		return c.refresh(ctx, n, h)
	}
	if err != nil {
		return c.refreshOtherwise(ctx, n, h, p, err)
	}
	if c.supplanted(ctx, n, p, asked, a) {
		if h == nil {
			return nil
		}
		return c.refreshOpen(ctx, n, h)
	}
	c.mu.Lock()
	again = tries > 0 && (n.mayBeNewerThan(asked, a) || n.unasked(asked, a) != nil)
	c.mu.Unlock()
	if again {
		return c.refreshAgain(ctx, n, h, tries-1)
	}
	return c.refreshMet(ctx, n, h, p, asked, a)
}

// refreshMet enters the attributes a that the server has told of the name p of a node; asked is the stamp from before. Where they are of
// something else the name is taken from the node, and the error is ESTALE unless h can be asked instead.
func (c *Cache) refreshMet(ctx context.Context, n *Node, h *Handle, p string, asked stamp, a session.Attr) error {
	c.mu.Lock()
	same, another := sameType(n, a), false
	switch {
	case n.gen != asked.gen || n.sent > 0 && same:
		// A change made here has crossed with the answer, or is still under way by another name: what is known is newer.
	case same && (asked.dirty || !n.anotherAt(a)):
		c.keepAsked(n, asked, a)
		n.shown = true
	default:
		another = true
		if !same || h == nil {
			c.replaced(n)
		}
	}
	c.mu.Unlock()
	switch {
	case !another:
		return nil
	case h == nil:
		return fail("stat", p, syscall.ESTALE, nil)
	case same:
		return c.tellNames(ctx, n, h, asked, a)
	}
	return c.refreshOpen(ctx, n, h) // the file is still open, though something else has its name
}

// refreshNameless is refresh for a node that has no name any more. A directory, which the kernel still holds, stays as it was known.
func (c *Cache) refreshNameless(ctx context.Context, n *Node, h *Handle) error {
	switch {
	case h != nil:
		return c.refreshOpen(ctx, n, h)
	case n.isDir():
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.namelessError(n)
}

// namelessError is the error of a question about a file that has no name any more, and that nobody has open. Where its name was not removed from
// here something else may have it: at ESTALE the kernel looks it up. Called with mu held.
func (c *Cache) namelessError(n *Node) error {
	return fail("stat", "", c.lostName(n), errors.New("its name is gone"))
}

// lostName is what a program is told that has named a file by a name which that has lost meanwhile. Where the name was not removed from here
// something else may have it: at ESTALE the kernel looks it up. Called with mu held.
func (c *Cache) lostName(n *Node) syscall.Errno {
	if n.removed {
		return syscall.ENOENT
	}
	return syscall.ESTALE
}

// refreshOtherwise is what refresh does when the question by the name p has failed with err.
func (c *Cache) refreshOtherwise(ctx context.Context, n *Node, h *Handle, p string, err error) error {
	if errors.Is(err, syscall.ENOENT) && c.isNeverShown(n) {
		return nil
	}
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR) {
		c.gone(ctx, n, p)
		if left := c.pathOf(n); left != "" && left != p {
			return c.refresh(ctx, n, h) // by another of its names
		}
		if h != nil {
			return c.refreshOpen(ctx, n, h)
		}
	}
	if h != nil && errors.Is(err, syscall.EACCES) {
		return c.refreshOpen(ctx, n, h) // a program that has the file open need not be able to search the directory any more
	}
	return err
}

// refreshOpen is refresh by an open handle, which others may close meanwhile.
func (c *Cache) refreshOpen(ctx context.Context, n *Node, h *Handle) error {
	asked, a, err := c.statAnyOpen(ctx, n, h)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil && c.path(n) == "" && (n.file == nil || !n.file.isOpen(h)) {
		return c.namelessError(n)
	}
	if err != nil {
		return err
	}
	if n.gen == asked.gen && n.sent == 0 && sameType(n, a) {
		c.keepAsked(n, asked, a)
	}
	return nil
}

// statOpen asks the server for the attributes of a node by an open handle; asked is the stamp from before.
func (c *Cache) statOpen(ctx context.Context, n *Node, h *Handle) (asked stamp, a session.Attr, err error) {
	c.mu.Lock()
	asked = c.stamp(n)
	c.mu.Unlock()
	f, err := h.b.fileSoon(ctx)
	if err != nil {
		return asked, a, withErrno("stat", "", err)
	}
	if a, err = f.Stat(ctx); err != nil {
		return asked, a, withErrno("fstat", "", err)
	}
	h.sawItself(asked, a)
	return asked, a, nil
}

// stamp is the state of a node when a question about it went out: with it the answer can be judged.
type stamp struct {
	gen    uint64 // Node.gen
	learnt uint64 // Node.learnt
	moved  uint64 // lastMove of the node
	opened uint64 // Cache.opened
	dirty  bool   // bytes were on their way to the server: its answer may be of before them, however late it comes

	// Only of a file with content.
	there uint64    // how many bytes the server surely had; only where dirty
	known signature // what was known of the file on the server
}

// changedSince says whether a node was changed from here since the stamp was taken; what the server has told of it meanwhile does not count.
// Called with mu held.
func (n *Node) changedSince(s stamp) bool { return n.changes() != s.gen-s.learnt }

// changes counts the changes of a node that were made here. Called with mu held.
func (n *Node) changes() uint64 { return n.gen - n.learnt }

// mayBeNewerThan says whether what the server has told of a node since the stamp asked was taken may be newer than the answer a, or older: they
// differ, and nobody knows which of them the server has told first. Called with mu held.
func (n *Node) mayBeNewerThan(asked stamp, a session.Attr) bool {
	return n.learnt != asked.learnt && !n.changedSince(asked) && !asked.dirty && n.sent == 0 && sameType(n, a) &&
		tellsAll(a) && signatureOf(a) != signatureOf(n.attr)
}

// stamp takes the stamp of a node, before a question. Called with mu held.
func (c *Cache) stamp(n *Node) stamp {
	s := stamp{gen: n.gen, learnt: n.learnt, moved: c.lastMove(n), opened: c.opened}
	if n.file != nil {
		if _, s.dirty = n.file.data.Size(); s.dirty {
			s.there = uint64(n.file.data.Acknowledged())
		}
		s.known = signatureOf(n.attr)
		s.dirty = s.dirty || c.tellsLate(n)
	}
	return s
}

// tellsLate says whether the server may still tell what the file was before it was written: it is open for writing, and a server that keeps
// whole objects has the new one only when it is closed. Called with mu held.
func (c *Cache) tellsLate(n *Node) bool {
	return c.unseen(n) && n.file.written.untold
}

// unseen says whether the server may show the file only when it is closed. Called with mu held.
func (c *Cache) unseen(n *Node) bool {
	return n.file != nil && n.file.writers > 0 && !c.conn.KeepsOrder()
}

// neverShown says whether a file may be there though the server says that it is not: it is open for writing, and the server, which may show
// it only when it is closed, has not shown it since. Called with mu held.
func (c *Cache) neverShown(n *Node) bool { return c.unseen(n) && !n.shown }

// isNeverShown is neverShown, taking mu.
func (c *Cache) isNeverShown(n *Node) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.neverShown(n)
}

// keepAsked is keepAttr for the answer to a question before which the stamp asked was taken: of a file that had bytes on their way then, size
// and mtime stay ours to tell. Called with mu held; no change made here has crossed with the answer.
func (c *Cache) keepAsked(n *Node, asked stamp, a session.Attr) {
	if !asked.dirty {
		c.keepAttr(n, a)
		return
	}
	a.Size, a.Mtime, a.Mode = n.attr.Size, n.attr.Mtime, withType(a)
	n.attr = a
	n.until = c.now() + int64(c.timeout)
}

// lstat is statPath for a node. Only the root is followed, which may be a link to the directory that is mounted.
func (c *Cache) lstat(ctx context.Context, n *Node, p string) (session.Attr, error) {
	if n == c.root {
		return c.conn.Stat(ctx, p)
	}
	return c.statPath(ctx, p)
}

// statPath asks for the attributes of what is at a path: of a symbolic link itself, but with follow_symlinks of what it leads to.
func (c *Cache) statPath(ctx context.Context, p string) (session.Attr, error) {
	if c.o.FollowSymlinks {
		a, err := c.conn.Stat(ctx, p)
		if err == nil || refusal(err) == nil {
			return a, err
		}
		// A link that leads nowhere is shown as the link.
	}
	return c.conn.Lstat(ctx, p)
}
