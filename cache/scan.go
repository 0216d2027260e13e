package cache

import (
	"context"
	"slices"
	"syscall"
	"time"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

const (
	smallFile    = 256 << 10       // bytes; larger files have their own reading ahead
	scanBegins   = 2               // files opened one after the other that make a scan
	scanWithin   = 5 * time.Second // within which they must follow each other
	scanWindow   = 4               // files ahead at the beginning; each that is used doubles it,
	scanMost     = 256             // up to here
	scanUnderWay = 64              // files fetched at a time
	scanSteps    = 4096            // entries looked at for the next files, at most
	scanNear     = 8               // entries that may lie between two files for one to follow the other
	aheadFor     = 5 * time.Second // for so long content fetched ahead counts as just opened
)

// scan fetches the small files that a program reading a tree file by file will open next. The order is that of
// the listings or that of the names, whichever the program is seen to follow, through directories as they are met.
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

// ahead is the content of a file fetched before anybody asked. The node is pinned while it has one.
type ahead struct {
	n    *Node
	gen  uint64
	size int64         // bytes counted in the budget
	done chan struct{} // closed by the fetch when the rest is set
	data []byte
	attr session.Attr
	at   int64 // when it was read
	ok   bool
}

// openAhead opens a file whose content was fetched ahead a moment ago, without asking the server; nil where there is none.
func (c *Cache) openAhead(ctx context.Context, n *Node, flags uint32) (*Handle, bool) {
	if flags&(syscall.O_ACCMODE|syscall.O_TRUNC) != syscall.O_RDONLY {
		c.mu.Lock()
		c.dropAhead(n)
		c.mu.Unlock()
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.file == nil || n.file.ahead == nil {
		return nil, false
	}
	a := n.file.ahead
	select {
	case <-a.done:
	default:
		// On its way: it went out before a question of ours could.
		c.mu.Unlock()
		select {
		case <-a.done:
		case <-ctx.Done():
		}
		c.mu.Lock()
	}
	f := n.file
	if f == nil || f.ahead != a || !a.ok || n.gen != a.gen || c.now()-a.at > int64(aheadFor) || f.wrote {
		c.dropAhead(n)
		return nil, false
	}
	keep := f.known && !f.racy && f.size == a.attr.Size && f.mtime == a.attr.Mtime
	c.keepAttr(n, a.attr)
	n.until = min(n.until, a.at+int64(c.timeout))
	if !keep {
		f.data.Drop()
	}
	f.data.SetRemoteSize(int64(len(a.data)))
	f.data.Preload(a.data)
	c.scan.hits++
	c.scan.window = min(max(c.scan.window, scanWindow)*2, scanMost)
	c.release(a)
	f.ahead = nil
	var self *Handle
	self = c.newHandle(n, &backend{c: c, turn: make(chan struct{}, 1), open: func(ctx context.Context) (*sftpconn.File, error) {
		f2, a, err := c.openRemote(ctx, n, c.pathOf(n), session.OpenRead, &self)
		if err == nil {
			if err = self.check(a); err != nil {
				f2.Close()
			}
		}
		return f2, err
	}}, flags)
	c.scanOpened(n)
	return self, keep
}

// dropAhead forgets content fetched ahead that turned out useless. Called with mu held.
func (c *Cache) dropAhead(n *Node) {
	if n.file == nil || n.file.ahead == nil {
		return
	}
	a := n.file.ahead
	n.file.ahead = nil
	c.scan.misses++
	c.release(a)
}

// release gives back what content fetched ahead holds. Called with mu held, once.
func (c *Cache) release(a *ahead) {
	c.scan.unused--
	c.scan.bytes -= a.size
	a.size = 0
	a.n.pins--
	c.settle(a.n)
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
		from, ok1 := l.position(s.name, byName)
		to, ok2 := l.position(n.name, byName)
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
	if s.streak < scanBegins || s.dir == nil || c.closed {
		return
	}
	c.scanSweep()
	it := treeIter{c: c, byName: s.byName, root: c.root}
	it.begin(s.dir, s.name)
	ahead := 0
	for steps := 0; steps < scanSteps && ahead < s.window && s.underWay < scanUnderWay; steps++ {
		dir, e, ok := it.next()
		if !ok {
			return
		}
		if e.attr.Mode&syscall.S_IFMT != syscall.S_IFREG || e.attr.Size > smallFile || e.attr.Flags&session.HasSize == 0 {
			continue
		}
		ahead++
		if s.bytes+int64(e.attr.Size) > c.o.PrefetchBudget {
			return
		}
		n, _, state := c.peek(dir, e.name)
		if state != present || !n.isReg() {
			continue
		}
		if f := n.file; f != nil && (f.ahead != nil || f.wrote || f.known && f.size == n.attr.Size && f.mtime == n.attr.Mtime || len(f.handles) > 0) {
			continue
		}
		c.fetchFile(n)
	}
}

// fetchFile fetches a file's content ahead. Called with mu held.
func (c *Cache) fetchFile(n *Node) {
	s := &c.scan
	a := &ahead{n: n, gen: n.gen, size: int64(n.attr.Size), done: make(chan struct{})}
	c.content(n).ahead = a
	c.pin(n)
	s.fetched = append(s.fetched, a)
	s.unused++
	s.underWay++
	s.bytes += a.size
	p, size := c.path(n), int(n.attr.Size)
	c.wg.Add(1)
	go func() {
		defer c.wg.Done()
		data, attr, err := []byte(nil), session.Attr{}, error(nil)
		if err = c.queue.wait(c.ctx, p); err == nil {
			data, attr, err = c.conn.ReadSmall(c.ctx, p, size, smallFile)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		s.underWay--
		a.data, a.attr, a.at = data, attr, c.now()
		a.ok = err == nil && withType(attr)&syscall.S_IFMT == syscall.S_IFREG && uint64(len(data)) == attr.Size
		close(a.done)
		if n.file != nil && n.file.ahead == a && !a.ok {
			c.dropAhead(n)
		}
		if s.sweeper == nil && !c.closed {
			s.sweeper = time.AfterFunc(aheadFor+time.Second, c.sweep)
		}
		c.scanPump()
	}()
}

// sweep forgets what was fetched in vain, some time after the last fetch.
func (c *Cache) sweep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scan.sweeper = nil
	c.scanSweep()
	if c.scan.unused > 0 && !c.closed {
		c.scan.sweeper = time.AfterFunc(aheadFor, c.sweep)
	}
}

// scanSweep drops content that is too old to be used. Called with mu held.
func (c *Cache) scanSweep() {
	s := &c.scan
	now := c.now()
	keep := s.fetched[:0]
	for _, a := range s.fetched {
		if a.n.file == nil || a.n.file.ahead != a {
			continue // used or dropped
		}
		if a.at > 0 && now-a.at > int64(aheadFor) {
			c.dropAhead(a.n)
			s.window = max(scanWindow, s.window/2)
			continue
		}
		keep = append(keep, a)
	}
	clear(s.fetched[len(keep):])
	s.fetched = keep
}

// position is where a name stands in a listing, in one of the two orders.
func (l *listing) position(name string, byName bool) (int, bool) {
	i, ok := l.index[name]
	if !ok {
		return 0, false
	}
	if !byName {
		return int(i), true
	}
	l.sort()
	return slices.BinarySearchFunc(l.byName, name, func(i int32, name string) int { return compare(l.ents[i].name, name) })
}

// sort makes the order by names, again where the listing has grown.
func (l *listing) sort() {
	if len(l.byName) == len(l.ents) {
		return
	}
	l.byName = make([]int32, len(l.ents))
	for i := range l.byName {
		l.byName[i] = int32(i)
	}
	slices.SortFunc(l.byName, func(a, b int32) int { return compare(l.ents[a].name, l.ents[b].name) })
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// entry is the one at a position of one of the two orders.
func (l *listing) entry(i int, byName bool) *listEnt {
	if byName {
		l.sort()
		return &l.ents[l.byName[i]]
	}
	return &l.ents[i]
}

// treeIter goes through a tree depth first, as programs do, along the listings that are known. Used with Cache.mu held.
type treeIter struct {
	c      *Cache
	byName bool
	root   *Node
	stack  []treePos
}

type treePos struct {
	dir  *Node
	next int // position of the next entry
}

// begin puts the iterator behind a name.
func (it *treeIter) begin(dir *Node, name string) {
	for at := dir; at != nil; at = at.parent {
		l := at.dir.list
		if l == nil || !l.whole() || l.until <= it.c.now() {
			break
		}
		i, ok := l.position(name, it.byName)
		if !ok {
			break
		}
		it.stack = append([]treePos{{at, i + 1}}, it.stack...)
		name = at.name
	}
}

// next gives the next entry that is no directory. A directory on the way whose listing is not known is asked for, and passed by.
func (it *treeIter) next() (*Node, *listEnt, bool) {
	for len(it.stack) > 0 {
		top := &it.stack[len(it.stack)-1]
		l := top.dir.dir.list
		if l == nil || top.next >= len(l.ents) {
			it.stack = it.stack[:len(it.stack)-1]
			continue
		}
		e := l.entry(top.next, it.byName)
		top.next++
		if e.gone {
			continue
		}
		if e.attr.Mode&syscall.S_IFMT != syscall.S_IFDIR {
			return top.dir, e, true
		}
		sub, _, state := it.c.peek(top.dir, e.name)
		if state != present || !sub.isDir() {
			continue
		}
		switch sl := sub.dir.list; {
		case sl == nil || sl.whole() && sl.until <= it.c.now():
			if it.c.walk.underWay < walkUnderWay {
				it.c.fetchAhead(sub)
			}
			return nil, nil, false // go on when it is there
		case !sl.whole():
			return nil, nil, false
		default:
			it.stack = append(it.stack, treePos{sub, 0})
		}
	}
	return nil, nil, false
}
