package cache

import (
	"context"
	"syscall"
)

// openNameless opens a file whose last name was removed from here, and that is open still: programs do so by /dev/stdin and /proc/self/fd.
// The server can't find it by a name any more, so the new handle shares the remote file of another one. h is nil where no other handle was
// opened for all that flags ask for, and where the name was not removed from here but lost on the server: then something else may have it,
// and the kernel has to look it up.
func (c *Cache) openNameless(ctx context.Context, n *Node, flags uint32) (h *Handle, keep bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !n.removed || n.parent != nil {
		return nil, false
	}
	return c.openShared(ctx, n, flags)
}

// openShared opens a file by the remote file of another handle. h is nil where no other handle was opened for all that flags ask for. Called
// with mu held, which it gives up while it waits for a creation.
func (c *Cache) openShared(ctx context.Context, n *Node, flags uint32) (h *Handle, keep bool) {
	if n.file == nil {
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
	_, err := created.b.fileSoon(ctx) // its creation is still on its way (-o async)
	c.mu.Lock()
	if err != nil || n.file == nil || !n.file.isOpen(created) || n.parent != nil {
		return nil, false
	}
	return c.newHandle(n, created.b.share(), flags), n.file.keepPages(true)
}

// truncateOpened truncates a file that openNameless has opened, where flags have O_TRUNC.
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
