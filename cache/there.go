package cache

import (
	"context"
	"errors"
	"slices"
	"syscall"
)

// With -o async the tree shows what the server will have when it has done all changes that were answered here. The server may refuse any of
// them. So for each name with such changes under way it is kept what the server has there meanwhile (nameThere). A change that the server
// has done brings that up to date, and one that it has refused leaves it as it is. When the last change of a name has ended, and one of
// them was refused, the tree takes over what the server has there (settle).

// nameThere is what the server has at a name with changes under way. Guarded by Cache.mu.
type nameThere struct {
	node    *Node // pinned; nil where nothing is there, or something that is not known here
	changes int   // changes of the name that have entered the tree and have not ended
	going   bool  // one that takes the name away from node has been sent
	refused bool  // one of them was refused, or one of the name that node was moved from: the tree may show something else
}

// there is what the server has at a name; nil where no changes of it are under way, and the tree tells.
func (p place) there() *nameThere { return p.dir.dir.there[p.name] }

// awaits says whether the server has not given a node yet a name that it has here. Called with mu held.
func (n *Node) awaits(p place) bool {
	s := p.there()
	return s != nil && s.node != n
}

// serverNames are the names by which the server has a node now. Called with mu held.
func (n *Node) serverNames() []place {
	settled := slices.DeleteFunc(n.names(), func(p place) bool { return p.there() != nil })
	return append(settled, n.there...)
}

// serverPlace is a name by which the server has a node now, or by which it is to make it. It has no directory where the server has refused
// to make the node. Called with mu held.
func (n *Node) serverPlace() place {
	first := place{n.parent, n.name}
	if n.parent != nil && !n.awaits(first) {
		return first
	}
	if list := n.serverNames(); len(list) > 0 {
		return list[0]
	}
	return n.making
}

// stands notes that the server has n, or nothing, at a name with changes under way. Called with mu held.
func (c *Cache) stands(at place, n *Node) {
	s := at.there()
	if s.node == n {
		return
	}
	if had := s.node; had != nil {
		had.there = slices.DeleteFunc(had.there, func(p place) bool { return p == at })
		c.unpin(had)
	}
	s.node = n
	if n != nil {
		n.there = append(n.there, at)
		c.pin(n)
	}
}

// beginNames notes that a change of names is about to enter the tree, and returns what has the names until then. Called with mu held;
// namesEntered follows.
func (c *Cache) beginNames(p *pending) (had []*Node) {
	for _, at := range p.names {
		n := c.child(at.dir, at.name)
		had = append(had, n)
		s := at.there()
		if s == nil {
			if at.dir.dir.there == nil {
				at.dir.dir.there = map[string]*nameThere{}
			}
			s = &nameThere{}
			at.dir.dir.there[at.name] = s
			c.stands(at, n)
		}
		s.changes++
	}
	return had
}

// namesEntered notes what a change that has entered the tree has put at its names, in place of had. Called with mu held.
func (c *Cache) namesEntered(p *pending, had []*Node) {
	for i, at := range p.names {
		n := c.child(at.dir, at.name)
		p.has = append(p.has, n)
		if h := had[i]; h != nil && h != n && !(p.moves && i == 0) {
			p.takes = at
		}
	}
}

// mayTake refuses a change, before it is sent, that would take away the last name by which the server has a file, where programs believe
// that the file lives on by another one, and the server has refused that. Names that are being taken away don't count. It also refuses a
// rename of anything but what was to be moved, which may not have come to its old name.
func (c *Cache) mayTake(p *pending) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := p.takes
	if p.moves {
		if p.names[0].there().node != p.has[1] {
			return fail(p.op, p.path(), syscall.ENOENT, errors.New("what was to be moved has not got there, as that was refused before"))
		}
		at = p.names[1]
	}
	if at.dir == nil {
		return nil
	}
	s := at.there()
	if n := s.node; n != nil && n.wanted() && !n.staysBut(at) {
		return fail(p.op, at.name, syscall.EBUSY, errors.New("what the server still has there was to have another name, which was refused before"))
	}
	s.going = true
	return nil
}

// wanted says whether the node is to be kept: nobody here has taken its last name away, though the server may have refused the name that it
// has here. Called with mu held.
func (n *Node) wanted() bool { return n.parent != nil || !n.removed }

// staysBut says whether the server has a node by another name than at, which nothing that has been sent takes away. Called with mu held.
func (n *Node) staysBut(at place) bool {
	return slices.ContainsFunc(n.serverNames(), func(other place) bool {
		return other != at && (other.there() == nil || !other.there().going)
	})
}

// mayMake refuses a creation, before it is sent, that would overwrite a file which the server still has at that name, because what was to
// take it away was refused: a file with other names, or that was to have another one, or that is still open here, as the bytes written
// through either handle would go into one file. Of a file that was closed it waits for the bytes that are still under way.
func (c *Cache) mayMake(ctx context.Context, at place) error {
	c.mu.Lock()
	s := at.there()
	if s == nil || s.node == nil {
		c.mu.Unlock()
		return nil
	}
	n, f := s.node, s.node.file
	kept := n.wanted() || len(n.serverNames()) > 1 || f != nil && len(f.handles) > 0
	written := !kept && f != nil && len(f.writing) > 0
	c.mu.Unlock()
	switch {
	case kept:
		return errors.New("a file that is open here, or has or was to have another name, was not taken away from there")
	case written:
		return f.data.Flushed(ctx)
	}
	return nil
}

// namesDone notes in the names of a change that the server has done it. Called with mu held.
func (c *Cache) namesDone(p *pending) {
	if !p.moves {
		for i, at := range p.names {
			c.stands(at, p.has[i])
		}
	} else if from, to := p.names[0].there(), p.names[1].there(); from.node != nil && from.node == to.node {
		from.refused, to.refused = true, true // two names of one file, as something was refused before: it has left both
	} else {
		to.refused = to.refused || from.refused
		c.stands(p.names[1], from.node)
		c.stands(p.names[0], nil)
	}
	c.endNames(p)
}

// namesRefused notes in the names of a change that it has failed with err. What the server has there is what it had before (nameThere.node),
// but for two refusals that tell more: of a removal, as nothing is there, and of a directory, as one is there. Called with mu held.
func (c *Cache) namesRefused(p *pending, err error) {
	for i, at := range p.names {
		n, s := p.has[i], at.there() // what the change was to leave there, and what is known of the server
		removes := n == nil && !p.moves
		bringsDir := n != nil && n.isDir() && (s.node == nil || s.node.isDir())
		switch {
		case removes && errors.Is(err, syscall.ENOENT):
			c.stands(at, nil)
		case bringsDir && errors.Is(err, syscall.EEXIST):
			// Most likely a directory is there, and what was made in this one meanwhile is to go into that.
			c.stands(at, n)
			c.distrust(n)
			n.dir.made = false
		}
		s.refused = true
	}
	c.endNames(p)
}

// endNames ends a change in its names. Where that was the last of a name, the tree tells again what is there. Called with mu held.
func (c *Cache) endNames(p *pending) {
	for i, at := range p.names {
		if n := p.has[i]; n != nil && n.making == at {
			n.making = place{}
		}
		s := at.there()
		s.going = false
		if s.changes--; s.changes > 0 {
			continue
		}
		n := s.node
		if n != nil {
			c.pin(n)
		}
		c.stands(at, nil)
		delete(at.dir.dir.there, at.name)
		if s.refused {
			c.settle(at, n)
		}
		if n != nil {
			c.unpin(n)
			c.reviveAtRest(n)
		}
		c.reviveAtRest(at.dir)
	}
}
