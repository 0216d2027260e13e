package cache

import (
	"syscall"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// takeNames enters one answer of the server. Called with mu held.
func (c *Cache) takeNames(dir *Node, l *listing, names []sftpconn.Entry) {
	until := c.now() + int64(c.timeout)
	before := l.ents.len()
	for _, e := range names {
		if checkName(e.Name) != 0 {
			continue
		}
		n, trusted := c.child(dir, e.Name), until
		if incomplete(e.Attr) {
			trusted = 0
		}
		if taken, changed := l.changedHere[e.Name]; changed {
			had := l.held(e.Name)
			switch {
			case had != nil:
				had.doubt = false
				continue
			case n != nil:
				l.add(e.Name, n, n.until)
				continue
			case taken:
				continue
			}
			trusted = 0 // its node is forgotten since: the name is there, and no more is known
		}
		if n != nil && dir.dir.list == l { // one that was found to be wrong on its way is still read, and tells of the names alone
			c.takeChild(dir, n, e)
		}
		if had := l.held(e.Name); had != nil {
			had.attr, had.until, had.gone, had.doubt = e.Attr, trusted, false, false
			continue
		}
		l.index[e.Name] = int32(l.ents.len())
		l.cost += entryCost + len(e.Name)
		l.ents.append(listEnt{name: e.Name, ino: c.inoFor(dir, e.Name), attr: e.Attr, until: trusted})
	}
	if dir.dir.list == l {
		c.listed += l.ents.len() - before
	}
	close(l.more)
	l.more = make(chan struct{})
}

// incomplete says that a listing leaves something out that a look-up may know, as that of a server which only tells names: a directory
// taken for a file, or a file for an empty one, would be worse than one more question.
func incomplete(a session.Attr) bool {
	kind := a.Mode & syscall.S_IFMT
	return a.Flags&session.HasMode == 0 || kind == 0 || a.Flags&session.HasTimes == 0 || kind == syscall.S_IFREG && a.Flags&session.HasSize == 0
}

// takeChild brings a node up to date with what a listing says of it. Called with mu held.
func (c *Cache) takeChild(dir *Node, n *Node, e sftpconn.Entry) {
	if incomplete(e.Attr) || n.mtimeUnknown() || n.sent > 0 || c.o.Async && c.queue.busy() {
		return // the listing may have crossed with a change of ours
	}
	if c.o.FollowSymlinks && e.Attr.Mode&syscall.S_IFMT == syscall.S_IFLNK {
		return
	}
	if !sameType(n, e.Attr) || n.anotherAt(e.Attr) {
		c.unname(n, dir, e.Name)
		n.gen++
		c.retireIfUnheld(n)
		c.notifyName(dir.id, e.Name)
		return
	}
	if n.inQuestion(e.Attr) != nil {
		n.expire() // what is open may be another file: a look-up finds that out
		return
	}
	link := n.link
	if signatureOf(n.attr) != signatureOf(e.Attr) || link != nil && link.racy {
		link = nil // made anew: it may lead elsewhere
	}
	c.keepAttr(n, e.Attr)
	n.shown = true
	c.nameTold(n, place{dir, e.Name})
	n.link = link
}

// inoFor is the inode number of a name new in a listing: the one it had, or the next. Called with mu held.
func (c *Cache) inoFor(dir *Node, name string) uint64 {
	if n := c.child(dir, name); n != nil {
		return n.id
	}
	if id, ok := dir.dir.order[name]; ok && c.nodes[id] == nil {
		return id
	}
	return c.newID()
}

// forgetMissing drops the nodes that a whole new listing does not have and that are not trusted any more either: others may have got
// their names while it was on its way. Called with mu held.
func (c *Cache) forgetMissing(dir *Node, l *listing) {
	var gone []string
	for name, n := range dir.dir.children {
		if l.named(name) == nil && n.nameUntil(place{dir, name}) < l.until-int64(c.timeout) {
			gone = append(gone, name)
		}
	}
	for _, name := range gone {
		c.forgetName(dir, name)
		c.notifyName(dir.id, name)
	}
	dir.dir.missing = nil
}
