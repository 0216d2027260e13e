package cache

import (
	"context"
	"errors"
	"sync"
	"syscall"

	"sshmount/sftpconn/session"
)

// nameAsked is the question whether a name still is its node's own, and the answer.
type nameAsked struct {
	place
	path  string
	moved uint64 // the last rename above the name when it was asked about
	attr  session.Attr
	err   error
}

// sureOfNames asks about those names of a node of several that are not trusted any more, before the node is changed by one of them; for the
// error see askNames. A handle of it that is open is asked in the same flight: a name that tells what the handle does still is the node's
// own, also where others have written to the file since. Without that question a change by a descriptor would fail with ESTALE, after
// which the kernel looks no name up.
func (c *Cache) sureOfNames(ctx context.Context, n *Node) error {
	c.mu.Lock()
	now := c.now()
	wait := c.askNames(ctx, n, n.openThere(), func(at place) bool { return n.nameUntil(at) <= now })
	c.mu.Unlock()
	return wait()
}

// openThere gives a handle of a node whose remote file is open; nil where there is none. Called with mu held.
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

// allNames is askNames for all names of a node, without a handle. It takes mu.
func (c *Cache) allNames(ctx context.Context, n *Node) (wait func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.askNames(ctx, n, nil, func(place) bool { return true })
}

// byAName turns the error of a change that went by one of a node's names into ESTALE where the server has no such name: that name alone may
// be gone, and the kernel looks up the one that the program gave.
func (c *Cache) byAName(ctx context.Context, n *Node, err error) error {
	if errors.Is(err, syscall.ENOENT) {
		if e := c.allNames(ctx, n)(); e != nil {
			return e
		}
	}
	return err
}

// askNames asks in one flight about those names of a node of several for which want is true, and by h, unless that is nil, about the file
// that it has open. The answers are entered by wait.
//
// A request of the kernel to change or open a node does not say by which of its names the program came. So where any name is found to be
// another file's, or gone, wait returns ESTALE, and the kernel looks up the name that its program gave. It does so once for a request:
// therefore all names are asked about before, not only the one that is used. Called with mu held; wait without it.
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
			if q.err = c.waitForChangesAt(ctx, q.path); q.err == nil {
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

// namesAnswered enters the answers in list about names of a node, and open, unless it is nil, which is the answer of a handle. asked is the
// stamp from before the questions. Called with mu held.
func (c *Cache) namesAnswered(ctx context.Context, n *Node, asked stamp, open *session.Attr, list []*nameAsked) (err error) {
	if n.gen != asked.gen {
		return nil // a change made here crossed with the answers
	}
	if open != nil && n.sent == 0 && sameType(n, *open) { // with n.sent the answer may be of before a change by another of its names
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
