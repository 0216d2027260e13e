package cache

import "time"

const (
	walkBegins   = 2                      // so many listed children of one directory make a walk,
	walkWithin   = 10 * time.Second       // if each comes within this after the one before;
	walkDeep     = 2                      // so do so many levels that a program goes down, listing each at once,
	walkAtOnce   = 300 * time.Millisecond // within this after the one above: faster than people are
	walkWindow   = 32                     // listings ahead of the program at the beginning; each that is used doubles it,
	walkMost     = 256                    // up to this
	walkUnused   = 1024                   // listings that wait for the program anywhere in the tree
	walkUnderWay = 32                     // listings fetched at a time
	walkSkips    = 2 * time.Second        // listings that nobody has used for so long are not in the way of others
	walkSteps    = 256                    // subdirectories looked at in one hold of the lock
)

// walk fetches the listings that a program will ask for next that walks a tree. When two children of one directory have been listed, or had
// so many names looked up that their listings were fetched, the listings of the other children are fetched, and then of what is in them
// (walkqueue.go). So they are when a program lists a directory, one in it and one in that, each at once (walkAtOnce). A listing that is
// fetched in vain costs its request, and is forgotten like any other. Guarded by Cache.mu.
type walk struct {
	run       uint64     // the number of the walk; 0: there was none
	last      int64      // when it was last seen to go on (Cache.now)
	window    int        // listings that may lie between the program and one that is fetched
	unused    int        // listings of this walk that nobody has used yet
	underWay  int        // listings that are on their way before anybody has asked, of this walk and of those before
	byLookups int64      // when a listing was last fetched because of look-ups (Cache.now); 0: never
	byName    bool       // the program goes by the order of names, not by that of the listings, as far as can be told
	queue     []*walkDir // directories whose subdirectories are listed ahead, in the order in which the program is thought to need them
}

// walkDir is a directory whose subdirectories are listed ahead.
type walkDir struct {
	n       *Node    // pinned
	subs    []string // the names of those still to be listed, in the order in which the program is thought to come to them
	unused  int      // listings of those that were fetched, and that nobody has used yet
	at      int64    // when the last of these was fetched or used (Cache.now)
	againAt int64    // when it was last listed again for the walk (Cache.now); 0: never
}

// dirWalk is how a program has gone through one directory and its subdirectories. Times are as of Cache.now. Guarded by Cache.mu.
type dirWalk struct {
	children  int      // subdirectories that were listed one after the other
	at        int64    // when the last of them was
	last      string   // the name of the last of them
	countedAt int64    // when it was last counted among its parent's children; 0: never
	deep      int      // how many levels above it a program has listed, each at once
	fetchedBy uint64   // the walk (walk.run) that fetched the listing before anybody asked; 0 once somebody has
	fetched   *walkDir // where that walk counts the listing; nil: nowhere
	queued    *walkDir // its place in walk.queue; nil: none
	notAhead  bool     // it is not to be listed ahead: the last listing ended the session, was refused, or was too long to be kept
}

// noteWalked notes that a program lists a directory, or, with byName, looks up so many names in it that the listing is fetched.
// Called with mu held.
func (c *Cache) noteWalked(n *Node, byName bool) {
	if !c.mayGuess() {
		return
	}
	missed := n.dir.walk.fetchedBy == 0 && n.dir.list != nil && !n.dir.list.done // the program has to wait for it
	c.walkUsed(n)
	p := n.parent
	if p == nil {
		return
	}
	now := c.now()
	var from []*Node // directories whose subdirectories are to be listed
	count := func(at *Node) {
		if c.countWalked(at, now) {
			from = append(from, at.parent)
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
	if missed && p.dir.walk.children >= walkBegins && now-p.dir.walk.at < int64(walkWithin) {
		from = append(from, p) // those beside it, which were known before, may have come to the end of their time as well
	}
	w := &c.walk
	if w.run == 0 || now-w.last > int64(walkWithin) {
		c.walkReset()
	}
	w.last = now
	if byName {
		c.walkBy(true)
	}
	for _, dir := range from { // the nearest comes first
		c.walkFrom(dir)
	}
	c.walkPump()
}

// countDeep counts the levels by which a program has come down to n, listing each at once. Where they make a walk it returns the directories
// on the way that are not walked through yet. Called with mu held.
func (c *Cache) countDeep(n *Node, now int64) (from []*Node) {
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
			dir.dir.walk.children, dir.dir.walk.at, dir.dir.walk.last = walkBegins, now, at.name
			from = append(from, dir)
		}
	}
	return from
}

// countWalked counts a directory among the children of its parent that a program walks through, once, and says whether that makes it a walk.
// Called with mu held.
func (c *Cache) countWalked(n *Node, now int64) bool {
	d := &n.parent.dir.walk
	if now-d.at > int64(walkWithin) {
		d.children = 0
	}
	if d.children > 0 && n.dir.walk.countedAt > 0 && now-n.dir.walk.countedAt < int64(walkWithin) {
		return false
	}
	if d.children == 1 {
		c.walkOrder(n.parent, d.last, n.name)
	}
	n.dir.walk.countedAt = now
	d.children++
	d.at, d.last = now, n.name
	return d.children == walkBegins
}

// walkOrder looks whether a program that has gone from one subdirectory to another goes by the order of names or by that of the listing.
// Called with mu held.
func (c *Cache) walkOrder(dir *Node, from, to string) {
	l := dir.dir.list
	if l == nil || !l.whole() {
		return
	}
	listed, named := "", "" // what comes next by each order
	met := false
	for _, e := range l.ents.all() {
		if e.gone || !e.isDir() {
			continue
		}
		if met && listed == "" {
			listed = e.name
		}
		met = met || e.name == from
		if e.name > from && (named == "" || e.name < named) {
			named = e.name
		}
	}
	if byName := to == named; byName != (to == listed) {
		c.walkBy(byName)
	}
}
