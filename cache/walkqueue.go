package cache

import (
	"slices"
)

// Programs that walk a tree go through a directory with all that is below it before they come to the next one beside it. So the queue of a
// walk is in that order: what is below a directory comes before what is left of its parent. As answers take a round trip, many directories
// are listed at a time, also far from the program; but those near it go first, and what was fetched far away does not keep them waiting:
// only the listings that the program will use before one count against the window for it.

// walkReset begins a new walk; what the last one has fetched in vain counts no longer. Called with mu held.
func (c *Cache) walkReset() {
	w := &c.walk
	for _, d := range w.queue {
		c.walkDrop(d)
	}
	*w = walk{run: w.run + 1, last: c.now(), window: walkWindow, underWay: w.underWay, byLookups: w.byLookups, byName: w.byName}
}

// walkDrop lets a directory go that was taken out of the queue. Called with mu held.
func (c *Cache) walkDrop(d *walkDir) {
	d.n.dir.walk.queued = nil
	c.unpin(d.n)
}

// walkUsed notes that a program uses a directory's listing. Where the walk has fetched it, the window grows, and what is below it is next.
// Called with mu held.
func (c *Cache) walkUsed(n *Node) {
	w := &c.walk
	by := n.dir.walk.fetchedBy
	if by == 0 {
		return
	}
	c.walkUncount(n)
	if by == w.run {
		w.window = min(w.window*2, walkMost)
		w.last = c.now()
		if d := n.dir.walk.queued; d != nil && w.queue[0] != d {
			i := slices.Index(w.queue, d)
			copy(w.queue[1:], w.queue[:i])
			w.queue[0] = d
		}
	}
	c.walkPump()
}

// walkUncount no longer counts a listing as one that was fetched before anybody asked. Called with mu held.
func (c *Cache) walkUncount(n *Node) {
	at := &n.dir.walk
	if at.fetchedBy != 0 && at.fetchedBy == c.walk.run {
		c.walk.unused--
		if d := at.fetched; d != nil {
			d.unused--
			d.at = c.now()
		}
	}
	at.fetchedBy, at.fetched = 0, nil
}

// walkFrom has the subdirectories of n listed; first n itself, where a program that only looks names up has not asked for that.
// Called with mu held.
func (c *Cache) walkFrom(n *Node) {
	switch {
	case c.unlisted(n):
		c.fetchAhead(n, nil) // and walkListed goes on
	case n.dir.list != nil && n.dir.list.done:
		c.walkAdd(n)
	}
}

// walkAdd queues a directory, whose listing is there, to have its subdirectories listed. Called with mu held.
func (c *Cache) walkAdd(n *Node) {
	c.walkAddAt(n, c.walkPlace(n))
}

// walkAddAt is walkAdd with the place in the queue. Called with mu held.
func (c *Cache) walkAddAt(n *Node, place int) {
	if n.dir.walk.queued != nil {
		return
	}
	if subs := c.walkSubs(n); len(subs) > 0 {
		c.pin(n)
		d := &walkDir{n: n, subs: subs}
		n.dir.walk.queued = d
		c.walk.queue = slices.Insert(c.walk.queue, place, d)
	}
}

// walkSubs are the names of a directory's subdirectories in the order in which the program is thought to come to them: first those behind the
// one that it has listed last. Called with mu held.
func (c *Cache) walkSubs(n *Node) (subs []string) {
	for _, e := range n.dir.list.ents.all() {
		if !e.gone && e.isDir() {
			subs = append(subs, e.name)
		}
	}
	if c.walk.byName {
		slices.Sort(subs)
	}
	at := &n.dir.walk
	if i := slices.Index(subs, at.last); i >= 0 && c.now()-at.at <= int64(walkWithin) {
		subs = append(subs[i+1:len(subs):len(subs)], subs[:i+1]...)
	}
	return subs
}

