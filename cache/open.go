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
	first := asked
	size := c.headOf(n, flags)
	c.mu.Unlock()
	self := new(*Handle)
	f, a, err := c.openRemote(ctx, n, p, openFlags(flags), size, self)
	if err != nil {
		return nil, false, err
	}
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
	if dirty || asked != first || n.sent > 0 || n.removals > 0 {
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
		asked = c.stamp(n)
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

// openRemote opens an existing file on the server by its path p, or, where that does not lead to it any more, by the path that it has then.
// size is OpenRequest's. self leads to the handle that the remote file will belong to, once there is one (reopened.go).
func (c *Cache) openRemote(ctx context.Context, n *Node, p string, pflags uint32, size int64, self **Handle) (*sftpconn.File, session.Attr, error) {
	for {
		f, a, tryAt, err := c.openAt(ctx, n, p, pflags, size, self)
		if tryAt == "" {
			return f, a, err
		}
		p = tryAt
	}
}

// openAt is openRemote by the path p alone. Either the file is open, or err is final, or tryAt is the path by which the caller must try again,
// as a rename has crossed. The first of these that is so decides:
//
//	unsure      one of several names of the file may be another file's: err
//	strayed     a rename was entered meanwhile, so that p may have led to another file: tryAt
//	err         refused: err; but tryAt, where there was no such name and a change was just taking it away (otherPath)
//	elsewhere   what was opened is not the file that is known (partsAtOpen, isAnother): ESTALE
//	none        the file is open
func (c *Cache) openAt(ctx context.Context, n *Node, p string, pflags uint32, size int64, self **Handle) (
	f *sftpconn.File, a session.Attr, tryAt string, err error) {
	c.mu.Lock()
	asked, moved, before := c.serverPath(n), c.lastMove(n), c.stamp(n)
	cuts := pflags&session.OpenTrunc != 0
	compares := !cuts && *self == nil // whether it must be the file that is known; a handle that has waited takes what it finds (openOnDemand)
	if cuts {
		n.willBeCut(0)
	}
	c.mu.Unlock()
	sure := func() error { return nil }
	beside := func() (a session.Attr, ok bool) { return a, false }
	if compares {
		sure = c.allNames(ctx, n)
		beside = c.askBeside(ctx, n, before)
	}
	f, a, err = c.open(ctx, sftpconn.OpenRequest{
		Path: func() string { return c.serverPathOf(n) }, Pflags: pflags, Follow: c.o.FollowSymlinks,
		Check: c.checkOf(self), Lost: c.lostOf(self), Written: c.writtenOf(self), Size: size,
	})
	unsure := sure()
	c.mu.Lock()
	// A truncation has its turn by this path, so a rename since then was of another of the file's names. It must not be sent twice.
	strayed := !cuts && c.path(n) != "" && c.strayed(ctx, n, moved, p, false)
	c.mu.Unlock()
	if err == nil && (unsure != nil || strayed) {
		f.Close()
	}
	switch {
	case unsure != nil:
		return nil, a, "", unsure
	case strayed:
		tryAt, err = c.pathToOpen(ctx, n)
		return nil, a, tryAt, err
	case err != nil:
		err = c.whyNotOpened(ctx, p, pflags&session.OpenWrite != 0, err)
		if errors.Is(err, syscall.ENOENT) {
			tryAt, err = c.otherPath(ctx, n, p, asked, err)
		}
		return nil, a, tryAt, err
	}
	if c.o.FollowSymlinks {
		if a, err = f.Stat(ctx); err != nil {
			f.Close()
			return nil, a, "", withErrno("open", p, err)
		}
	}
	elsewhere := compares && c.partsAtOpen(ctx, n, p, before, a, beside) || c.isAnother(n, a, before, compares)
	if elsewhere {
		f.Close()
		return nil, a, "", fail("open", p, syscall.ESTALE, errors.New("something else has the name now"))
	}
	return f, a, "", nil
}

// isAnother says whether what was opened, with attributes a, is not the file of the node n; then the next question about the name goes to the
// server. before is the stamp from before the opening. Without compares it is another only where it is no regular file.
func (c *Cache) isAnother(n *Node, a session.Attr, before stamp, compares bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	another := withType(a)&syscall.S_IFMT != syscall.S_IFREG
	if compares {
		crossed := n.gen != before.gen || before.dirty // then it may look different because of what was done here
		another = another || !crossed && n.anotherAt(a)
	}
	if another {
		c.replaced(n)
	}
	return another
}

// otherPath gives the path by which to open a file that was not found at p, because a change under way was just taking that name away. asked
// is the path that the file had on the server when it was asked for. Where there is no such change the file is gone, and the error is that
// of goneUnder for absent.
func (c *Cache) otherPath(ctx context.Context, n *Node, p, asked string, absent error) (string, error) {
	c.mu.Lock()
	changing := asked != p || c.path(n) != p || c.serverPath(n) != asked || c.queue.moving(ctx, p)
	c.mu.Unlock()
	if changing {
		if err := c.waitForChangesAt(ctx, asked); err != nil {
			return "", withErrno("open", p, err)
		}
		if now := c.pathOf(n); now != "" {
			return now, nil
		}
	}
	return "", c.goneUnder(ctx, n, p, absent)
}

// goneUnder notes that a file is not at p any more, as err says. It returns ESTALE where the file may be found by another of its names, after
// the kernel's look-up; else err.
func (c *Cache) goneUnder(ctx context.Context, n *Node, p string, err error) error {
	if e := c.allNames(ctx, n)(); e != nil {
		return e
	}
	c.notThere(ctx, n, p)
	if c.pathOf(n) != "" {
		return fail("open", p, syscall.ESTALE, err)
	}
	return err
}
