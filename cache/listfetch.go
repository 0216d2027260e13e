package cache

import (
	"context"
	"errors"
	"syscall"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// startListing begins to fetch a directory's listing in the background. Called with mu held.
func (c *Cache) startListing(dir *Node) *listing {
	d := dir.dir
	order := d.order
	if d.list != nil && len(d.list.ents) > 0 {
		order = make(map[string]uint64, len(d.list.ents))
		for i := range d.list.ents {
			order[d.list.ents[i].name] = d.list.ents[i].ino
		}
	}
	l := &listing{index: map[string]int32{}, more: make(chan struct{}), changedHere: map[string]bool{}}
	c.setListing(dir, l)
	d.order = order
	c.pin(dir)
	if c.closed {
		c.finishListing(dir, l, fail("list", "", syscall.EIO, nil))
		return l
	}
	c.wg.Add(1)
	go func() {
		defer c.wg.Done()
		c.fetchListing(c.ctx, dir, l)
	}()
	return l
}

// errStrayed ends a listing under which the directory was moved.
var errStrayed = errors.New("directory was moved while it was listed")

// errUnwanted ends a listing that nobody reads and that is too long to be kept: a server may go on for ever.
var errUnwanted = errors.New("directory has too many names to be listed for nobody")

// fetchListing reads a directory into l. Its request waits for the line as long as it takes: those
// who wait for the listing have their own limits.
//
// OpenSSH looks each name up below the path by which the directory was opened: where that leads elsewhere by then, what
// comes is of another directory, or nothing. So a listing with which a rename has crossed begins again.
func (c *Cache) fetchListing(ctx context.Context, dir *Node, l *listing) {
	err := errStrayed
	for again := false; errors.Is(err, errStrayed); again = true {
		var p string
		if p, err = c.pathWait(ctx, dir); err != nil {
			break
		}
		if err = c.queue.waitIn(ctx, p); err != nil {
			break
		}
		c.mu.Lock()
		if c.path(dir) != p {
			c.mu.Unlock()
			err = errStrayed // while it waited
			continue
		}
		if l.early && !l.guess {
			l.guess = true
			c.guess.begin()
		}
		since := c.lastMove(dir)
		if again {
			l.restart()
		}
		c.mu.Unlock()
		err = c.listAt(ctx, dir, l, p, since)
		c.mu.Lock()
		c.notGuessed(l) // to begin again it waits for changes
		c.mu.Unlock()
	}
	c.mu.Lock()
	c.finishListing(dir, l, err)
	c.mu.Unlock()
}

// listAt is fetchListing by the path p, which is dir's if nothing was moved since.
func (c *Cache) listAt(ctx context.Context, dir *Node, l *listing, p string, since uint64) error {
	take := func(names []sftpconn.Entry, restart bool) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.strayed(dir, since, p, true) {
			return errStrayed
		}
		if restart {
			l.restart()
		}
		c.takeNames(dir, l, names)
		if l.users == 0 && len(l.ents) > maxListed {
			if dir.dir.list == l {
				c.dropListing(dir) // so that nobody comes to one that ends here
			}
			return errUnwanted
		}
		return nil
	}
	asked, asking := c.now(), ctx
	if !c.isRead(l) {
		asking = sftpconn.Guess(ctx)
	}
	err := c.conn.List(asking, p, take)
	if failure(err) && c.noGuess(l) && c.dropGuesses(ctx, asked) ||
		errors.Is(err, sftpconn.ErrEndsSession) && asking != ctx && c.isRead(l) {
		c.mu.Lock()
		l.restart()
		c.mu.Unlock()
		err = c.conn.List(ctx, p, take)
	}
	if errors.Is(err, errStrayed) {
		return err
	}
	if err != nil {
		err = c.errno(ctx, "list", p, err)
	}
	absent := errors.Is(err, syscall.ENOENT)
	if err != nil && !absent {
		return err
	}
	c.mu.Lock()
	strayed := c.strayed(dir, since, p, true)
	c.mu.Unlock()
	if strayed {
		return errStrayed
	}
	if absent {
		c.notThere(dir, p)
	}
	return err
}

