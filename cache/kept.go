package cache

import (
	"context"
	"errors"
	"syscall"
	"time"
)

const (
	keptFor  = 2 * time.Second // how long a remote file is kept open after the last close
	keptMost = 32              // how many are kept at a time
)

// kept is the remote file of a file that was only read and was just closed. The next open of the file uses it where the name still leads to
// the same file, for which one question is enough.
type kept struct {
	n       *Node
	b       *backend
	content signature // what the file was when b was opened
	timer   *time.Timer
}

// keepRemote keeps the remote file of a closed handle for a while; false where it must be closed. Called with mu held.
func (c *Cache) keepRemote(h *Handle) bool {
	f := h.n.file
	switch {
	case c.closed, c.timeout == 0, c.now() < c.scarce, len(c.kept) >= keptMost:
		return false // nothing more is kept
	case h.writable, h.b.self == nil, h.b.f.Load() == nil, f.kept != nil:
		return false // no other handle could read from it, or one is kept already
	case h.n.parent == nil, f.written.untold, f.version.racy, f.data.Short(), h.unsure, h.content != f.version.signature:
		return false // the next open would find no use for it
	}
	k := &kept{n: h.n, b: h.b, content: h.content}
	f.kept = k
	c.kept[h.n] = struct{}{}
	k.timer = time.AfterFunc(keptFor, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if k.n.file != nil && k.n.file.kept == k {
			c.dropKept(k.n)
		}
	})
	return true
}

// dropKept closes a kept remote file. Called with mu held.
func (c *Cache) dropKept(n *Node) {
	if n.file == nil || n.file.kept == nil {
		return
	}
	k := n.file.kept
	n.file.kept = nil
	delete(c.kept, n)
	c.guess.freed = c.now()
	k.timer.Stop()
	k.b.close()
}

// openKept opens a file for reading by the remote file that is kept; h is nil where none is, or where the name leads to another file now.
// keep is Open's.
func (c *Cache) openKept(ctx context.Context, n *Node, flags uint32) (h *Handle, keep bool, err error) {
	if flags&(syscall.O_ACCMODE|syscall.O_TRUNC) != syscall.O_RDONLY {
		return nil, false, nil
	}
	c.mu.Lock()
	if n.file == nil || n.file.kept == nil {
		c.mu.Unlock()
		return nil, false, nil
	}
	k := n.file.kept
	n.file.kept = nil
	delete(c.kept, n)
	k.timer.Stop()
	c.mu.Unlock()
	p, err := c.pathToOpen(ctx, n)
	if err != nil {
		k.b.close()
		return nil, false, err
	}
	c.mu.Lock()
	gen := n.gen // after the changes for which pathToOpen has waited
	c.mu.Unlock()
	sure := c.allNames(ctx, n)
	a, err := c.statPath(ctx, p)
	if e := sure(); e != nil {
		k.b.close()
		return nil, false, e
	}
	if err != nil {
		k.b.close()
		if err = withErrno("open", p, err); errors.Is(err, syscall.ENOENT) {
			return nil, false, nil // a rename may have moved it: openByName finds out
		}
		return nil, false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	fs := c.content(n)
	if n.gen != gen || fs.written.untold || !fs.good(a) || k.content != signatureOf(a) || !sameType(n, a) {
		k.b.close()
		return nil, false, nil // it has to be opened by its name
	}
	c.keepAttr(n, a)
	h = c.newHandle(n, k.b, flags)
	*k.b.self = h
	c.scanOpened(n)
	return h, fs.keepPages(true), nil
}
