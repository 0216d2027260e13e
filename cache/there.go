package cache

import (
	"context"
	"errors"
	"slices"
	"syscall"
)

// With -o async the tree is what the server will have when it has done all changes, and it may refuse any of them. So of each name that
// changes are under way of it is kept what the server has there meanwhile. A change that is done brings that up to date; one that is
// refused leaves it as it is. When the last change of a name has ended, and one of them was refused, the tree takes over what is there.

// nameThere is what the server has at a name of which changes are under way. Guarded by Cache.mu.
type nameThere struct {
	node    *Node // pinned; nil for nothing, and for what nobody here knows
	changes int   // that have entered the tree and have not ended
	going   bool  // one that takes the name away from node has been sent
	refused bool  // one of them, or of the name that node was moved from, was refused: the tree may show something else
}

// there is that of a name; nil where no changes of it are under way.
func (p place) there() *nameThere { return p.dir.dir.there[p.name] }

// awaits says whether the server has still to give a node a name that it has here. Called with mu held.
func (n *Node) awaits(p place) bool {
	s := p.there()
	return s != nil && s.node != n
}

// serverNames are the names by which the server has a node. Called with mu held.
func (n *Node) serverNames() []place {
	settled := slices.DeleteFunc(n.names(), func(p place) bool { return p.there() != nil })
	return append(settled, n.there...)
}

// serverPlace is where the server has a node, or is to make it; no directory where it was refused. Called with mu held.
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

// stands notes what the server has at a name. Called with mu held.
func (c *Cache) stands(at place, n *Node) {
	s := at.there()
	if s.node == n {
		return
	}
	if had := s.node; had != nil {
		had.there = slices.DeleteFunc(had.there, func(p place) bool { return p == at })
		had.pins--
		c.retireIfUnheld(had)
	}
	s.node = n
	if n != nil {
		n.there = append(n.there, at)
		c.pin(n)
	}
}

// beginNames notes that a change of names is about to enter the tree, and gives what has the names until then. Called with mu held.
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

// namesEntered notes what a change has made of its names, which had was there before. Called with mu held.
func (c *Cache) namesEntered(p *pending, had []*Node) {
	for i, at := range p.names {
		n := c.child(at.dir, at.name)
		p.has = append(p.has, n)
		if h := had[i]; h != nil && h != n && !(p.moves && i == 0) {
			p.takes = at
		}
	}
}

// mayTake says whether a change that has its turn now may take away what the server has at a name: not the last name there of what was to
// live on by another one, which the server has refused. Names that are being taken away don't count.
func (c *Cache) mayTake(p *pending) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := p.takes
	if p.moves {
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

// wanted says whether nobody here has taken a node's last name away, though the server may have refused the one that it has here. Called with
// mu held.
func (n *Node) wanted() bool { return n.parent != nil || !n.removed }

// staysBut says whether the server has a node by another name than at, which nothing that has been sent takes away. Called with mu held.
func (n *Node) staysBut(at place) bool {
	return slices.ContainsFunc(n.serverNames(), func(other place) bool {
		return other != at && (other.there() == nil || !other.there().going)
	})
}

// mayMake says whether a creation that has its turn now may make use of the file that the server still has at its name, as that was not taken
// away: not of one that has other names, too, or was to have another one, and not of one that is open here, as what is written by either would
// go into both. What was written before the last who had it open has closed it is waited for.
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

// namesDone notes that the server has done a change. Called with mu held.
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

// namesRefused notes that a change has failed with err. Called with mu held.
func (c *Cache) namesRefused(p *pending, err error) {
	for i, at := range p.names {
		n, s := p.has[i], at.there()
		switch {
		case n == nil && !p.moves && errors.Is(err, syscall.ENOENT):
			c.stands(at, nil)
		case n != nil && n.isDir() && (s.node == nil || s.node.isDir()) && errors.Is(err, syscall.EEXIST):
			// Most likely a directory is there, and what was made in this one meanwhile is to go into that.
			c.stands(at, n)
			c.distrust(n)
			n.dir.made = false
		}
		s.refused = true
	}
	c.endNames(p)
}

// endNames ends a change in the names that it is about. Called with mu held.
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
			n.pins--
			c.retireIfUnheld(n)
		}
	}
}

// settle has the tree show at a name what the server has there: n, or nil where that is to be asked for. It may have handles with unsaved
// bytes, which find it by its name. Called with mu held.
func (c *Cache) settle(at place, n *Node) {
	had := c.child(at.dir, at.name)
	switch {
	case had == n:
		c.doubtName(at.dir, at.name)
		return
	case had != nil:
		c.forgetName(at.dir, at.name)
	}
	defer c.notifyName(at.dir.id, at.name)
	defer c.doubtName(at.dir, at.name)
	gone := c.path(at.dir) == "" && c.serverPath(at.dir) == "" // else its removal, which fails as well, brings it back
	if n == nil || c.nodes[n.id] != n || gone || at.dir.within(n) {
		return
	}
	if n.isDir() && n.parent != nil {
		was := place{n.parent, n.name}
		c.forgetName(was.dir, was.name)
		c.doubtName(was.dir, was.name)
		c.notifyName(was.dir.id, was.name)
	}
	n.removed = false
	if n.isDir() {
		c.moves++
		n.moved = c.moves
		c.dirMoves++
		c.distrust(n) // there may be more in it than is known here
	}
	c.giveName(n, at.dir, at.name)
	c.changed(n)
	c.nameAdded(at.dir, at.name, n)
}
