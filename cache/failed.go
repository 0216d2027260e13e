package cache

import (
	"context"
	"errors"
	"slices"
	"syscall"
)

// maxFailed bounds the failed changes that are kept for fsync(2). Of more than these the oldest are reported by Sync alone.
const maxFailed = 100

// failedChange is a change that has failed after it was answered, or bytes that were lost after their close(2) was (-o async). An fsync(2) of
// each file and each directory that it concerns reports it, once. Guarded by Cache.mu.
type failedChange struct {
	err   error
	dirs  []*Node         // the directories in which it was to change names
	nodes map[uint64]bool // the nodes that it concerns, by id, and whether an fsync of each has reported it
	told  map[uint64]bool // the directories, by id, an fsync of which has reported it
	lost  *Node           // the file whose bytes are lost; nil for a change
}

// keepFailed keeps the error of a change for an fsync(2) to come. Called with mu held, before the names are taken back.
func (c *Cache) keepFailed(p *pending, err error) {
	f := &failedChange{err: withErrno(p.op, p.path(), err), nodes: map[uint64]bool{}, told: map[uint64]bool{}}
	note := func(n *Node) {
		if n != nil {
			f.nodes[n.id] = false
		}
	}
	for _, at := range p.names {
		f.dirs = append(f.dirs, at.dir)
		note(c.child(at.dir, at.name))
	}
	if n := p.node; n != nil {
		note(n)
		if n.parent != nil {
			f.dirs = append(f.dirs, n.parent)
		}
	}
	c.addFailed(f)
}

// keepLost is keepFailed for bytes or times of a file that did not arrive after its close(2) was answered (-o async): a program that opens the
// file once more, and calls fsync(2) to make sure of it, is told. explain gives the error with its errno, for which it may ask the server.
func (c *Cache) keepLost(n *Node, explain func(context.Context) error) {
	if n == nil || !c.o.Async {
		return
	}
	c.mu.Lock()
	for _, f := range c.failed {
		if f.lost == n && !f.nodes[n.id] {
			c.mu.Unlock()
			return // one report of a file is enough
		}
	}
	f := &failedChange{err: syscall.EIO, lost: n, nodes: map[uint64]bool{n.id: false}, told: map[uint64]bool{}}
	if n.parent != nil {
		f.dirs = append(f.dirs, n.parent)
	}
	c.addFailed(f)
	c.mu.Unlock()
	ctx, stop := c.conn.Bounded(c.ctx)
	defer stop()
	err := explain(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	f.err = err
}

// addFailed adds a failed change, and forgets the oldest of too many. Called with mu held.
func (c *Cache) addFailed(f *failedChange) {
	if c.failed = append(c.failed, f); len(c.failed) > maxFailed {
		c.failed = c.failed[1:]
	}
}

// failures gives the errors of the failed changes that concern a node, or, of a directory, anything below it, joined; and notes that an fsync
// of the node has reported them. nil where there are none.
func (c *Cache) failures(n *Node) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, f := range c.failed {
		told, concerned := f.nodes[n.id]
		if concerned && !told {
			f.nodes[n.id] = true
			errs = append(errs, f.err)
		} else if n.isDir() && !f.told[n.id] && slices.ContainsFunc(f.dirs, func(dir *Node) bool { return dir.within(n) }) {
			f.told[n.id] = true
			errs = append(errs, f.err)
		}
	}
	return errors.Join(errs...)
}

// doubt distrusts what a change was to change: nobody here knows whether it was done, or the kernel has not been told.
func (c *Cache) doubt(ch *change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.distrustChanged(ch.names, ch.node)
}

// distrustChanged has the next questions about some names, and about the attributes and the content of n unless that is nil, go to the
// server. Called with mu held.
func (c *Cache) distrustChanged(names []place, n *Node) {
	for _, at := range names {
		c.distrustName(at)
	}
	if n != nil {
		n.expire()
		c.notifyContent(n.id) // a truncation or a copy may have been done
	}
}

// distrustName is doubtName, and has the kernel forget the name as well. Called with mu held.
func (c *Cache) distrustName(at place) {
	c.doubtName(at.dir, at.name)
	c.notifyName(at.dir.id, at.name)
}

// doubtName has the next question about a name go to the server. A node that is there, which may have open handles, stays. Called with mu
// held.
func (c *Cache) doubtName(dir *Node, name string) {
	delete(dir.dir.missing, name)
	if n := c.child(dir, name); n != nil {
		n.expire()
	}
	if l := dir.dir.list; l != nil {
		if e := l.held(name); e != nil {
			e.until = 0
		}
	}
	c.distrust(dir)
}

// failed reports a change that failed after its program was told that it is done, and takes back what was predicted.
func (q *queue) failed(p *pending, err error) {
	if errors.Is(err, context.Canceled) {
		err = errors.New("the mount ended before it was sent")
	}
	c := q.c
	c.report(p.op, p.path(), err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keepFailed(p, err)
	names := slices.Clone(p.names)
	for i, at := range p.names {
		if n := p.has[i]; n != nil && n != c.child(at.dir, at.name) {
			names = append(names, n.names()...) // a later change has moved it, and will tell how it ends
		}
	}
	c.namesRefused(p, err) // distrusts those of the names of which this was the last change under way
	c.distrustChanged(names, p.node)
	if n := p.node; n != nil {
		c.changed(n)
		n.foreseen = n.foreseen || p.times
	}
}
