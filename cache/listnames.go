package cache

import (
	"syscall"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// takeNames enters the names in one answer of the server. Called with mu held.
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
			trusted = 0 // its node was forgotten since: the name is there, and no more is known
		}
		if n != nil && dir.dir.list == l { // a listing that was dropped on its way is read on for its names alone
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

// incomplete says whether attributes in a listing lack something that a look-up may tell; some servers list names alone. One more question is
// better than a directory that is taken for a file, or a file that is taken for an empty one.
func incomplete(a session.Attr) bool {
	kind := a.Mode & syscall.S_IFMT
	return a.Flags&session.HasMode == 0 || kind == 0 || a.Flags&session.HasTimes == 0 || kind == syscall.S_IFREG && a.Flags&session.HasSize == 0
}

// takeChild brings a node up to date with the entry e of a listing. Called with mu held.
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
		n.expire() // the name may be another file's than the one that is open: a look-up finds out
		return
	}
	link := n.link
	if signatureOf(n.attr) != signatureOf(e.Attr) || link != nil && link.racy {
		link = nil // the link may have been made anew, and lead elsewhere
	}
	c.keepAttr(n, e.Attr)
	n.shown = true
	c.nameTold(n, place{dir, e.Name})
	n.link = link
}

// inoFor is the inode number for a name that is new in a listing: the one that it had before, or the next. Called with mu held.
func (c *Cache) inoFor(dir *Node, name string) uint64 {
	if n := c.child(dir, name); n != nil {
		return n.id
	}
	if id, ok := dir.dir.order[name]; ok && c.nodes[id] == nil {
		return id
	}
	return c.newID()
}

// forgetMissing takes away the names that a whole new listing does not have and that are not trusted any more. One that is still trusted
// stays: others may have made it while the listing was on its way. Called with mu held.
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
