package cache

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"sshmount/sftpconn"
)

// startListing begins to fetch a directory's listing in the background. Called with mu held.
func (c *Cache) startListing(dir *Node) *listing {
	d := dir.dir
	order := d.order
	if d.list != nil && d.list.ents.len() > 0 {
		order = make(map[string]uint64, d.list.ents.len())
		for _, e := range d.list.ents.all() {
			order[e.name] = e.ino
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
	c.wg.Go(func() {
		c.fetchListing(c.ctx, dir, l)
	})
	return l
}

// errStrayed ends the fetch of a listing during which the directory was moved; it begins again.
var errStrayed = errors.New("directory was moved while it was listed")

// errUnwanted ends the fetch of a listing that nobody reads and that is too long to be kept: a server may go on for ever. What other listings
// hold counts too, because many may be on their way.
var errUnwanted = errors.New("directory has too many names to be listed for nobody")

// errVanished ends the fetch of a listing that was interrupted, where the server then lists nothing of what it has listed before: it may
// have been started a moment ago, and the file system with the directory not be mounted yet. To end the listing there would tell
// readers that the names which they have not read yet were removed.
var errVanished = errors.New("nothing is in the directory any more of what was there before the listing was interrupted")

// fetchListing reads a directory into l. Its requests wait for the line for as long as it takes: those
// who wait for the listing have limits of their own.
//
// OpenSSH looks up the attributes of each name below the path by which the directory was opened. Where that path leads elsewhere by then,
// they are of another directory, or there are none. So a fetch with which a rename has crossed begins again.
func (c *Cache) fetchListing(ctx context.Context, dir *Node, l *listing) {
	err := errStrayed
	for again := false; errors.Is(err, errStrayed); again = true {
		if again {
			var end func()
			ctx, end = c.insist(ctx)
			defer end()
		}
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
		c.endGuess(l) // to begin again it may have to wait for changes
		c.mu.Unlock()
	}
	c.mu.Lock()
	c.finishListing(dir, l, err)
	c.mu.Unlock()
}

// listAt is fetchListing by the path p, which is dir's as long as nothing was moved since the rename that since tells of (lastMove).
func (c *Cache) listAt(ctx context.Context, dir *Node, l *listing, p string, since uint64) error {
	take := func(names []sftpconn.Entry, restart bool) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.strayed(ctx, dir, since, p, true) {
			return errStrayed
		}
		if restart {
			l.restart()
		}
		c.takeNames(dir, l, names)
		if l.cost > listingMost {
			return fmt.Errorf("the server lists more names than fit into %d MiB", listingMost>>20)
		}
		if l.users > 0 {
			return nil
		}
		c.trimListings()
		if l.ents.len() > maxListed || c.listed > maxListed {
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
	if failure(err) && c.isAskedFor(l) && c.dropGuesses(ctx, asked) ||
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
		err = withErrno("list", p, err)
	}
	absent := errors.Is(err, syscall.ENOENT)
	if err != nil && !absent {
		return err
	}
	c.mu.Lock()
	strayed := c.strayed(ctx, dir, since, p, true)
	vanished := l.vanished()
	c.mu.Unlock()
	switch {
	case strayed:
		return errStrayed
	case absent:
		c.notThere(ctx, dir, p)
	case vanished:
		return fail("list", p, syscall.ESTALE, errVanished)
	}
	return err
}

// isRead says whether a program reads a listing now.
func (c *Cache) isRead(l *listing) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return l.users > 0
}

// isAskedFor says whether a program has asked for a listing. One that was begun before anybody asked counts as asked for as soon as a program
// reads it.
func (c *Cache) isAskedFor(l *listing) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.users > 0 {
		c.endEarly(l)
	}
	return !l.early
}

// endEarly no longer counts a listing as one that was begun before anybody asked. Called with mu held.
func (c *Cache) endEarly(l *listing) {
	if l.early {
		l.early = false
		c.walk.underWay--
	}
	c.endGuess(l)
}

// endGuess no longer counts the request for a listing as one that no program waits for. Called with mu held.
func (c *Cache) endGuess(l *listing) {
	if l.guess {
		l.guess = false
		c.guess.end(c.now())
	}
}

// finishListing ends a fetch. Called with mu held.
func (c *Cache) finishListing(dir *Node, l *listing, err error) {
	l.resolve()
	l.done, l.err, l.changedHere = true, err, nil
	dir.dir.walk.notAhead = errors.Is(err, sftpconn.ErrEndsSession) || errors.Is(err, errUnwanted) || errors.Is(err, syscall.EACCES)
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
	c.unpin(dir)
	c.endEarly(l)
	c.walkListed(dir)
	c.scanListed()
}

// restart prepares for a fetch that begins again, as the line broke or a rename has crossed with it. Names that may have been handed out keep
// their places. Readers who come to one wait until the server has named it again, or the listing ends. Called with mu held.
func (l *listing) restart() {
	for _, e := range l.ents.all() {
		if _, changed := l.changedHere[e.name]; !e.gone && !changed {
			e.doubt = true
		}
	}
}

// vanished says whether a listing that has begun again has found nothing of what it had found before. Called with mu held.
func (l *listing) vanished() bool {
	doubt := false
	for _, e := range l.ents.all() {
		_, changed := l.changedHere[e.name]
		switch {
		case e.doubt:
			doubt = true
		case !e.gone && !changed:
			return false // the server has named it
		}
	}
	return doubt
}

// resolve ends the doubt of restart: names that did not come again are gone. Called with mu held.
func (l *listing) resolve() {
	for _, e := range l.ents.all() {
		if e.doubt {
			e.doubt, e.gone = false, true
		}
	}
}
