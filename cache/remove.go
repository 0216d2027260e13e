package cache

import (
	"context"
	"errors"
	"syscall"
)

// Unlink removes a name of something that is no directory.
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
	return c.submitRemoval(ctx, op, place{dir, name}, sure, func(ctx context.Context, p string) error {
		if err := c.conn.Remove(ctx, p); err != nil {
			return c.whyNotRemoved(ctx, op, p, false, err)
		}
		return nil
	})
}

// Rmdir removes an empty directory.
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
	return c.submitRemoval(ctx, op, place{dir, name}, sure, func(ctx context.Context, p string) error {
		if err := c.conn.Rmdir(ctx, p); err != nil {
			return c.whyNotRemoved(ctx, op, p, true, err)
		}
		return nil
	})
}

// submitRemoval submits a removal; run has the server remove the name at p. sure is change.sure.
func (c *Cache) submitRemoval(ctx context.Context, op string, at place, sure bool, run func(ctx context.Context, p string) error) error {
	var p string
	_, err := c.queue.submit(ctx, change{
		op: op, sure: sure, names: []place{at}, locate: c.locateName(&p, at.dir, at.name),
		run:     func(ctx context.Context) error { return run(ctx, c.inTurn(at, p)) },
		predict: func(*change) { c.removed(at.dir, at.name, nil) },
		enter:   func(err error) { c.removed(at.dir, at.name, err) },
	})
	return err
}

// surelyEmpty says whether a directory is known to be empty. Called with mu held.
func (c *Cache) surelyEmpty(n *Node) bool {
	l := n.dir.list
	if len(n.dir.children) > 0 || l == nil || !l.whole() || l.until <= c.now() || !n.provesAbsence() {
		return false
	}
	for _, e := range l.ents.all() {
		if !e.gone {
			return false
		}
	}
	return true
}

// removed enters in the tree the outcome of a removal; err is the server's answer. Called with mu held.
func (c *Cache) removed(dir *Node, name string, err error) {
	if n := c.child(dir, name); n != nil && n.isDir() && errors.Is(err, syscall.ENOTEMPTY) {
		c.distrust(n) // it has names that are not known here
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

// discarded says whether a file was removed from here, and is removed on the server: nobody will look for what was written to it. Called with
// mu held.
func (n *Node) discarded() bool {
	return n.removed && n.parent == nil && len(n.there) == 0 && n.making.dir == nil
}

// noteRemoved notes, before a name is forgotten, that it is taken away from here (Node.removed). Called with mu held.
func (c *Cache) noteRemoved(dir *Node, name string) {
	if n := c.child(dir, name); n != nil {
		n.removed = len(n.also) == 0
	}
}
