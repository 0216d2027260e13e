package cache

import (
	"syscall"
	"time"

	"sshmount/sftpconn/session"
)

const (
	smallFile    = 256 << 10       // bytes; larger files have their own reading ahead
	scanBegins   = 2               // files opened one after the other that make a scan
	scanWithin   = 5 * time.Second // within which they must follow each other
	scanWindow   = 4               // files ahead at the beginning; each that is used doubles it,
	scanMost     = 256             // up to here
	scanUnderWay = 64              // files fetched or looked at, at a time
	scanSteps    = 4096            // entries looked at for the next files, at most
	scanFew      = 32              // names in a directory whose small files are all fetched, whatever their order
	scanNear     = 8               // entries that may lie between two files for one to follow the other
)

// scan fetches the small files that a program reading a tree file by file will open next, and looks whether those that were
// read before are still the same. The order is that of the listings or that of the names, whichever the program is seen to
// follow, through directories as they are met.
// Guarded by Cache.mu.
type scan struct {
	dir    *Node // where the last file was opened; pinned, nil where there was none
	name   string
	at     int64 // when
	byName bool  // the order that is followed
	streak int   // files opened one after the other in that order
	window int   // files that may be ahead of the program

	fetched  []*ahead // content that nobody has used yet and fetches on their way, oldest first
	unused   int      // of those, the ones that still count
	bytes    int64    // of those
	underWay int      // requests on their way
	sweeper  *time.Timer

	hits, misses uint64
}

// scanOpened notes that a program opened a file for reading. Called with mu held.
func (c *Cache) scanOpened(n *Node) {
	if c.o.NoPrefetch || c.timeout == 0 || n.parent == nil {
		return
	}
	s := &c.scan
	now := c.now()
	follows := s.dir != nil && now-s.at < int64(scanWithin) && c.follows(n)
	switch {
	case follows:
		s.streak++
	case s.dir == n.parent && s.name == n.name:
		// Once more the same says nothing about the next.
	case s.dir != nil && s.dir != n.parent && now-s.at < int64(scanWithin) && s.streak >= scanBegins:
		// The next directory, by a way we did not foresee.
	default:
		s.streak = 1
		s.window = scanWindow
	}
	if s.dir != n.parent {
		if s.dir != nil {
			s.dir.pins--
			c.settle(s.dir)
		}
		c.pin(n.parent)
	}
	s.dir, s.name, s.at = n.parent, n.name, now
	c.scanPump()
}

// follows says whether a file comes soon after the last one opened, in one of the two orders, and notes which. Called with mu held.
func (c *Cache) follows(n *Node) bool {
	s := &c.scan
	if s.dir != n.parent {
		return s.streak >= scanBegins && n.file != nil && c.scan.hits > 0
	}
	l := n.parent.dir.list
	if l == nil {
		return false
	}
	for _, byName := range []bool{s.byName, !s.byName} {
		from, ok1 := c.position(l, s.name, byName)
		to, ok2 := c.position(l, n.name, byName)
		if ok1 && ok2 && to > from && to-from <= scanNear {
			s.byName = byName
			return true
		}
	}
	return false
}

// scanListed goes on when a directory that the scan runs into has been listed. Called with mu held.
func (c *Cache) scanListed(*Node) {
	if c.scan.dir != nil && c.scan.streak >= scanBegins && c.now()-c.scan.at < int64(scanWithin) {
		c.scanPump()
	}
}

// scanPump fetches the files that come next, as far as window and budget go. Called with mu held.
func (c *Cache) scanPump() {
	s := &c.scan
	if s.streak < scanBegins || s.dir == nil || !c.mayGuess() {
		return
	}
	c.scanSweep()
	ahead := 0
	if l := s.dir.dir.list; l != nil && l.whole() && l.until > c.now() && len(l.ents) <= scanFew {
		for i := range l.ents {
			if e := &l.ents[i]; !e.gone && !c.scanTake(s.dir, e, false, &ahead) {
				return
			}
		}
	}
	it := treeIter{c: c, byName: s.byName, root: c.root}
	it.begin(s.dir, s.name)
	for range scanSteps {
		dir, e, ok := it.next()
		if !ok || !c.scanTake(dir, e, true, &ahead) {
			return
		}
	}
}

// scanTake fetches one of the files that come next, where it is small and not here yet, and counts it in ahead. One that was open
// before is taken only with again: it is looked at where what is here may still be good. False where no more are to be fetched
// now. Called with mu held.
func (c *Cache) scanTake(dir *Node, e *listEnt, again bool, ahead *int) bool {
	s := &c.scan
	if *ahead >= s.window || s.underWay >= scanUnderWay {
		return false
	}
	if e.attr.Mode&syscall.S_IFMT != syscall.S_IFREG || e.attr.Flags&session.HasSize == 0 {
		return true
	}
	n, _, state := c.peek(dir, e.name)
	if state != present || !n.isReg() {
		return true
	}
	f := n.file
	used := f != nil && (f.wrote || len(f.handles) > 0)
	here := used || f != nil && f.held && f.good(n.attr)
	if !here && e.attr.Size > smallFile || f != nil && f.held && !again {
		return true
	}
	*ahead++
	switch {
	case used || f != nil && f.ahead != nil:
		return true
	case here:
		c.lookAtFile(n)
		return true
	}
	return c.fetchFile(n, int64(e.attr.Size))
}
