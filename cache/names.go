package cache

import (
	"context"
	"errors"
	"syscall"
	"time"

	"sshmount/sftpconn"
	"sshmount/sftpconn/session"
)

// Mkdir makes a directory with these permission bits.
func (c *Cache) Mkdir(ctx context.Context, dir *Node, name string, perm uint32) (Found, error) {
	const op = "mkdir"
	p, err := c.namePath(dir, name)
	if err != nil {
		return Found{}, err
	}
	if err := c.mustBeFree(dir, name, op, p); err != nil {
		return Found{}, err
	}
	var got session.Attr
	done, err := c.queue.submit(ctx, change{
		op: op, paths: []string{p}, sure: c.surelyFree(dir, name), names: []place{{dir, name}},
		run: func(ctx context.Context) (err error) {
			if got, err = c.conn.Mkdir(ctx, p, perm&0o7777); err != nil {
				return c.whyNotMade(ctx, op, p, err)
			}
			return nil
		},
	})
	if err != nil {
		c.notMade(dir, name, err)
		return Found{}, err
	}
	if !done {
		return c.predict(dir, name, session.Attr{Mode: syscall.S_IFDIR | perm&0o7777, Size: 4096}), nil
	}
	return c.made(dir, name, p, syscall.S_IFDIR, got)
}

// Symlink makes a link to target, which is stored as it is.
func (c *Cache) Symlink(ctx context.Context, dir *Node, name, target string) (Found, error) {
	const op = "symlink"
	p, err := c.namePath(dir, name)
	if err != nil {
		return Found{}, err
	}
	if target == "" || len(target) > maxPath {
		return Found{}, c.fail(op, p, syscall.ENAMETOOLONG, nil)
	}
	if err := c.mustBeFree(dir, name, op, p); err != nil {
		return Found{}, err
	}
	var got session.Attr
	done, err := c.queue.submit(ctx, change{
		op: op, paths: []string{p}, sure: c.surelyFree(dir, name), names: []place{{dir, name}},
		run: func(ctx context.Context) (err error) {
			if got, err = c.conn.Symlink(ctx, target, p); err != nil {
				return c.whyNotMade(ctx, op, p, err)
			}
			return nil
		},
	})
	if err != nil {
		c.notMade(dir, name, err)
		return Found{}, err
	}
	if !done {
		return c.predict(dir, name, session.Attr{Mode: syscall.S_IFLNK | 0o777, Size: uint64(len(target))}), nil
	}
	if c.o.FollowSymlinks {
		return c.Lookup(ctx, dir, name)
	}
	return c.made(dir, name, p, syscall.S_IFLNK, got)
}

// Link gives a node one more name. EPERM where hard links are switched off, EOPNOTSUPP where the server has none.
func (c *Cache) Link(ctx context.Context, n *Node, dir *Node, name string) (Found, error) {
	const op = "link"
	if c.o.DisableHardlink {
		return Found{}, c.fail(op, name, syscall.EPERM, errors.New("hard links are switched off (disable_hardlink)"))
	}
	from, err := c.pathWait(ctx, n)
	if err != nil {
		return Found{}, err
	}
	p, err := c.namePath(dir, name)
	if err != nil {
		return Found{}, err
	}
	if err := c.mustBeFree(dir, name, op, p); err != nil {
		return Found{}, err
	}
	done, err := c.queue.submit(ctx, change{
		op: op, paths: []string{from, p}, sure: c.surelyFree(dir, name), names: []place{{dir, name}},
		run: func(ctx context.Context) error {
			err := c.conn.Link(ctx, from, p)
			if err != nil && errors.Is(err, sftpconn.ErrUnsupported) {
				return c.errno(ctx, op, p, err)
			}
			if err != nil {
				return c.whyNotMade(ctx, op, p, err)
			}
			return nil
		},
	})
	if err != nil {
		c.notMade(dir, name, err)
		return Found{}, err
	}
	_ = done // the same whether the server has answered or will: the node is known
	c.mu.Lock()
	defer c.mu.Unlock()
	if dir.dir.children[name] != n {
		c.forgetName(dir, name)
		dir.dir.children[name] = n
		c.idle.Remove(dir.id)
		n.also = append(n.also, place{dir, name})
	}
	c.nameAdded(dir, name, n)
	return c.found(n), nil
}

