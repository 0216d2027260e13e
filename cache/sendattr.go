package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"sshmount/sftpconn/session"
)

// timesBehind has the times in a set behind bytes that are still on their way; false where there are none.
func (c *Cache) timesBehind(n *Node, a session.Attr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := n.file
	if f == nil || !f.data.SetTimes(a) {
		return false
	}
	c.changed(n)
	f.written.times, f.written.changed = &a, true
	return true
}

// timesRefused is filedata's hook: times for which timesBehind has answered can't be set.
func (c *Cache) timesRefused(tag any, times session.Attr, why error) {
	n := tag.(*Node)
	c.mu.Lock()
	p, name, discarded := c.path(n), c.nameOf(n), n.discarded()
	if f := n.file; f != nil && f.written.times != nil && *f.written.times == times {
		f.written.times = nil
	}
	c.changed(n)
	n.expire()
	c.mu.Unlock()
	if discarded {
		return // programs that have the file open are told
	}
	why = withErrno("setattr", p, why)
	c.report("setattr", name, why)
	c.keepLost(n, func(context.Context) error { return why })
}

// sendInTurn is send for a wish that has its turn in the queue by the path p: whatever takes p away has its turn later. But the server may not
// have the node at p.
func (c *Cache) sendInTurn(ctx context.Context, n *Node, h *Handle, a session.Attr, p string) error {
	c.mu.Lock()
	if p != "" && !c.isAt(n, p) {
		p = c.serverPath(n) // a rename has failed, or came before the turn was taken
	}
	c.mu.Unlock()
	return c.send(ctx, n, h, a, p)
}

// isAt says whether the server has a node at a path now. Called with mu held.
func (c *Cache) isAt(n *Node, p string) bool {
	at := func(at place) bool { return join(c.serverPath(at.dir), at.name) == p }
	return slices.ContainsFunc(n.serverNames(), at)
}

// locateNode makes the hook locate of a change of a node, and sets *p to the path by which it is sent; "" where the node has none any more, and
// a handle is used. The change has its turn among the changes of names: a rename in between would have another file changed.
func (c *Cache) locateNode(p *string, n *Node) func() ([]string, error) {
	return func() ([]string, error) {
		if *p = c.ownPath(n); *p == "" {
			return nil, nil
		}
		return append([]string{*p}, n.queueKey()...), nil
	}
}

// queueKey stands for a node of several names among the paths of a change of its attributes: else a change that goes by another of its names
// could overtake it. It is empty for all other nodes. Called with mu held.
func (n *Node) queueKey() []string {
	if len(n.also) == 0 && len(n.there) == 0 {
		return nil
	}
	return []string{fmt.Sprint("node ", n.id)} // no path: those begin with a slash
}

// ownPath is serverPath, but "" where the node has no name here any more and only the server still has it (-o async): something else may
// have that path when a request comes. Called with mu held.
func (c *Cache) ownPath(n *Node) string {
	if c.path(n) == "" {
		return ""
	}
	return c.serverPath(n)
}

// send sends a wish in one request: by a handle where p is "", or where the size is set through a handle that may write, else by the path p.
// The caller finds out why it is refused. The error is ESTALE where there is neither path nor handle: then the kernel looks the name up,
// which may lead to what has replaced the file.
func (c *Cache) send(ctx context.Context, n *Node, h *Handle, a session.Attr, p string) error {
	_, err := c.sendAsking(ctx, n, h, a, p)
	return err
}

// sendAsking is send, and for a size that is set through a handle gives the attributes that the file has after it; nil where the server has
// not told them.
func (c *Cache) sendAsking(ctx context.Context, n *Node, h *Handle, a session.Attr, p string) (after *session.Attr, err error) {
	c.mu.Lock()
	if a.Flags&session.HasSize != 0 {
		n.willBeCut(a.Size)
	}
	link := n.isLink()
	if p == "" && h == nil && n.file != nil {
		for other := range n.file.handles {
			if h == nil || other.writable {
				h = other
			}
		}
	}
	c.mu.Unlock()
	switch {
	case p != "" && (h == nil || a.Flags&session.HasSize == 0 || !h.writable):
		return nil, c.conn.Setstat(ctx, p, a, link)
	case h != nil:
		f, err := h.b.fileSoon(ctx)
		if err != nil {
			return nil, err
		}
		if a.Flags&session.HasSize == 0 {
			return nil, f.Setstat(ctx, a)
		}
		told, ok, err := f.Truncate(ctx, a)
		if !ok {
			return nil, err
		}
		return &told, nil
	}
	return nil, fail("setattr", "", syscall.ESTALE, errors.New("its name is gone"))
}
