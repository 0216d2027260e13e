package cache

import (
	"context"
	"syscall"
)

// openNameless opens a file once more whose last name was taken away from here, as by /dev/stdin and /proc/self/fd: the server can't
// find it any more, so it is used by what another handle has open there. nil where no handle may do all that this one is to do.
// Where the name was lost on the server something else may have it, and the kernel has to look.
func (c *Cache) openNameless(ctx context.Context, n *Node, flags uint32) (h *Handle, keep bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !n.removed || n.parent != nil || n.file == nil {
		return nil, false
	}
	access := flags & syscall.O_ACCMODE
	var created *Handle
	for other := range n.file.handles {
		switch {
		case access != syscall.O_RDONLY && !other.writable, access != syscall.O_WRONLY && !other.readable:
		case other.b.f.Load() != nil:
			h = c.newHandle(n, other.b.share(), flags)
			return h, n.file.keepPages(true)
		case other.b.created != nil:
			created = other
		}
	}
	if created == nil {
		return nil, false
	}
	c.mu.Unlock()
	_, err := created.b.fileSoon(ctx) // its creation is on its way (-o async)
	c.mu.Lock()
	if _, open := n.file.handles[created]; err != nil || !open || n.parent != nil {
		return nil, false
	}
	return c.newHandle(n, created.b.share(), flags), n.file.keepPages(true)
}

// truncateOpened does what O_TRUNC asks for to a file that openNameless has opened.
func (c *Cache) truncateOpened(ctx context.Context, h *Handle, flags uint32) error {
	if flags&syscall.O_TRUNC == 0 {
		return nil
	}
	_, _, err := c.Setattr(ctx, h.n, h, SetAttr{Size: new(uint64)})
	if err != nil {
		h.Release()
	}
	return err
}