// mustBeFree refuses at once a name that is known to be taken.
func (c *Cache) mustBeFree(dir *Node, name, op, p string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, _, state := c.peek(dir, name); state == present {
		return c.fail(op, p, syscall.EEXIST, nil)
	}
	return nil
}

// surelyFree says whether a name is known not to be there, in a directory that is.
func (c *Cache) surelyFree(dir *Node, name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _, state := c.peek(dir, name)
	return state == absent
}

// notMade keeps what a refusal to make a name says of it.
func (c *Cache) notMade(dir *Node, name string, err error) {
	if !errors.Is(err, syscall.EEXIST) {
		return
	}
	c.mu.Lock()
	delete(dir.dir.missing, name)
	c.distrust(dir) // its listing is older than that name
	c.mu.Unlock()
	c.notifyName(dir.id, name)
}

// predict enters a name whose making the server has still to confirm.
func (c *Cache) predict(dir *Node, name string, a session.Attr) Found {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := uint32(time.Now().Unix())
	a.Flags = session.HasMode | session.HasSize | session.HasOwner | session.HasTimes
	a.Atime, a.Mtime = now, now
	a.UID, a.GID = c.creator(dir)
	return c.found(c.enter(dir, name, a))
}

// creator guesses who will own what is made in a directory: its owner, as most people work in their own. Called with mu held.
func (c *Cache) creator(dir *Node) (uid, gid uint32) { return dir.attr.UID, dir.attr.GID }

