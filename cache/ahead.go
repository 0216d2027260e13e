package cache

import (
	"context"
	"syscall"
	"time"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

const aheadFor = 5 * time.Second // how long content that was fetched ahead counts as just opened

// ahead is something that was asked for before a program has opened the file: its content, or (look) its attributes, which tell whether the
// content held here still is the file's. The node is pinned while it has one. Guarded by Cache.mu.
type ahead struct {
	n       *Node
	gen     uint64        // Node.gen when it was asked for
	path    string        // by which it is asked for
	moves   uint64        // Cache.dirMoves when it was asked for
	look    bool          // only the attributes are asked for
	window  *int          // scan.window or scan.windowAgain: which of them grows when it is used
	size    int64         // bytes of the budget that it takes
	askedAt int64         // when it was asked for, on the server's clock, in seconds since 1970
	begunAt int64         // the same (Cache.now)
	crossed *session.Attr // what was last learnt of the file while the question was on its way; nil where nothing was

	done chan struct{} // closed by aheadCame, which sets the rest before

	readAt int64 // when the answer came (Cache.now)
	ok     bool  // attr, and data without look, are of the file and may be used
	data   []byte
	attr   session.Attr
}

// contradicts says whether the content that was read is not that of the file as the server has told of it otherwise.
func (a *ahead) contradicts(now session.Attr) bool {
	return signatureOf(a.attr) != signatureOf(now)
}

// changedByAlias says whether the file may have been changed from here by another name since it was asked for: where the server follows
// symbolic links, they don't show as such, and any file may have other names. Called with mu held.
func (c *Cache) changedByAlias(a *ahead) bool { return c.o.FollowSymlinks && c.changedAt >= a.begunAt }

// openAhead opens a file for reading without asking the server, where its content was fetched ahead a moment ago, or was seen to be
// unchanged then; else nil. The bool is Open's keep.
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
	c.waitAhead(ctx, a) // its answer comes sooner than that to a question which goes out now
	f := n.file
	if f == nil || f.ahead != a || !a.ok || n.gen != a.gen || n.removals > 0 || c.now()-a.readAt > int64(aheadFor) || f.written.untold ||
		c.changedByAlias(a) || len(n.also) > 0 { // the name by which it is opened now need not be the one by which it was fetched
		c.dropAhead(n)
		return nil, false
	}
	keep := f.good(a.attr)
	if a.look && !keep {
		c.dropAhead(n) // the file has to be read
		return nil, false
	}
	f.pages.enterOpening(func() { c.keepAttr(n, a.attr) })
	n.until = min(n.until, a.readAt+int64(c.timeout))
	if !keep {
		f.data.Drop()
	}
	if !a.look {
		f.mark(signatureOf(a.attr), a.askedAt)
		f.data.SetRemoteSize(int64(len(a.data)))
		f.data.Preload(a.data, int64(len(a.data)))
	}
	c.scan.hits++
	*a.window = min(max(*a.window, scanWindow)*2, scanMost)
	c.releaseAhead(a)
	f.ahead = nil
	var self *Handle
	b := c.newBackend()
	b.open = func(ctx context.Context) (*sftpconn.File, error) { return c.openOnDemand(ctx, &self) }
	self = c.newHandle(n, b, flags)
	c.scanOpened(n)
	return self, f.keepPages(keep)
}

// waitAhead waits for the answer, as long as ctx and the line allow. Called with mu held, but not while it waits.
func (c *Cache) waitAhead(ctx context.Context, a *ahead) {
	select {
	case <-a.done:
		return
	default:
	}
	c.mu.Unlock()
	defer c.mu.Lock()
	ctx, stop := c.bounded(ctx)
	defer stop()
	_ = await(ctx, a.done) // a.ok tells whether it came
}

// openOnDemand opens the remote file of a handle that openAhead has made without one. Whatever the file has become in between is no error: it
// may have grown or been written, as a file may that is open, and another may have got its name.
func (c *Cache) openOnDemand(ctx context.Context, self **Handle) (*sftpconn.File, error) {
	h := *self
	n := h.n
	c.mu.Lock()
	asked, p := c.stamp(n), c.path(n)
	if !n.removed {
		p = c.lastPath(n)
	}
	c.mu.Unlock()
	f, a, err := c.openRemote(ctx, n, p, session.OpenRead, 0, self)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case n.gen != asked.gen || n.sent > 0:
	case n.parent != nil:
		c.keepAsked(n, asked, a)
	case signatureOf(a) != signatureOf(n.attr):
		c.contentChanged(n) // for this handle alone: others have the file open that had the name before
	}
	h.content = signatureOf(a)
	h.fd.Renew()
	return f, nil
}

// dropAhead forgets what was asked for ahead and is of no use. Called with mu held.
func (c *Cache) dropAhead(n *Node) {
	if n.file == nil || n.file.ahead == nil {
		return
	}
	a := n.file.ahead
	n.file.ahead = nil
	c.scan.misses++
	c.releaseAhead(a)
}

// releaseAhead gives back the budget and the pin of what was asked for ahead. Called with mu held, once.
func (c *Cache) releaseAhead(a *ahead) {
	c.scan.unused--
	c.scan.bytes -= a.size
	a.size = 0
	c.unpin(a.n)
}

