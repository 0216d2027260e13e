package cache

import (
	"syscall"
	"time"

	"sshmount/sftpconn/session"
)

const (
	smallFile     = 256 << 10       // bytes of a file that is fetched ahead, at most; larger ones are read ahead when they are open
	scanBegins    = 2               // so many files opened one after the other make a scan,
	scanWithin    = 5 * time.Second // if each comes within this after the one before
	scanWindow    = 4               // files ahead of the program at the beginning; each that is used doubles it,
	scanMost      = 256             // up to this
	scanUnderWay  = 64              // requests for files on their way at a time
	scanSteps     = 4096            // entries looked at to find the next files, at most
	scanFew       = 32              // of a directory of so few names all small files are fetched, whatever their order
	scanMaxWasted = 2               // after so many fetches in vain a file is left alone for now (leftAlone),
	scanFailed    = 255             // and with this, as Node.wasted, until it is opened: it can't be fetched
	scanNear      = 8               // a file follows another if it stands so many entries behind it, at most
)

// scan fetches the small files that a program will open next that reads a tree file by file, and asks whether those that were
// read before are still the same. It goes along the listings, in their order or in that of the names, whichever the program is
// seen to follow, and through directories as they are met; or along the files as they were opened the last time.
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
	aside  bool // files in other directories were opened between them: then nothing is guessed behind the present directory
	window int  // files that may be ahead of the program

	// Files that were opened one after the other as they were the last time (fileState.next).
	again       int // how many
	windowAgain int // files that may be ahead of the program

	fetched  []*ahead    // what was asked for, oldest first; what was used or dropped leaves at the next sweep
	unused   int         // how many of them were neither used nor dropped
	bytes    int64       // what these take of the budget
	underWay int         // requests on their way
	sweeper  *time.Timer // calls sweep; nil while nothing is unused

	hits, misses uint64 // how many were used, and dropped
}

// dirScan is how far a program has come with the files of one directory. Guarded by Cache.mu.
type dirScan struct {
	opened   string // the name of the file that was opened last
	openedAt int64  // when (Cache.now)
	inOrder  int    // how many were opened one after the other in the order that the scan follows
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
	c.scanInOrder(n, goesOn)
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
	d := &n.parent.dir.scan
	d.opened, d.openedAt = n.name, c.now()
	c.scanPump()
}

// scanInOrder notes what it means for the scan that n is opened now; goesOn says that the last file was opened within scanWithin.
//
//	n is                                                    streak  inOrder of its directory
//	shortly behind the last file opened in its directory    +1      +1
//	the first file of another directory, where the scan     +1      streak
//	has been right before
//	the same file once more: tells nothing of the next      -       -
//	the first file of another directory than was expected   -       streak
//	anything else: a scan may begin here                    1       1
//
// A file that follows in a directory which is being read already, and is neither that of the last file nor above it, means that a program reads
// several side by side (aside). Called with mu held.
func (c *Cache) scanInOrder(n *Node, goesOn bool) {
	s, d := &c.scan, &n.parent.dir.scan
	first := !c.readLately(n.parent)
	switch {
	case goesOn && c.follows(n):
		s.streak++
		d.inOrder++
		if first {
			d.inOrder = s.streak
		} else if !s.dir.within(n.parent) {
			s.aside = true
		}
	case s.last == n.id:
	case goesOn && first && s.streak >= scanBegins && !s.aside:
		d.inOrder = s.streak
	default:
		d.inOrder, s.streak, s.aside = 1, 1, false
		s.window = scanWindow
	}
}

// keepTime notes that n is opened at now (Cache.now). The last time between two opens counts for half of the mean; after a pause of more than
// scanWithin the mean begins anew.
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

// inTime is how many files may be fetched ahead so that the program comes to the last of them in half of aheadFor: scanWindow to scanMost.
func (s *scan) inTime() int {
	if s.every == 0 {
		return scanMost
	}
	return int(max(scanWindow, min(scanMost, int64(aheadFor)/2/s.every)))
}

// readLately says whether a file was opened in a directory within scanWithin. Called with mu held.
func (c *Cache) readLately(dir *Node) bool {
	return dir.dir.scan.openedAt > 0 && c.now()-dir.dir.scan.openedAt < int64(scanWithin)
}

// scanSucceeds notes that a file was opened after the last one, and whether that was so the last time. soon says that it was opened soon
// after. Called with mu held.
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

// follows says whether a file stands shortly behind the last one that was opened in its directory, in one of the two orders, and notes in
// which. The last one in its directory counts, as a program may read several directories side by side. Called with mu held.
func (c *Cache) follows(n *Node) bool {
	s, d := &c.scan, n.parent.dir
	if !c.readLately(n.parent) {
		// It is the first file of another directory, of which no order tells anything. It is taken to follow where the scan has been right before.
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

// scanListed goes on with the scan when a directory has been listed, into which it may lead. Called with mu held.
func (c *Cache) scanListed() {
	if c.scan.dir != nil && c.scan.streak >= scanBegins && c.readLately(c.scan.dir) {
		c.scanPump()
	}
}

// scanPump fetches the files that come next, as far as the windows and the budget allow. Called with mu held.
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
		if n == nil || n.parent == nil || n.id == s.last {
			return
		}
		if !leftAlone(n, s.again) && !c.scanFile(n, true, &taken, &s.windowAgain) {
			return
		}
	}
}

// scanTake is scanFile for an entry of a listing, while fewer than most are taken. Called with mu held.
func (c *Cache) scanTake(dir *Node, e *listEnt, openedToo bool, taken *int, most int) bool {
	if *taken >= most {
		return false // also before a name that would not be taken
	}
	if e.attr.Mode&syscall.S_IFMT != syscall.S_IFREG || e.attr.Flags&session.HasSize == 0 {
		return true
	}
	n, _, state := c.peek(dir, e.name)
	if state != present || !n.isReg() {
		return true
	}
	proof := 0
	if c.readLately(dir) {
		proof = dir.dir.scan.inOrder
	}
	return leftAlone(n, proof) || c.scanFile(n, openedToo, taken, &c.scan.window)
}

// scanFile fetches one of the files that come next, unless it is here already, and counts it in taken; window grows when it is used. A file
// that was opened before is taken only with openedToo; where what is here of it may still be good, it is only looked at. False where no
// more files are to be fetched now.
//
// Only small files are taken, as they are then opened here without being open on the server: a program that keeps a large one open and
// reads on might find another file in its place. Nor is a file of several names: what is told by one says nothing of the others
// (hardlink.go), and it may be opened by any. Called with mu held.
func (c *Cache) scanFile(n *Node, openedToo bool, taken, window *int) bool {
	if c.scan.underWay >= scanUnderWay {
		return false
	}
	if n.attr.Size > smallFile || len(n.also) > 0 {
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