// made enters a name that the server has made, with the attributes that it showed in the same flight.
func (c *Cache) made(dir *Node, name, p string, kind uint32, got session.Attr) (Found, error) {
	if withType(got)&syscall.S_IFMT != kind {
		return Found{}, c.fail("stat", p, syscall.ESTALE, errors.New("something else has the name now"))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgetName(dir, name) // what had the name before is not what was made now
	n := c.enter(dir, name, got)
	n.ours = n.until
	return c.found(n), nil
}

// enter puts a name made here into the tree. Called with mu held.
func (c *Cache) enter(dir *Node, name string, a session.Attr) *Node {
	n := c.child(dir, name)
	if n != nil && !sameType(n, a) {
		c.forgetName(dir, name)
		n = nil
	}
	if n == nil {
		n = c.newNode(dir, name, 0, a)
		if n.isDir() {
			c.emptyListing(n)
		}
	}
	c.changed(n)
	c.keepAttr(n, a)
	c.nameAdded(dir, name, n)
	c.settle(n)
	return n
}

// nameAdded brings a directory's listing and absences up to date. Called with mu held.
func (c *Cache) nameAdded(dir *Node, name string, n *Node) {
	delete(dir.dir.missing, name)
	if l := dir.dir.list; l != nil {
		before := len(l.ents)
		l.add(name, n, n.until)
		c.listed += len(l.ents) - before
	}
	c.touched(dir)
}

// Unlink takes a name of something that is not a directory away.
func (c *Cache) Unlink(ctx context.Context, dir *Node, name string) error {
	const op = "unlink"
	p, err := c.namePath(dir, name)
	if err != nil {
		return err
	}
	c.mu.Lock()
	n, _, state := c.peek(dir, name)
	sure := state == present && !n.isDir()
	c.mu.Unlock()
	if state == absent {
		return c.fail(op, p, syscall.ENOENT, nil)
	}
	if state == present && n.isDir() {
		return c.fail(op, p, syscall.EISDIR, nil)
	}
	c.openLate(ctx, n)
	err = c.submitLeaving(ctx, []*Node{n}, []place{{dir, name}}, change{
		op: op, paths: []string{p}, sure: sure, names: []place{{dir, name}},
		run: func(ctx context.Context) error {
			if err := c.conn.Remove(ctx, p); err != nil {
				return c.whyNotRemoved(ctx, op, p, false, err)
			}
			return nil
		},
	})
	return c.removed(dir, name, err)
}

// Rmdir takes an empty directory away.
func (c *Cache) Rmdir(ctx context.Context, dir *Node, name string) error {
	const op = "rmdir"
	p, err := c.namePath(dir, name)
	if err != nil {
		return err
	}
	c.mu.Lock()
	n, _, state := c.peek(dir, name)
	known, sure := syscall.Errno(0), false
	switch {
	case state == absent:
		known = syscall.ENOENT
	case state == present && !n.isDir():
		known = syscall.ENOTDIR
	case state == present:
		sure = c.surelyEmpty(n)
	}
	c.mu.Unlock()
	if known != 0 {
		return c.fail(op, p, known, nil)
	}
	err = c.submitLeaving(ctx, []*Node{n}, []place{{dir, name}}, change{
		op: op, paths: []string{p}, sure: sure, names: []place{{dir, name}},
		run: func(ctx context.Context) error {
			if err := c.conn.Rmdir(ctx, p); err != nil {
				return c.whyNotRemoved(ctx, op, p, true, err)
			}
			return nil
		},
	})
	return c.removed(dir, name, err)
}

// surelyEmpty says whether a directory is known to hold nothing. Called with mu held.
func (c *Cache) surelyEmpty(n *Node) bool {
	l := n.dir.list
	if len(n.dir.children) > 0 || l == nil || !l.whole() || l.until <= c.now() {
		return false
	}
	for i := range l.ents {
		if !l.ents[i].gone {
			return false
		}
	}
	return true
}

// removed enters the outcome of a removal.
func (c *Cache) removed(dir *Node, name string, err error) error {
	if err != nil && !errors.Is(err, syscall.ENOENT) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgetName(dir, name)
	c.absent(dir, name)
	c.touched(dir)
	return err
}

// Rename moves a name. It replaces what has the new name, but with noReplace.
func (c *Cache) Rename(ctx context.Context, dir *Node, name string, newdir *Node, newname string, noReplace bool) error {
	const op = "rename"
	from, err := c.namePath(dir, name)
	if err != nil {
		return err
	}
	to, err := c.namePath(newdir, newname)
	if err != nil {
		return err
	}
	c.mu.Lock()
	src, _, srcState := c.peek(dir, name)
	dst, _, dstState := c.peek(newdir, newname)
	known := syscall.Errno(0)
	switch {
	case srcState == absent:
		known = syscall.ENOENT
	case noReplace && dstState == present:
		known = syscall.EEXIST
	case srcState == present && dstState == present && src == dst:
		c.mu.Unlock()
		return nil // two names of one file: rename(2) does nothing
	case srcState == present && dstState == present && dst.isDir() && !src.isDir():
		known = syscall.EISDIR
	case srcState == present && dstState == present && src.isDir() && !dst.isDir():
		known = syscall.ENOTDIR
	}
	sure := srcState == present && (dstState == absent || dstState == present && !dst.isDir() && !noReplace)
	c.mu.Unlock()
	if known != 0 {
		return c.fail(op, from, known, nil)
	}
	c.openLate(ctx, dst)
	err = c.submitLeaving(ctx, []*Node{src, dst}, []place{{dir, name}, {newdir, newname}}, change{
		op: op, paths: []string{from, to}, sure: sure, names: []place{{dir, name}, {newdir, newname}},
		run: func(ctx context.Context) error {
			if err := c.conn.Rename(ctx, from, to, noReplace); err != nil {
				return c.whyNotRenamed(ctx, from, to, noReplace, err)
			}
			return nil
		},
	})
	if err != nil {
		if errors.Is(err, syscall.ENOENT) {
			c.mu.Lock()
			if n := c.child(dir, name); n != nil {
				c.stale(n)
			}
			c.mu.Unlock()
		}
		return err
	}
	c.move(dir, name, newdir, newname)
	return nil
}

// move brings the tree up to date with a rename.
func (c *Cache) move(dir *Node, name string, newdir *Node, newname string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.child(dir, name)
	if n != nil {
		c.pin(n)
		c.unname(n, dir, name)
	}
	if l := dir.dir.list; l != nil {
		l.remove(name)
	}
	c.absent(dir, name)
	c.touched(dir)
	c.forgetName(newdir, newname)
	if n == nil {
		// Only the server knows what it was: the new name is asked for when somebody wants it.
		delete(newdir.dir.missing, newname)
		c.distrust(newdir)
		c.touched(newdir)
		return
	}
	if n.parent == nil {
		n.parent, n.name = newdir, newname
	} else {
		n.also = append(n.also, place{newdir, newname})
	}
	newdir.dir.children[newname] = n
	c.idle.Remove(newdir.id)
	c.changed(n)
	c.nameAdded(newdir, newname, n)
	n.pins--
	c.settle(n)
	c.settle(dir)
}