// isRead says whether a program reads a listing.
func (c *Cache) isRead(l *listing) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return l.users > 0
}

// noGuess says whether a program waits for a listing, which then counts as asked for by it.
func (c *Cache) noGuess(l *listing) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.users > 0 {
		c.notEarly(l)
	}
	return !l.early
}

// notEarly ends the counting of a listing that was begun before anybody asked. Called with mu held.
func (c *Cache) notEarly(l *listing) {
	if l.early {
		l.early = false
		c.walk.underWay--
	}
	c.notGuessed(l)
}

// notGuessed ends the counting of a request that no program waits for. Called with mu held.
func (c *Cache) notGuessed(l *listing) {
	if l.guess {
		l.guess = false
		c.guess.end(c.now())
	}
}

// finishListing ends a fetch. Called with mu held.
func (c *Cache) finishListing(dir *Node, l *listing, err error) {
	l.resolve()
	l.done, l.err, l.changedHere = true, err, nil
	dir.dir.notAhead = errors.Is(err, sftpconn.ErrEndsSession) || errors.Is(err, errUnwanted) || errors.Is(err, syscall.EACCES)
	if c.timeout > 0 {
		l.until = c.now() + int64(c.timeout)
	}
	close(l.more)
	if err != nil && dir.dir.list == l {
		c.dropListing(dir)
	}
	if err == nil && dir.dir.list == l {
		c.forgetMissing(dir, l)
		dir.dir.order = nil
	}
	c.trimListings()
	dir.pins--
	c.retireIfUnheld(dir)
	c.notEarly(l)
	c.walkListed(dir)
	c.scanListed()
}

// restart begins a fetch again, after the line broke or a rename crossed with it: names already handed out keep their places, and
// readers who come to one wait until the server has named it again, or the listing ends. Called with mu held.
func (l *listing) restart() {
	for i := range l.ents {
		e := &l.ents[i]
		if _, changed := l.changedHere[e.name]; !e.gone && !changed {
			e.doubt = true
		}
	}
}

// resolve takes the names out that did not come again. Called with mu held.
func (l *listing) resolve() {
	for i := range l.ents {
		if e := &l.ents[i]; e.doubt {
			e.doubt, e.gone = false, true
		}
	}
}

// takeNames enters one answer of the server. Called with mu held.
func (c *Cache) takeNames(dir *Node, l *listing, names []sftpconn.Entry) {
	until := c.now() + int64(c.timeout)
	before := len(l.ents)
	for _, e := range names {
		if checkName(e.Name) != 0 {
			continue
		}
		n, trusted := c.child(dir, e.Name), until
		if incomplete(e.Attr) {
			trusted = 0
		}
		if taken, changed := l.changedHere[e.Name]; changed {
			i, ok := l.index[e.Name]
			switch {
			case ok:
				l.ents[i].doubt = false
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
		if i, ok := l.index[e.Name]; ok {
			l.ents[i].attr, l.ents[i].until, l.ents[i].gone, l.ents[i].doubt = e.Attr, trusted, false, false
			continue
		}
		l.index[e.Name] = int32(len(l.ents))
		l.ents = append(l.ents, listEnt{name: e.Name, ino: c.inoFor(dir, e.Name), attr: e.Attr, until: trusted})
	}
	if dir.dir.list == l {
		c.listed += len(l.ents) - before
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
	link := n.link
	if n.attr.Size != e.Attr.Size || n.attr.Mtime != e.Attr.Mtime {
		link = nil // made anew: it may lead elsewhere
	}
	c.keepAttr(n, e.Attr)
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

// forgetMissing drops nodes that a whole new listing no longer has. Called with mu held.
func (c *Cache) forgetMissing(dir *Node, l *listing) {
	var gone []string
	for name, n := range dir.dir.children {
		if i, ok := l.index[name]; (!ok || l.ents[i].gone) && n.until < l.until-int64(c.timeout) {
			gone = append(gone, name)
		}
	}
	for _, name := range gone {
		c.forgetName(dir, name)
		c.notifyName(dir.id, name)
	}
	dir.dir.missing = nil
}