// walkBy has the directories listed ahead by the order of names, or by that of the listings. Called with mu held.
func (c *Cache) walkBy(byName bool) {
	if c.walk.byName == byName {
		return
	}
	c.walk.byName = byName
	for _, d := range c.walk.queue {
		if d.n.dir.list == nil {
			continue
		}
		left := make(map[string]bool, len(d.subs))
		for _, name := range d.subs {
			left[name] = true
		}
		d.subs = slices.DeleteFunc(c.walkSubs(d.n), func(name string) bool { return !left[name] })
	}
}

// walkPlace is where in the queue a directory belongs: behind what is below it; else, where it was listed for a program, in front, as the
// program is there; else before the nearest directory that it is below of. Called with mu held.
func (c *Cache) walkPlace(n *Node) int {
	queue := c.walk.queue
	for i := len(queue) - 1; i >= 0; i-- {
		if queue[i].n.within(n) {
			return i + 1
		}
	}
	if n.dir.walk.fetchedBy == 0 {
		return 0
	}
	for at := n.parent; at != nil; at = at.parent {
		if d := at.dir.walk.queued; d != nil {
			return slices.Index(queue, d)
		}
	}
	return len(queue)
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
	before := 0 // listings that the program will use before those that are looked at
	for i := 0; i < len(w.queue) && c.mayGuess(); {
		d := c.walkSkipped(i)
		added := false
		for ; len(d.subs) > 0 && !added; steps++ {
			ahead := before + d.unused
			if w.underWay >= walkUnderWay || ahead >= w.window || ahead >= walkWindow && w.unused >= walkUnused || steps >= walkSteps {
				return
			}
			sub, _, state := c.peek(d.n, d.subs[0])
			if state == unknown && c.walkAgain(d) {
				return
			}
			d.subs = d.subs[1:]
			switch {
			case state != present || !sub.isDir():
			case c.unlisted(sub):
				c.fetchAhead(sub, d)
			case sub.dir.list != nil && sub.dir.list.done:
				c.walkAddAt(sub, i)
				added = w.queue[i] != d
			}
		}
		switch {
		case added: // it comes before d
		case len(d.subs) == 0 && d.unused == 0:
			w.queue = slices.Delete(w.queue, i, i+1)
			c.walkDrop(d)
		default:
			before += d.unused
			i++
		}
	}
}

// walkSkipped is the i-th directory in the queue. Listings below it that nobody has used for long keep what comes behind it waiting no longer:
// the program has left them out, or comes to them by another order than was thought. Called with mu held.
func (c *Cache) walkSkipped(i int) *walkDir {
	d := c.walk.queue[i]
	if d.unused > 0 && c.now()-d.at > int64(walkSkips) {
		d = &walkDir{n: d.n, subs: d.subs, againAt: d.againAt} // those listings go on to count in the old one
		d.n.dir.walk.queued, c.walk.queue[i] = d, d
	}
	return d
}

// walkAgain has a directory listed again as nothing is known any more of a name in it: the walk takes longer than names are trusted. False
// where that was done a moment ago. Called with mu held.
func (c *Cache) walkAgain(d *walkDir) bool {
	if l := d.n.dir.list; l != nil && !l.done {
		return true // walkListed goes on
	}
	now := c.now()
	if d.n.dir.walk.notAhead || d.againAt > 0 && now-d.againAt < int64(c.timeout)/2 {
		return false
	}
	d.againAt = now
	c.fetchAhead(d.n, nil)
	return true
}

// unlisted says whether a directory's listing may be fetched ahead, and is neither known nor on its way. Called with mu held.
func (c *Cache) unlisted(n *Node) bool {
	l := n.dir.list
	return !n.dir.walk.notAhead && (l == nil || l.done && l.until <= c.now())
}

// fetchAhead fetches a listing that nobody has asked for, of a subdirectory of what is queued as d; d may be nil. Called with mu held.
func (c *Cache) fetchAhead(n *Node, d *walkDir) {
	c.walk.underWay++
	c.startListing(n).early = true
	c.walkUncount(n)
	c.walk.unused++
	if d != nil {
		d.unused++
		d.at = c.now()
	}
	n.dir.walk.fetchedBy, n.dir.walk.fetched = c.walk.run, d
}
