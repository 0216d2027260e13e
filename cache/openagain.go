package cache

import (
	"context"
	"errors"
	"syscall"
)

// OpenAgain is Open for the kernel's second try, after the first one has failed with ESTALE: a second ESTALE would reach the program. The name
// has led to the file of n since the program has asked for it, as its first try found another one there. So where others give the name away all
// the time it may be given that file, as if it had come a moment earlier: by the remote file of another handle, or, where nobody has it
// open, with what has its name now. It must not be given that beside others that have it open: the kernel would mix the pages of the two.
func (c *Cache) OpenAgain(ctx context.Context, n *Node, flags uint32) (h *Handle, keep bool, err error) {
	const most = 5 // in between the others may close it
	for range most {
		h, keep, err = c.Open(ctx, n, flags)
		if !errors.Is(err, syscall.ESTALE) || flags&syscall.O_TRUNC != 0 {
			break
		}
		c.mu.Lock()
		if h, keep = c.openShared(ctx, n, flags); h != nil {
			c.mu.Unlock()
			return h, keep, nil
		}
		nameless := n.parent == nil
		p := n.was
		alone := p != "" && !n.removed && n.openThere() == nil
		c.mu.Unlock()
		if nameless && alone {
			h, keep, err = c.openByName(ctx, n, p, flags)
		}
		if nameless && !errors.Is(err, syscall.ESTALE) {
			break
		}
	}
	return h, keep, err
}
