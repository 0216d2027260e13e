package cache

import (
	"context"
	"errors"
	"syscall"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// Open opens a regular file; flags are those of open(2), O_TRUNC among them. keep says that the kernel's pages of the file are still good.
// Size and mtime are looked at in the same flight, unless that was done ahead a moment ago. Errors among others: EISDIR, ELOOP for a
// symbolic link, ENXIO for what else is no regular file, ESTALE where the kernel has to look the name up again.
func (c *Cache) Open(ctx context.Context, n *Node, flags uint32) (h *Handle, keep bool, err error) {
	switch kind := c.typeOf(n); {
	case n.isDir():
		return nil, false, fail("open", "", syscall.EISDIR, nil)
	case kind == syscall.S_IFLNK:
		return nil, false, fail("open", "", syscall.ELOOP, nil)
	case kind != syscall.S_IFREG:
		return nil, false, fail("open", "", syscall.ENXIO, nil)
	}
	if h, keep := c.openAhead(ctx, n, flags); h != nil {
		return h, keep, nil
	}
	if h, keep, err := c.openKept(ctx, n, flags); h != nil || err != nil {
		return h, keep, err
	}
	p, err := c.pathToOpen(ctx, n)
	if err != nil {
		if h, keep := c.openNameless(ctx, n, flags); h != nil {
			return h, keep, c.truncateOpened(ctx, h, flags)
		}
		return nil, false, err
	}
	if flags&syscall.O_TRUNC != 0 {
		return c.openTruncated(ctx, n, p, flags)
	}
	return c.openByName(ctx, n, p, flags)
}

// openByName opens a file by its path p, and sees from the attributes in the answer whether what is held of it here is still good.
func (c *Cache) openByName(ctx context.Context, n *Node, p string, flags uint32) (h *Handle, keep bool, err error) {
	c.mu.Lock()
	asked := c.stamp(n)
	first := asked.gen
	size := c.headOf(n, flags)
	c.mu.Unlock()
	self := new(*Handle)
	f, a, err := c.openRemote(ctx, n, p, openFlags(flags), size, self)
	if err != nil {
		return nil, false, err
	}
	opened := signatureOf(a)
	if asked, a, err = c.askCrossed(ctx, n, f, flags, asked, a); err != nil {
		f.Close()
		return nil, false, withErrno("open", p, err)
	}
	if a.Flags&session.HasSize == 0 {
		f.Close()
		return nil, false, c.endless(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if asked, a, err = c.askApart(ctx, n, p, f, asked, a); err != nil {
		f.Close()
		return nil, false, withErrno("open", p, err)
	}
	fs := c.content(n)
	_, dirty := fs.data.Size()
	dirty = dirty || asked.dirty
	crossed := n.gen != asked.gen || n.sent > 0
	keep = c.stillGood(fs, a, dirty, crossed)
	fs.written.hides = fs.written.hides && keep
	if !crossed {
		fs.pages.enterOpening(func() { c.keepAsked(n, asked, a) })
	}
	head := f.Head()
	if dirty || asked.gen != first || signatureOf(a) != opened || n.sent > 0 || n.removals > 0 {
		head = nil
	}
	c.takeOpened(fs, a, keep, crossed, head)
	h = c.newHandle(n, c.openBackend(f, self), flags)
	h.unsure = crossed || dirty
	*self = h
	c.scanOpened(n)
	return h, fs.keepPages(keep), nil
}

// stillGood says whether what is held of a file, here and in the kernel's pages, is the content of which the answer a to an opening tells.
// dirty says that bytes of it were on their way then, crossed that a change made here has crossed with the answer. Called with mu held.
func (c *Cache) stillGood(fs *fileState, a session.Attr, dirty, crossed bool) bool {
	switch {
	case dirty || crossed && fs.written.untold:
		return true // it is just being written here, and the kernel's pages have what is written
	case fs.written.untold:
		size, _ := fs.data.Size()
		return uint64(size) == a.Size && size > cheapAgain && !fs.written.hides && (fs.writers > 0 || fs.written.learning) && !c.laterThanOurs(fs, a)
	}
	return fs.good(a)
}

// takeOpened brings the content held of a file up to date with an opening that was answered with a. keep is what stillGood has said, crossed
// is as there. head is the beginning of the file, or empty where it may not be of the version that a tells of. Called with mu held.
func (c *Cache) takeOpened(fs *fileState, a session.Attr, keep, crossed bool, head []byte) {
	if c.o.DirectIO || !keep {
		fs.data.Drop()
	}
	switch {
	case keep:
		if crossed || !fs.good(a) || !fs.data.Lacking() {
			return
		}
	case crossed:
		fs.version.known = false // what is read from now on may be from before the change that crossed or from after it
		fs.data.Changed()
		return
	default:
		if fs.version.racy {
			fs.data.SetRemoteSize(int64(a.Size)) // it may have seemed short only because it was just being written
		}
		fs.mark(signatureOf(a), c.serverNow())
	}
	if len(head) > 0 {
		fs.data.Preload(head[:min(uint64(len(head)), a.Size)], int64(a.Size))
	}
}

// headOf gives the size of a file, in bytes, where the beginning of it will most likely be read from the server as soon as it is open, as
// its content is not here; else 0. It is OpenRequest.Size, which has the beginning read in the flight of the opening. Called with mu held.
func (c *Cache) headOf(n *Node, flags uint32) int64 {
	reads := flags&syscall.O_ACCMODE == syscall.O_RDONLY
	if !reads || c.o.NoPrefetch || c.o.FollowSymlinks || c.o.DirectIO || c.timeout == 0 {
		return 0
	}
	if f := n.file; f != nil && (f.version.known && !f.version.racy && !f.data.Lacking() || f.data.Short()) {
		return 0
	}
	return int64(n.attr.Size)
}

// askCrossed asks again about the file f, just opened, where a change made here has crossed with the answer a, and what is known here is not
// enough: to append, the end of the file must be known, and of a file that was not written here its version. It returns an answer with
// which nothing has crossed, and the stamp from before that question; where changes cross each time, the last one.
func (c *Cache) askCrossed(ctx context.Context, n *Node, f *sftpconn.File, flags uint32, asked stamp, a session.Attr) (stamp, session.Attr, error) {
	const most = 3
	for range most {
		c.mu.Lock()
		fs := c.content(n)
		_, dirty := fs.data.Size()
		if n.gen == asked.gen || dirty || n.sent > 0 || fs.written.untold && flags&syscall.O_APPEND == 0 {
			c.mu.Unlock()
			break
		}
		opened := asked.opened
		asked = c.stamp(n)
		asked.opened = opened // what was opened since was compared with nothing (askApart)
		c.mu.Unlock()
		var err error
		if a, err = f.Stat(ctx); err != nil {
			return asked, a, err
		}
	}
	return asked, a, nil
}

// typeOf is the type of a node, of S_IFMT.
func (c *Cache) typeOf(n *Node) uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return n.attr.Mode & syscall.S_IFMT
}

// pathToOpen is pathWait for an opening. Where the file's name was taken away meanwhile it returns ESTALE: then the kernel looks the name
// up, which may lead to what has replaced the file.
func (c *Cache) pathToOpen(ctx context.Context, n *Node) (string, error) {
	p, err := c.pathWait(ctx, n)
	if err != nil && c.pathOf(n) == "" {
		return "", fail("open", "", syscall.ESTALE, errors.New("its name is gone"))
	}
	return p, err
}
