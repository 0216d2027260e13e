package cache

import (
	"context"
	"errors"
	"sync"
	"syscall"
)

// Unlink takes away a name of something that is no directory.
func (c *Cache) Unlink(ctx context.Context, dir *Node, name string) error {
	const op = "unlink"
	c.mu.Lock()
	p, err := c.namePath(dir, name)
	if err != nil {
		c.mu.Unlock()
		return err
	}
	n, _, state := c.peek(dir, name)
	sure := state == present && !n.isDir() && !c.mayNotChange(dir)
	c.mu.Unlock()
	if state == absent {
		return fail(op, p, syscall.ENOENT, nil)
	}
	if state == present && n.isDir() {
		return fail(op, p, syscall.EISDIR, nil)
	}
	defer c.openBeforeRemoval(ctx, n)()
	return c.submitRemoval(ctx, op, place{dir, name}, n, sure, func(ctx context.Context, p string) error {
		if err := c.conn.Remove(ctx, p); err != nil {
			return c.whyNotRemoved(ctx, op, p, false, err)
		}
		return nil
	})
}

// Rmdir takes away an empty directory.
func (c *Cache) Rmdir(ctx context.Context, dir *Node, name string) error {
	const op = "rmdir"
	c.mu.Lock()
	p, err := c.namePath(dir, name)
	if err != nil {
		c.mu.Unlock()
		return err
	}
	n, _, state := c.peek(dir, name)
	known, sure := syscall.Errno(0), false
	switch {
	case state == absent:
		known = syscall.ENOENT
	case state == present && !n.isDir():
		known = syscall.ENOTDIR
	case state == present:
		sure = c.surelyEmpty(n) && !c.mayNotChange(dir)
	}
	c.mu.Unlock()
	if known != 0 {
		return fail(op, p, known, nil)
	}
	return c.submitRemoval(ctx, op, place{dir, name}, n, sure, func(ctx context.Context, p string) error {
		if err := c.conn.Rmdir(ctx, p); err != nil {
			return c.whyNotRemoved(ctx, op, p, true, err)
		}
		return nil
	})
}

// submitRemoval has run take the name of n away, by its path at that time.
func (c *Cache) submitRemoval(ctx context.Context, op string, at place, n *Node, sure bool, run func(ctx context.Context, p string) error) error {
	var p string
	var removed *Node
	return c.submitUnnaming(ctx, []*Node{n}, []place{at}, nil, change{
		op: op, sure: sure, names: []place{at}, locate: c.locateName(&p, at.dir, at.name),
		run: func(ctx context.Context) error { return run(ctx, c.inTurn(at, p)) },
		predict: func(*change) {
			removed = c.child(at.dir, at.name)
			c.removed(at.dir, at.name, nil)
		},
		undo:  func(err error) { c.nameStays(removed, at, err) },
		enter: func(err error) { c.removed(at.dir, at.name, err) },
	})
}

// lastName refuses to take away names by which alone the server has nodes that were to live on by a hard link.
func (c *Cache) lastName(nodes []*Node, at []place) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, n := range nodes {
		if n != nil && n.linkRefused {
			return fail("unlink", at[i].name, syscall.EBUSY, errors.New("the hard link that was made of it before was refused"))
		}
	}
	return nil
}

// submitUnnaming submits a change that takes names away from nodes; those that are nil have none here. to is the name that the first
// of them gets instead; nil for none.
func (c *Cache) submitUnnaming(ctx context.Context, nodes []*Node, at []place, to *place, ch change) error {
	if !c.o.Async {
		_, err := c.queue.submit(ctx, ch)
		return err
	}
	var undo []func()
	c.mu.Lock()
	for i, n := range nodes {
		moves := to != nil && i == 0
		if n == nil {
			continue
		}
		alone := moves || !n.isThere(at[i])
		if alone {
			n.pendingNames = append(n.pendingNames, pendingName{place: at[i], lost: true})
		} else {
			n.leaving = append(n.leaving, at[i])
		}
		if moves {
			n.pendingNames = append(n.pendingNames, pendingName{place: *to})
		}
		c.pin(n)
		undo = append(undo, func() {
			if alone {
				n.pendingNames = without(n.pendingNames, pendingName{place: at[i], lost: true})
			} else {
				n.leaving = without(n.leaving, at[i])
			}
			if moves {
				n.pendingNames = without(n.pendingNames, pendingName{place: *to})
			}
			n.pins--
			c.retireIfUnheld(n)
		})
	}
	c.mu.Unlock()
	left := sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, f := range undo {
			f()
		}
	})
	run := ch.run
	ch.run = func(ctx context.Context) error {
		defer left()
		if err := c.lastName(nodes, at); err != nil {
			return err
		}
		return run(ctx)
	}
	_, err := c.queue.submit(ctx, ch)
	if err != nil {
		left()
	}
	return err
}

// surelyEmpty says whether a directory is known to hold nothing. Called with mu held.
func (c *Cache) surelyEmpty(n *Node) bool {
	l := n.dir.list
	if len(n.dir.children) > 0 || l == nil || !l.whole() || l.until <= c.now() || !n.provesAbsence() {
		return false
	}
	for i := range l.ents.len() {
		if !l.ents.at(i).gone {
			return false
		}
	}
	return true
}

// removed enters the outcome of a removal. Called with mu held.
func (c *Cache) removed(dir *Node, name string, err error) {
	if n := c.child(dir, name); n != nil && n.isDir() && errors.Is(err, syscall.ENOTEMPTY) {
		c.distrust(n) // there is more in it than is known here
	}
	if err != nil && !errors.Is(err, syscall.ENOENT) {
		return
	}
	if err == nil {
		c.noteRemoved(dir, name)
	}
	c.forgetName(dir, name)
	c.absent(dir, name)
	c.touched(dir)
}

// nameStays gives a file n, nil for none, a name back that was taken from it before the server has refused that with err. It may have
// handles with unsaved bytes, which find it by its name. A directory is looked at anew: there may be more in it than is known here. Called
// with mu held.
func (c *Cache) nameStays(n *Node, at place, err error) {
	if n == nil || n.isDir() || c.nodes[n.id] != n || errors.Is(err, syscall.ENOENT) || c.child(at.dir, at.name) != nil || c.path(at.dir) == "" {
		return
	}
	n.removed = false
	c.giveName(n, at.dir, at.name)
	c.changed(n)
	c.nameAdded(at.dir, at.name, n)
	c.retireIfUnheld(n)
}

// discarded says whether a file was removed here, and there, too: nobody will look for what was written to it. Called with mu held.
func (n *Node) discarded() bool { return n.removed && n.parent == nil && len(n.pendingNames) == 0 }

// noteRemoved notes that a name is taken away from here, before it is forgotten. Called with mu held.
func (c *Cache) noteRemoved(dir *Node, name string) {
	if n := c.child(dir, name); n != nil {
		n.removed = len(n.also) == 0
	}
}
