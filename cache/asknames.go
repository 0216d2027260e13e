package cache

import (
	"context"
	"errors"
	"sync"
	"syscall"

	"sshmount/sftpconn/session"
)

// nameAsked is a question whether a name of a node still is its own, and the answer.
type nameAsked struct {
	place
	path  string
	moved uint64 // the last rename above the name when it was asked about
	attr  session.Attr
	err   error
}

// sureOfNames asks the server about a node of several names before it is changed by one of them, where what is known of a name has had
// its time. Where the node is open its handle is asked as well: a name that tells the same is its own still, though others have written to
// the file. Whoever has opened it may change it by its descriptor, and after ESTALE the kernel would look nothing up.
func (c *Cache) sureOfNames(ctx context.Context, n *Node) error {
	c.mu.Lock()
	now := c.now()
	wait := c.askNames(ctx, n, n.openThere(), func(at place) bool { return n.nameUntil(at) <= now })
	c.mu.Unlock()
	return wait()
}

// openThere gives a handle of a node that the server has open; nil where there is none. Called with mu held.
func (n *Node) openThere() *Handle {
	if n.file != nil {
		for h := range n.file.handles {
			if h.b.f.Load() != nil {
				return h
			}
		}
	}
	return nil
}

// allNames asks about all names of a node that has several.
func (c *Cache) allNames(ctx context.Context, n *Node) (wait func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.askNames(ctx, n, nil, func(place) bool { return true })
}

// byAName is for the refusal of a change that went by one of a node's names: where the server has nothing there, it may be that this name
// alone is gone.
func (c *Cache) byAName(ctx context.Context, n *Node, err error) error {
	if errors.Is(err, syscall.ENOENT) {
		if e := c.allNames(ctx, n)(); e != nil {
			return e
		}
	}
	return err
}

// askNames asks in one flight about those names of a node for which want is true, and h, where it is not nil, about what it has open.
// Whoever changes or opens a node names no name here: the kernel gives the node that it found by one of them. So where a name is found to
// be another file's, wait gives ESTALE: then the kernel looks up once more the name that its program gave. One answer by which a name goes
// is enough for that, so all must be asked about before: the kernel tries once more, and not again. Called with mu held; wait without it.
func (c *Cache) askNames(ctx context.Context, n *Node, h *Handle, want func(place) bool) (wait func() error) {
	none := func() error { return nil }
	if !n.severalNames() {
		return none
	}
	var list []*nameAsked
	for _, at := range n.names() {
		if !want(at) {
			continue
		}
		if p, err := c.namePath(at.dir, at.name); err == nil {
			list = append(list, &nameAsked{place: at, path: p, moved: c.lastMove(at.dir)})
		}
	}
	if len(list) == 0 {
		return none
	}
	asked := c.stamp(n)
	var all sync.WaitGroup
	var open *session.Attr // what h tells, set before all has ended
	if h != nil {
		all.Go(func() {
			if _, a, err := c.statOpen(ctx, n, h); err == nil {
				open = &a
			}
		})
	}
	for _, q := range list {
		all.Go(func() {
			if q.err = c.settled(ctx, q.path); q.err == nil {
				q.attr, q.err = c.statPath(ctx, q.path)
			}
		})
	}
	return func() error {
		all.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.namesAnswered(ctx, n, asked, open, list)
	}
}

// namesAnswered enters the answers about names of a node that was as asked says; open, where it is not nil, is the answer of a handle.
// Called with mu held.
func (c *Cache) namesAnswered(ctx context.Context, n *Node, asked stamp, open *session.Attr, list []*nameAsked) (err error) {
	if n.gen != asked.gen {
		return nil // a change made here crossed with the answers
	}
	if open != nil && n.sent == 0 && sameType(n, *open) { // else it may be of before a change by another of its names
		c.keepAsked(n, asked, *open)
	}
	for _, q := range list {
		answer := withErrno("find", q.path, q.err)
		gone := errors.Is(answer, syscall.ENOENT) || errors.Is(answer, syscall.ENOTDIR)
		switch {
		case c.child(q.dir, q.name) != n || c.strayed(ctx, q.dir, q.moved, q.path, gone):
		case answer != nil && !gone:
		case gone || !sameType(n, q.attr) || !asked.dirty && n.anotherAt(q.attr):
			c.anothers(q.place)
			err = fail("find", q.path, syscall.ESTALE, errors.New("the name is another file's now, or gone"))
		default:
			c.nameTold(n, q.place)
		}
	}
	return err
}
