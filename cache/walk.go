package cache

import (
	"syscall"
	"time"
)

const (
	walkBegins   = 2                // listed children of one directory that make a walk
	walkWithin   = 10 * time.Second // within which they must follow each other
	walkWindow   = 16               // listings ahead at the beginning; each that is used doubles it,
	walkMost     = 256              // up to here
	walkUnderWay = 32               // listings fetched at a time
)

// walk fetches the listings of directories that a program walking a tree will ask for next: when two children
// of one directory have been listed, or had so many names looked up that they were, the others are fetched, and
// then what is in them, breadth first.
// A listing that was fetched in vain costs its request and is forgotten like any other. Guarded by Cache.mu.
type walk struct {
	run      uint64  // the number of the walk; 0: there was none
	last     int64   // when it was last seen to go on
	window   int     // listings that may be ahead of the program
	unused   int     // listings of this walk that nobody has used yet
	underWay int     // of those, on their way
	queue    []*Node // directories whose subdirectories are to be fetched; pinned
}

// noteWalked notes that a program lists a directory. Called with mu held.
func (c *Cache) noteWalked(n *Node) {
	if c.o.NoPrefetch || c.timeout == 0 {
		return
	}
	c.walkUsed(n)
	p := n.parent
	if p == nil {
		return
	}
	now := c.now()
	if now-p.dir.walkedAt > int64(walkWithin) {
		p.dir.walked = 0
	}
	p.dir.walked++
	p.dir.walkedAt = now
	if p.dir.walked < walkBegins {
		return
	}
	w := &c.walk
	if w.run == 0 || now-w.last > int64(walkWithin) {
		c.walkReset()
	}
	w.last = now
	if p.dir.walked == walkBegins {
		c.walkFrom(p)
	}
	c.walkPump()
}

// walkFrom has the subdirectories of n fetched, after n's own listing where a program that only looks names up has not asked
// for it. Called with mu held.
func (c *Cache) walkFrom(n *Node) {
	switch l := n.dir.list; {
	case l == nil || l.whole() && l.until <= c.now():
		c.fetchAhead(n) // walkListed goes on
	case l.done:
		c.walkAdd(n)
	}
}

// walkReset begins a new walk; what the last one fetched in vain no longer counts. Called with mu held.
func (c *Cache) walkReset() {
	w := &c.walk
	for _, n := range w.queue {
		n.pins--
		c.settle(n)
	}
	*w = walk{run: w.run + 1, last: c.now(), window: walkWindow, underWay: w.underWay}
}

// walkUsed notes that a program uses a directory's listing: one that was fetched ahead widens the window. Called with mu held.
func (c *Cache) walkUsed(n *Node) {
	w := &c.walk
	if n.dir.ahead == 0 {
		return
	}
	if n.dir.ahead == w.run {
		w.unused--
		w.window = min(w.window*2, walkMost)
		w.last = c.now()
	}
	n.dir.ahead = 0
	c.walkPump()
}

// walkAdd queues a directory whose subdirectories are to be fetched. Called with mu held.
func (c *Cache) walkAdd(n *Node) {
	c.pin(n)
	c.walk.queue = append(c.walk.queue, n)
}

// walkListed goes on with what a new listing holds. Called with mu held.
func (c *Cache) walkListed(n *Node) {
	w := &c.walk
	if w.run == 0 || c.now()-w.last > int64(walkWithin) {
		return
	}
	if n.dir.ahead == w.run || n.dir.walked >= walkBegins || n.parent != nil && n.parent.dir.walked >= walkBegins {
		c.walkAdd(n)
	}
	c.walkPump()
}

// walkPump fetches the listings that come next, as far as the window goes. Called with mu held.
func (c *Cache) walkPump() {
	w := &c.walk
	for len(w.queue) > 0 && !c.closed {
		n := w.queue[0]
		if !c.walkInto(n) {
			return
		}
		w.queue[0] = nil
		w.queue = w.queue[1:]
		n.pins--
		c.settle(n)
	}
}

// walkInto fetches the listings of a directory's subdirectories; false where the window is full before the end. Called with mu held.
func (c *Cache) walkInto(n *Node) bool {
	l := n.dir.list
	if l == nil || !l.whole() {
		return true
	}
	for i := range l.ents {
		e := &l.ents[i]
		if e.gone || e.attr.Mode&syscall.S_IFMT != syscall.S_IFDIR {
			continue
		}
		sub, _, state := c.peek(n, e.name)
		if state != present || !sub.isDir() || sub.dir.list != nil && (!sub.dir.list.done || sub.dir.list.until > c.now()) {
			continue
		}
		if c.walk.underWay >= walkUnderWay || c.walk.unused >= c.walk.window {
			return false
		}
		c.fetchAhead(sub)
	}
	return true
}

// fetchAhead fetches a listing that nobody has asked for. Called with mu held.
func (c *Cache) fetchAhead(n *Node) {
	c.walk.underWay++
	c.walk.unused++
	c.startListing(n).early = true
	n.dir.ahead = c.walk.run
}
