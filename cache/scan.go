package cache

import (
	"syscall"
	"time"

	"sshmount/sftpconn/session"
)

const (
	smallFile     = 256 << 10       // bytes; larger files have their own reading ahead
	scanBegins    = 2               // files opened one after the other that make a scan
	scanWithin    = 5 * time.Second // within which they must follow each other
	scanWindow    = 4               // files ahead at the beginning; each that is used doubles it,
	scanMost      = 256             // up to here
	scanUnderWay  = 64              // files fetched or looked at, at a time
	scanSteps     = 4096            // entries looked at for the next files, at most
	scanFew       = 32              // names in a directory whose small files are all fetched, whatever their order
	scanMaxWasted = 2               // times that a file is fetched in vain before it is left alone
	scanNear      = 8               // entries that may lie between two files for one to follow the other
)

// scan fetches the small files that a program reading a tree file by file will open next, and looks whether those that were
// read before are still the same. The order is that of the listings or that of the names, whichever the program is seen to
// follow, through directories as they are met, or that in which the files were opened the last time.
// Guarded by Cache.mu.
type scan struct {
	// The last open of a file for reading.
	dir    *Node  // its directory; pinned, nil before the first
	last   uint64 // the id of the file
	lastAt int64  // when (Cache.now)
	every  int64  // a running mean of the time from one such open to the next, in nanoseconds; 0: not known

	// Files that were opened one after the other in one of the two orders of their listings.
	byName bool // it is that of the names
	streak int  // how many; scanBegins of them make a scan
	aside  bool // other directories were read between them: then nothing is guessed of what is behind the present one
	window int  // files that may be ahead of the program

	// Files that were opened one after the other as they were the last time (fileState.next).
	again       int // how many
	windowAgain int // files that may be ahead of the program

	fetched  []*ahead // what was asked for and not used, oldest first; what was used or dropped since leaves at the next sweep
	unused   int      // of those, the ones that were neither
	bytes    int64    // of those, within the budget
	underWay int      // requests on their way
	sweeper  *time.Timer

	hits, misses uint64 // what was used, and what was dropped
}

// dirScan is how far a program has come with the files of one directory. Guarded by Cache.mu.
type dirScan struct {
	opened   string // the name of the file that was opened last
	openedAt int64  // when (Cache.now)
	inOrder  int    // files opened here one after the other in the order that is followed
}

// scanOpened notes that a program opened a file for reading. Called with mu held.
func (c *Cache) scanOpened(n *Node) {
	if c.o.NoPrefetch || c.timeout == 0 || n.parent == nil {
		return
	}
	s := &c.scan
	n.wasted = 0
	s.keepTime(n, c.now())
	goesOn := s.dir != nil && c.readLately(s.dir)
	c.scanSucceeds(n, goesOn)
	d := &n.parent.dir.scan
	switch {
	case goesOn && c.follows(n):
		s.streak++
		d.inOrder++
		if !c.readLately(n.parent) {
			d.inOrder = s.streak
		} else if !s.dir.within(n.parent) {
			s.aside = true
		}
	case s.last == n.id:
		// Once more the same says nothing about the next.
	case goesOn && s.streak >= scanBegins && !s.aside && !c.readLately(n.parent):
		d.inOrder = s.streak // the next directory, by a way we did not foresee
	default:
		d.inOrder, s.streak, s.aside = 1, 1, false
		s.window = scanWindow
	}
	if s.again == 0 {
		s.windowAgain = scanWindow
	}
	if s.dir != n.parent {
		if s.dir != nil {
			c.unpin(s.dir)
		}
		c.pin(n.parent)
	}
	s.dir, s.last = n.parent, n.id
	d.opened, d.openedAt = n.name, c.now()
	c.scanPump()
}

// keepTime notes that n is opened at now (Cache.now). In the mean the latest time between two opens counts for half; a pause of more
// than scanWithin begins it anew.
func (s *scan) keepTime(n *Node, now int64) {
	if s.last == n.id {
		return
	}
	switch took := now - s.lastAt; {
	case s.last == 0 || took > int64(scanWithin):
		s.every = 0
	case s.every == 0:
		s.every = took
	default:
		s.every = (s.every + took) / 2
	}
	s.lastAt = now
}

// inTime is how many files may be fetched ahead, so that the program comes to the last of them in half the time for which what was
// fetched counts as just opened (aheadFor): scanWindow to scanMost.
func (s *scan) inTime() int {
	if s.every == 0 {
		return scanMost
	}
	return int(max(scanWindow, min(scanMost, int64(aheadFor)/2/s.every)))
}

// readLately says whether a file was opened in a directory a short while ago. Called with mu held.
func (c *Cache) readLately(dir *Node) bool {
	return dir.dir.scan.openedAt > 0 && c.now()-dir.dir.scan.openedAt < int64(scanWithin)
}