// fetchFile fetches a file's content ahead, of which size bytes are expected; window grows when it is used. False where the budget has no
// room. Called with mu held.
func (c *Cache) fetchFile(n *Node, size int64, window *int) bool {
	if c.scan.bytes+size > c.o.PrefetchBudget {
		return false
	}
	c.goAhead(n, &ahead{size: size, window: window}, func(p string) ([]byte, session.Attr, error) {
		return c.conn.ReadSmall(sftpconn.Guess(c.ctx), p, smallFile)
	})
	return true
}

// lookAtFile asks ahead whether a file whose content is here is still the same; window grows when the answer is used. Called with mu held.
func (c *Cache) lookAtFile(n *Node, window *int) {
	c.goAhead(n, &ahead{look: true, window: window}, func(p string) ([]byte, session.Attr, error) {
		a, err := c.statPath(sftpconn.Guess(c.ctx), p)
		return nil, a, err
	})
}

// goAhead has ask, in a goroutine that Close waits for, ask the server for what a is to hold. Called with mu held.
func (c *Cache) goAhead(n *Node, a *ahead, ask func(p string) ([]byte, session.Attr, error)) {
	s := &c.scan
	a.n, a.gen, a.path, a.moves = n, n.gen, c.path(n), c.dirMoves
	a.askedAt, a.begunAt, a.done = c.serverNow(), c.now(), make(chan struct{})
	c.content(n).ahead = a
	c.pin(n)
	s.fetched = append(s.fetched, a)
	s.unused++
	s.underWay++
	s.bytes += a.size
	c.wg.Go(func() {
		err := c.queue.wait(c.ctx, a.path)
		c.mu.Lock()
		defer c.mu.Unlock()
		if err != nil {
			c.aheadCame(a, nil, session.Attr{}, err)
			return
		}
		c.guess.begin()
		c.mu.Unlock()
		data, attr, err := ask(a.path)
		c.mu.Lock()
		c.guess.end(c.now())
		c.aheadCame(a, data, attr, err)
	})
}

// aheadCame enters the answer to what goAhead has asked. Called with mu held.
func (c *Cache) aheadCame(a *ahead, data []byte, attr session.Attr, err error) {
	s, n := &c.scan, a.n
	s.underWay--
	if failure(err) {
		c.pauseGuesses()
	}
	a.data, a.attr, a.readAt = data, attr, c.now()
	a.ok = err == nil && withType(attr)&syscall.S_IFMT == syscall.S_IFREG && (a.look || uint64(len(data)) == attr.Size) &&
		c.path(n) == a.path && c.dirMoves == a.moves // else another file may have had the path
	if a.ok && a.crossed != nil && a.contradicts(*a.crossed) {
		a.ok = false // it was read before a change that is known by now
	}
	close(a.done)
	if !a.ok {
		a.failed(err)
	}
	if f := n.file; f != nil && f.ahead == a {
		changed := a.ok && a.look && !f.good(attr)
		if changed || !a.ok {
			c.dropAhead(n)
		}
		if changed && n.gen == a.gen && n.parent != nil && attr.Size <= smallFile && c.mayGuess() {
			c.fetchFile(n, int64(attr.Size), a.window)
		}
	}
	if s.sweeper == nil && !c.closed {
		s.sweeper = time.AfterFunc(aheadFor+time.Second, c.sweep)
	}
	if a.ok {
		c.scanPump() // not after a failure: the same file would be the next again, at once
	}
}

// failed notes that a file could not be fetched or looked at. It is left alone until a program opens it: after scanMaxWasted times, or at once
// where the server has refused, as for a file that may not be read. Called with Cache.mu held.
func (a *ahead) failed(err error) {
	a.n.inVain()
	if err != nil || a.n.wasted >= scanMaxWasted {
		a.n.wasted = scanFailed
	}
}

// leftAlone says whether a file is not to be fetched, as that was in vain before: whoever opens a few files of a directory now and then must not
// have the others fetched each time. A program that reads them all is told from that by its proof, which is how many files it has opened as
// was expected, the last of them in this directory. Each further fetch in vain asks for twice as many.
func leftAlone(n *Node, proof int) bool {
	return n.wasted >= scanMaxWasted && (n.wasted == scanFailed || proof < scanBegins<<n.wasted)
}

// inVain notes that a file was fetched or looked at in vain. Called with mu held.
func (n *Node) inVain() {
	const most = 12 // a proof of thousands of files
	if n.wasted < most {
		n.wasted++
	}
}

// sweep forgets what was fetched in vain. It is called by scan.sweeper for as long as anything is unused.
func (c *Cache) sweep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scan.sweeper = nil
	c.scanSweep()
	if c.scan.unused > 0 && !c.closed {
		c.scan.sweeper = time.AfterFunc(aheadFor, c.sweep)
	}
}

// scanSweep drops what is too old to be used. Called with mu held.
func (c *Cache) scanSweep() {
	s := &c.scan
	now := c.now()
	keep := s.fetched[:0]
	for _, a := range s.fetched {
		if a.n.file == nil || a.n.file.ahead != a {
			continue // used or dropped
		}
		if a.readAt > 0 && now-a.readAt > int64(aheadFor) {
			a.n.inVain()
			c.dropAhead(a.n)
			*a.window = max(scanWindow, *a.window/2)
			continue
		}
		keep = append(keep, a)
	}
	clear(s.fetched[len(keep):])
	s.fetched = keep
}
