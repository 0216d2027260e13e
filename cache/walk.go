package cache

import (
	"slices"
	"syscall"
	"time"
)

const (
	walkBegins   = 2                      // so many listed children of one directory make a walk,
	walkWithin   = 10 * time.Second       // if each comes within this after the one before;
	walkDeep     = 2                      // so do so many levels that a program goes down, listing each at once,
	walkAtOnce   = 300 * time.Millisecond // within this after the one above: faster than people are
	walkWindow   = 32                     // listings ahead of the program at the beginning; each that is used doubles it,
	walkMost     = 256                    // up to this
	walkUnderWay = 32                     // listings fetched at a time
	walkSteps    = 256                    // subdirectories looked at in one hold of the lock
)

// walk fetches the listings that a program will ask for next that walks a tree. When two children of one directory have been listed, or had
// so many names looked up that their listings were fetched, the listings of the other children are fetched, and then of what is in them,
// breadth first. So they are when a program lists a directory, one in it and one in that, each at once (walkAtOnce). A listing that is
// fetched in vain costs its request, and is forgotten like any other. Guarded by Cache.mu.
type walk struct {
	run       uint64     // the number of the walk; 0: there was none
	last      int64      // when it was last seen to go on (Cache.now)
	window    int        // listings that may be ahead of the program
	unused    int        // listings of this walk that nobody has used yet
	underWay  int        // listings that are on their way before anybody has asked, of this walk and of those before
	byLookups int64      // when a listing was last fetched because of look-ups (Cache.now); 0: never
	byName    bool       // the program goes by the order of names, not by that of the listings
	queue     []*walkDir // directories whose subdirectories are to be listed
}

// walkDir is a directory whose subdirectories are to be listed.
type walkDir struct {
	n    *Node    // pinned
	subs []string // the names of those still to be listed, in the order in which the program is thought to come to them
}

// dirWalk is how a program has gone through one directory and its subdirectories. Times are as of Cache.now. Guarded by Cache.mu.
type dirWalk struct {
	children  int    // subdirectories that were listed one after the other
	at        int64  // when the last of them was
	to        string // the subdirectory at which the walk was noticed
	countedAt int64  // when it was last counted among its parent's children; 0: never
	deep      int    // how many levels above it a program has listed, each at once
	fetchedBy uint64 // the walk (walk.run) that fetched the listing before anybody asked; 0 once somebody has
	notAhead  bool   // it is not to be listed ahead: the last listing ended the session, was refused, or was too long to be kept
}

// noteWalked notes that a program lists a directory, or, with byName, looks up so many names in it that the listing is fetched.
// Called with mu held.
func (c *Cache) noteWalked(n *Node, byName bool) {
	if !c.mayGuess() {
		return
	}
	c.walkUsed(n)
	p := n.parent
	if p == nil {
		return
	}
	now := c.now()
	var from []place // directories whose subdirectories are to be listed, each with the name of the one where the program is
	count := func(at *Node) {
		if at.parent.countWalked(at, now) {
			from = append(from, place{at.parent, at.name})
		}
	}
	count(n)
	if byName {
		// A program that looks names up comes to directories only on the way to files, which may be deep in the tree.
		for at := p; at.parent != nil && at.dir.walk.children == 1; at = at.parent {
			count(at)
		}
	}
	n.dir.walk.deep = 0
	if !byName {
		from = append(from, c.countDeep(n, now)...)
	}
	if len(from) == 0 && p.dir.walk.children < walkBegins {
		return
	}
	w := &c.walk
	if w.run == 0 || now-w.last > int64(walkWithin) {
		c.walkReset()
	}
	w.last, w.byName = now, byName
	for _, at := range from {
		at.dir.dir.walk.to = at.name
		c.walkFrom(at.dir)
	}
	c.walkPump()
}

// countDeep counts the levels by which a program has come down to n, listing each at once. Where they make a walk it returns the directories
// on the way that are not walked through yet, each with the name by which the program has gone on. Called with mu held.
func (c *Cache) countDeep(n *Node, now int64) (from []place) {
	p := n.parent
	if l := p.dir.list; l != nil && l.whole() && now-(l.until-int64(c.timeout)) < int64(walkAtOnce) {
		n.dir.walk.deep = p.dir.walk.deep + 1
	}
	if n.dir.walk.deep < walkDeep {
		return nil
	}
	// After a rename there may be fewer levels than were counted.
	for at, i := n, 0; i < n.dir.walk.deep && at.parent != nil; at, i = at.parent, i+1 {
		if dir := at.parent; dir.dir.walk.children < walkBegins {
			dir.dir.walk.children, dir.dir.walk.at = walkBegins, now
			from = append(from, place{dir, at.name})
		}
	}
	return from
}