// scanSucceeds notes that a file was opened after the last one, and whether it was so the last time. Called with mu held.
func (c *Cache) scanSucceeds(n *Node, soon bool) {
	s := &c.scan
	if s.last == n.id {
		return
	}
	last := c.nodes[s.last]
	switch {
	case last == nil || last.file == nil:
		s.again = 0
	case !soon:
		s.again, last.file.next = 0, 0
	case last.file.next == n.id:
		s.again++
	default:
		s.again, last.file.next = 0, n.id
	}
}

// follows says whether a file comes soon after the last one that was opened in its directory, in one of the two orders, and notes
// which. A program may read several directories side by side. Called with mu held.
func (c *Cache) follows(n *Node) bool {
	s, d := &c.scan, n.parent.dir
	if !c.readLately(n.parent) {
		// The first file of another directory. No order tells, so it is taken to follow where fetching ahead has been of use before.
		return s.streak >= scanBegins && s.hits > 0
	}
	l := d.list
	if l == nil {
		return false
	}
	for _, byName := range []bool{s.byName, !s.byName} {
		from, ok1 := c.position(l, d.scan.opened, byName)
		to, ok2 := c.position(l, n.name, byName)
		if ok1 && ok2 && to > from && to-from <= scanNear {
			s.byName = byName
			return true
		}
	}
	return false
}

// scanListed goes on when a directory that the scan runs into has been listed. Called with mu held.
func (c *Cache) scanListed() {
	if c.scan.dir != nil && c.scan.streak >= scanBegins && c.readLately(c.scan.dir) {
		c.scanPump()
	}
}

// scanPump fetches the files that come next, as far as window and budget go. Called with mu held.
func (c *Cache) scanPump() {
	s := &c.scan
	if s.dir == nil || !c.mayGuess() {
		return
	}
	c.scanSweep()
	if s.again > 0 {
		c.scanAgain()
	}
	if s.streak < scanBegins {
		return
	}
	taken, most := 0, min(s.window, s.inTime(), scanWindow<<min(s.dir.dir.scan.inOrder, 6)) // a program may read elsewhere, too, in no order
	if l := s.dir.dir.list; l != nil && l.whole() && l.until > c.now() && l.ents.len() <= scanFew {
		for _, e := range l.ents.all() {
			if !e.gone && !c.scanTake(s.dir, e, false, &taken, most) {
				return
			}
		}
	}
	it := treeIter{c: c, byName: s.byName}
	it.begin(s.dir, s.dir.dir.scan.opened)
	for range scanSteps {
		dir, e, ok := it.next()
		if !ok || s.aside && dir != s.dir || !c.scanTake(dir, e, true, &taken, most) {
			return
		}
	}
}

// scanAgain goes along the files as they were opened the last time. Called with mu held.
func (c *Cache) scanAgain() {
	s := &c.scan
	n, taken := c.nodes[s.last], 0
	for range scanMost {
		if n == nil || n.file == nil || taken >= min(s.windowAgain, s.inTime()) {
			return
		}
		n = c.nodes[n.file.next]
		if n == nil || n.parent == nil || n.id == s.last || !c.scanFile(n, true, &taken, &s.windowAgain) {
			return
		}
	}
}

// scanTake is scanFile for a name in a listing, where fewer than most are taken. Called with mu held.
func (c *Cache) scanTake(dir *Node, e *listEnt, openedToo bool, taken *int, most int) bool {
	if *taken >= most {
		return false // also where names have to be passed by first
	}
	if e.attr.Mode&syscall.S_IFMT != syscall.S_IFREG || e.attr.Flags&session.HasSize == 0 {
		return true
	}
	n, _, state := c.peek(dir, e.name)
	if state != present || !n.isReg() {
		return true
	}
	return c.scanFile(n, openedToo, taken, &c.scan.window)
}

// scanFile fetches one of the files that come next, where it is not here yet, and counts it in taken; window is what grows when it
// is used. One that was opened before is taken only with openedToo: it is looked at where what is here may still be good. Both are
// for small files: they are opened here without being open on the server, and who keeps a large one open would find another in its
// place when he reads on. One of several names is left: what comes by one says nothing of the others (hardlink.go), and any may be the
// one by which it is opened. False where no more are to be fetched now. Called with mu held.
func (c *Cache) scanFile(n *Node, openedToo bool, taken, window *int) bool {
	if c.scan.underWay >= scanUnderWay {
		return false
	}
	if n.wasted >= scanMaxWasted || n.attr.Size > smallFile || len(n.also) > 0 {
		return true
	}
	f := n.file
	used := f != nil && (f.written.untold || len(f.handles) > 0)
	here := used || f != nil && f.held && f.good(n.attr) && !f.data.Lacking()
	if f != nil && f.held && !openedToo {
		return true
	}
	*taken++
	switch {
	case used || f != nil && f.ahead != nil:
		return true
	case here:
		c.lookAtFile(n, window)
		return true
	}
	return c.fetchFile(n, int64(n.attr.Size), window)
}
