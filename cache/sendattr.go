package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"sshmount/sftpconn/session"
)

// timesBehind sends times behind bytes that are still on their way, where there are any.
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

// timesRefused is filedata's word that times which timesBehind has answered for can't be set.
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
		return // who has it open still is told
	}
	why = withErrno("setattr", p, why)
	c.report("setattr", name, why)
	c.keepLost(n, func(context.Context) error { return why })
}

// sendInTurn sends a wish that has its turn in the queue by path p: a change that takes p away has its turn behind it. Other names of a
// hard link have turns of their own.
func (c *Cache) sendInTurn(ctx context.Context, n *Node, h *Handle, a session.Attr, p string) error {
	c.mu.Lock()
	if p != "" && !c.isAt(n, p) {
		p = c.serverPath(n) // a rename has failed, or came before the turn was taken
	}
	c.mu.Unlock()
	return c.send(ctx, n, h, a, p)
}

// isAt says whether the server has a node at a path. Called with mu held.
func (c *Cache) isAt(n *Node, p string) bool {
	at := func(at place) bool { return join(c.serverPath(at.dir), at.name) == p }
	return slices.ContainsFunc(n.serverNames(), at)
}

// locateNode is the locate of a change of a file by its path, or, where it has none any more, by a handle. It has its turn among the
// changes of names: a rename that got in between would have another file changed.
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

// ownPath is serverPath, but "" where the node has that path on the server alone (-o async): something else may have it by the
// time at which a request comes. Called with mu held.
func (c *Cache) ownPath(n *Node) string {
	if c.path(n) == "" {
		return ""
	}
	return c.serverPath(n)
}

// send makes one request of a wish: by the handle where the file has no path any more, by the path else. Why it is refused is for the
// caller to find out. ESTALE where it has neither: then the kernel looks its name up again, which may lead to what has replaced it.
func (c *Cache) send(ctx context.Context, n *Node, h *Handle, a session.Attr, p string) error {
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
		return c.conn.Setstat(ctx, p, a, link)
	case h != nil:
		f, err := h.b.fileSoon(ctx)
		if err != nil {
			return err
		}
		return f.Setstat(ctx, a)
	}
	return fail("setattr", "", syscall.ESTALE, errors.New("its name is gone"))
}