// countWalked counts a child of n that a program walks through, once, and says whether that makes it a walk. Called with mu held.
func (n *Node) countWalked(child *Node, now int64) bool {
	d := &n.dir.walk
	if now-d.at > int64(walkWithin) {
		d.children = 0
	}
	if d.children > 0 && child.dir.walk.countedAt > 0 && now-child.dir.walk.countedAt < int64(walkWithin) {
		return false
	}
	child.dir.walk.countedAt = now
	d.children++
	d.at = now
	return d.children == walkBegins
}

// walkReset begins a new walk; what the last one has fetched in vain counts no longer. Called with mu held.
func (c *Cache) walkReset() {
	w := &c.walk
	for _, d := range w.queue {
		c.unpin(d.n)
	}
	*w = walk{run: w.run + 1, last: c.now(), window: walkWindow, underWay: w.underWay, byLookups: w.byLookups}
}

// walkUsed notes that a program uses a directory's listing. Where the walk has fetched it, the window grows. Called with mu held.
func (c *Cache) walkUsed(n *Node) {
	w := &c.walk
	if n.dir.walk.fetchedBy == 0 {
		return
	}
	if n.dir.walk.fetchedBy == w.run {
		w.unused--
		w.window = min(w.window*2, walkMost)
		w.last = c.now()
	}
	n.dir.walk.fetchedBy = 0
	c.walkPump()
}

// walkFrom has the subdirectories of n listed; first n itself, where a program that only looks names up has not asked for that.
// Called with mu held.
func (c *Cache) walkFrom(n *Node) {
	switch {
	case c.unlisted(n):
		c.fetchAhead(n) // and walkListed goes on
	case n.dir.list != nil && n.dir.list.done:
		c.walkAdd(n)
	}
}

// walkAdd queues a directory, whose listing is there, to have its subdirectories listed: first those behind the one at which the walk was
// noticed. Called with mu held.
func (c *Cache) walkAdd(n *Node) {
	l := n.dir.list
	d := &walkDir{n: n}
	for _, e := range l.ents.all() {
		if !e.gone && e.attr.Mode&syscall.S_IFMT == syscall.S_IFDIR {
			d.subs = append(d.subs, e.name)
		}
	}
	if c.walk.byName {
		slices.Sort(d.subs)
	}
	if i := slices.Index(d.subs, n.dir.walk.to); i >= 0 {
		d.subs = append(d.subs[i+1:len(d.subs):len(d.subs)], d.subs[:i]...)
	}
	if len(d.subs) > 0 {
		c.pin(n)
		c.walk.queue = append(c.walk.queue, d)
	}
}

// walkListed goes on with the walk in a directory that has been listed. Called with mu held.
func (c *Cache) walkListed(n *Node) {
	w := &c.walk
	if w.run == 0 || c.now()-w.last > int64(walkWithin) || n.dir.list == nil {
		return
	}
	if n.dir.walk.fetchedBy == w.run || n.dir.walk.children >= walkBegins || n.parent != nil && n.parent.dir.walk.children >= walkBegins {
		c.walkAdd(n)
	}
	c.walkPump()
}

// walkPump fetches the listings that come next, as far as the window allows. Called with mu held.
func (c *Cache) walkPump() {
	w := &c.walk
	steps := 0
	for len(w.queue) > 0 && c.mayGuess() {
		d := w.queue[0]
		for ; len(d.subs) > 0; steps++ {
			if w.underWay >= walkUnderWay || w.unused >= w.window || steps >= walkSteps {
				return
			}
			sub, _, state := c.peek(d.n, d.subs[0])
			d.subs = d.subs[1:]
			switch {
			case state != present || !sub.isDir():
			case c.unlisted(sub):
				c.fetchAhead(sub)
			case sub.dir.list != nil && sub.dir.list.done:
				c.walkAdd(sub)
			}
		}
		w.queue[0] = nil
		w.queue = w.queue[1:]
		c.unpin(d.n)
	}
}

// unlisted says whether a directory's listing may be fetched ahead, and is neither known nor on its way. Called with mu held.
func (c *Cache) unlisted(n *Node) bool {
	l := n.dir.list
	return !n.dir.walk.notAhead && (l == nil || l.done && l.until <= c.now())
}

// fetchAhead fetches a listing that nobody has asked for. Called with mu held.
func (c *Cache) fetchAhead(n *Node) {
	c.walk.underWay++
	c.walk.unused++
	c.startListing(n).early = true
	n.dir.walk.fetchedBy = c.walk.run
}
